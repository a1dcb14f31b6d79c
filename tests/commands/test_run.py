"""The nightly run: fresh data only, each step once, resumed where it was interrupted."""

import http.server
import json
import shutil
import sys
import threading
import traceback
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from simulated_shop import MEMORYLESS_AS_OF, shop_with_models

from churn.commands import run as run_module
from churn.commands.night import find_night, local_date
from churn.commands.night_steps import STEPS
from churn.commands.run import run
from churn.config import Settings, load_settings
from churn.errors import BusyError, DataError
from churn.reporting.published import Published
from churn.storage.files import sha256_of
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.nights import StepDone, finished_step, record_step

NIGHT = datetime.fromisoformat(f"{MEMORYLESS_AS_OF}T02:14+00:00")
AFTER_CHECKS = ("publish", "report", "digest")
FILES = ("scores.parquet", "plan.parquet", "monitor.json")


@pytest.fixture
def shop(tmp_path_factory, tmp_path):
    """A small shop with a champion."""
    return shop_with_models(tmp_path_factory.getbasetemp(), tmp_path / "shop")


@pytest.fixture(scope="module")
def watched_night(tmp_path_factory):
    """A shop after its first night, the result of that, and the sections that each step read."""
    folder = tmp_path_factory.mktemp("night") / "shop"
    copied = shop_with_models(tmp_path_factory.getbasetemp(), folder)
    with sections_read() as read:
        return copied, run(copied, now=NIGHT), read


@pytest.fixture(scope="module")
def night(watched_night):
    """That shop, and the result."""
    return watched_night[:2]


@contextmanager
def sections_read():
    """Step → the sections of the settings that it reads, except while the file itself is read."""
    read = {step.name: set() for step in STEPS}
    current = []

    def watched(step):
        def done(*arguments):
            current.append(step.name)
            try:
                return step.run(*arguments)
            finally:
                current.pop()

        return replace(step, run=done)

    def recording(settings, name):
        callers = {one.f_code.co_name for one, _ in traceback.walk_stack(sys._getframe(1))}
        if current and not callers & {"load_settings", "inputs"}:
            read[current[-1]].add(name)
        return object.__getattribute__(settings, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "STEPS", tuple(map(watched, STEPS)))
        patch.setattr(Settings, "__getattribute__", recording)
        yield read


def add(config, text):
    config.write_text(config.read_text() + text)


def states(result):
    return {step["step"]: step["state"] for step in result.metrics["steps"]}


def hashes(config):
    return {name: sha256_of(config.parent / "out" / name) for name in FILES}


def test_a_night_scores_plans_publishes_and_monitors(night):
    config, result = night
    assert result.exit_code == 0, result.failure
    assert str(result.as_of) == MEMORYLESS_AS_OF
    assert states(result) == {
        "check": "done",
        "train": "left out",
        "score": "done",
        "plan": "done",
        "publish": "done",
        "deliver": "left out",
        "measure": "left out",
        "monitor": "done",
        "report": "done",
        "digest": "done",
    }
    assert (config.parent / "out" / "page.duckdb").is_file()
    assert (config.parent / "out" / "report.html").read_text().startswith("<!")
    assert len((config.parent / "out" / "digest.txt").read_text().splitlines()) <= 14
    signal = json.loads((config.parent / "out" / "monitor.json").read_text())["signal"]
    assert len(signal) == 1


def test_a_second_run_of_the_night_does_nothing_again(night):
    config, first = night
    before = hashes(config)
    again = run(config, now=NIGHT + timedelta(hours=5))
    expected = {step: "done before" if s == "done" else s for step, s in states(first).items()}
    assert states(again) == expected
    assert hashes(config) == before
    with Ledger(config.parent / "ledger.db") as ledger:
        assert len(ledger.runs("score")) == 1


def test_a_step_whose_result_was_changed_is_done_again_with_what_reads_it(night, tmp_path):
    config = night[0]
    before = hashes(config)
    plan = config.parent / "out" / "plan.parquet"
    plan.unlink()
    result = run(config, now=NIGHT)
    assert {step for step, state in states(result).items() if state == "done"} == {"plan"}
    assert hashes(config) == before


def test_a_changed_setting_or_offer_makes_what_depends_on_it_again(night, tmp_path):
    for name, old, new in (
        ("churn.toml", "budget = 20.0", "budget = 5.0"),
        ("offers.toml", "margin_cost = 1.0", "margin_cost = 1.5"),
    ):
        folder = tmp_path / name
        shutil.copytree(night[0].parent, folder)
        changed = folder / name
        changed.write_text(changed.read_text().replace(old, new))
        found = states(run(folder / "churn.toml", now=NIGHT, dry_run=True))
        assert found["plan"] == found["publish"] == "to do"
    shutil.copytree(night[0].parent, tmp_path / "same")
    same = states(run(tmp_path / "same" / "churn.toml", now=NIGHT, dry_run=True))
    assert "to do" not in same.values()


def test_no_step_reads_a_section_that_it_ignores(watched_night):
    """Otherwise its result would be kept although it had changed. [run] names the folder."""
    read = watched_night[2]
    assert {"data", "scoring"} <= read["score"]
    for step in STEPS:
        assert not read[step.name] & (set(step.ignores) - {"run"}), step.name


@pytest.mark.parametrize(
    ("section", "again"),
    [
        ('[digest]\nlink = "https://pages.example/"\n', {"digest"}),
        ('[delivery]\nquiet_hours = "21:00-08:00"\n', {*AFTER_CHECKS, "monitor"}),
        ('[monitor]\nalerts = "out/alerts.json"\n', {*AFTER_CHECKS, "monitor"}),
        ('[run]\nping = "http://127.0.0.1:9/"\n', set()),
    ],
)
def test_a_changed_section_makes_only_what_depends_on_it_again(night, tmp_path, section, again):
    folder = tmp_path / "shop"
    shutil.copytree(night[0].parent, folder)
    add(folder / "churn.toml", section)
    found = states(run(folder / "churn.toml", now=NIGHT, dry_run=True))
    assert {step for step, state in found.items() if state == "to do"} == again


def test_the_checks_of_the_night_are_published_and_not_computed_again(watched_night):
    config, _, _ = watched_night
    checks = json.loads((config.parent / "out" / "monitor.json").read_text())
    with Published(config.parent / "out" / "page.duckdb") as page:
        assert page.document("monitor") == {k: v for k, v in checks.items() if k != "notes"}
        notes = page.document("notes").get("monitor", [])
    assert notes == checks["notes"]


def test_stale_data_stop_the_night_with_one_sentence_and_change_nothing(night):
    config = night[0]
    before = hashes(config)
    with pytest.raises(DataError) as stopped:
        run(config, now=NIGHT + timedelta(days=9))
    assert stopped.value.exit_code == 3
    assert str(stopped.value).startswith(
        "at most 3 days may pass without an order, got 9: orders end on 2022-10-27."
    )
    assert "the last results stand" in str(stopped.value)
    assert hashes(config) == before


def test_late_data_are_a_warning(shop):
    add(shop, "")
    text = shop.read_text().replace("[data]\n", "[data]\nwarn_after_days = 1\n", 1)
    shop.write_text(text.replace("[data]\n", "[data]\nerror_after_days = 9\n", 1))
    result = run(shop, now=NIGHT + timedelta(days=2), dry_run=True)
    assert result.warnings[0] == "Orders end on 2022-10-27, 2 days without an order since."
    assert str(result.as_of) == MEMORYLESS_AS_OF


def test_a_dry_run_lists_the_steps_and_writes_nothing(shop):
    result = run(shop, now=NIGHT, dry_run=True)
    assert states(result)["score"] == "to do"
    assert states(result)["deliver"] == "left out"
    assert not (shop.parent / "out").exists()


def test_a_step_that_fails_is_named_and_the_independent_ones_are_done(shop):
    add(shop, '[run]\ndeliver = "send"\n')  # there is no [delivery.email]
    result = run(shop, now=NIGHT)
    assert states(result)["deliver"] == "failed"
    assert states(result)["monitor"] == "done"
    assert result.exit_code == 2
    assert result.failure.startswith("deliver: ")


def test_two_nights_at_once_are_one(shop):
    with (
        exclusive(lock_beside(shop.parent / "run"), what="the nightly run"),
        pytest.raises(BusyError, match="the nightly run must be done by one run at a time"),
    ):
        run(shop, now=NIGHT)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2024-03-30T22:59+00:00", "2024-03-30"),
        ("2024-03-30T23:00+00:00", "2024-03-31"),  # the night in which the clock goes forward
        ("2024-03-31T21:59+00:00", "2024-03-31"),
        ("2024-03-31T22:00+00:00", "2024-04-01"),
        ("2024-10-26T22:00+00:00", "2024-10-27"),
        ("2024-10-27T22:59+00:00", "2024-10-27"),  # a day of 25 hours
        ("2024-10-27T23:00+00:00", "2024-10-28"),
    ],
)
def test_the_night_begins_at_local_midnight(shop, moment, day):
    text = shop.read_text().replace("[data]\n", '[data]\nday_timezone = "Europe/Berlin"\n', 1)
    shop.write_text(text)
    settings = load_settings(shop)
    assert local_date(settings, datetime.fromisoformat(moment)) == date.fromisoformat(day)


def test_orders_of_the_new_day_are_not_part_of_the_night(shop):
    """At 02:14 the last whole day is yesterday, whether or not somebody has bought already."""
    settings = load_settings(shop)
    day_before = NIGHT - timedelta(days=1)
    with Ledger(settings.ledger_path) as ledger:
        found = find_night(
            shop, settings, ledger, "r", as_of=None, now=day_before, progress=lambda _: None
        )
    assert found.as_of == day_before.date()


@contextmanager
def health_check(status=200):
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            seen.append((self.path, self.rfile.read(length).decode()))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/ping/uuid", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_health_check_is_told_of_the_start_and_the_exit_code(shop):
    with health_check() as (address, seen):
        add(shop, f'[run]\nping = "{address}"\n')
        with pytest.raises(DataError):
            run(shop, now=NIGHT + timedelta(days=9))
        assert [path for path, _ in seen] == ["/ping/uuid/start", "/ping/uuid/3"]
        assert "got 9: orders end on" in seen[1][1]


def test_a_health_check_that_fails_never_fails_the_run(night):
    config = night[0]
    text = config.read_text()
    try:
        with health_check(status=500) as (address, _):
            add(config, f'[run]\nping = "{address}"\n')
            result = run(config, now=NIGHT)
        assert result.exit_code == 0
        assert "the health check answered 500" in result.warnings
    finally:
        config.write_text(text)


def test_steps_are_known_by_date_data_name_and_inputs(tmp_path):
    done = StepDone(as_of=date(2024, 1, 2), data="d", step="score", inputs="i", run_id="r")
    with Ledger(tmp_path / "ledger.db", now=lambda: datetime(2024, 1, 2, tzinfo=UTC)) as ledger:
        record_step(ledger, done)
        assert finished_step(ledger, done.as_of, "d", "score", "i") == done
        for other in (
            (date(2024, 1, 3), "d", "score", "i"),
            (done.as_of, "e", "score", "i"),
            (done.as_of, "d", "plan", "i"),
            (done.as_of, "d", "score", "j"),
        ):
            assert finished_step(ledger, *other) is None
