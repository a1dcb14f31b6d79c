import re
import signal
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import BusyError, ConfigError
from churn.storage.database import open_database
from churn.storage.exports import Export, record_export
from churn.storage.files import check_name
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, claim, enqueue
from churn.storage.records import MIGRATIONS, Contact, PlanRow, Promotion

JANUARY, FEBRUARY, MARCH = date(2017, 1, 1), date(2017, 2, 1), date(2017, 3, 1)
START = datetime(2026, 11, 23, 23, 15, 1, tzinfo=UTC)

RUN_AND_WAIT = """
import sys, time
from pathlib import Path
from churn.storage.ledger import Ledger
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.start_run("train", run_id="victim")
print("started", flush=True)
time.sleep(60)
"""

# Replaces one plan of 3,000 rows by another, over and over.
PLAN_LOOP = """
import sys
from datetime import date
from itertools import count
from pathlib import Path
from churn.storage.ledger import Ledger, PlanRow
def row(number, offer_id):
    return PlanRow(customer_id=f"c{number}", campaign_id="spring", as_of=date(2017, 1, 1),
                   offer_id=offer_id, channel="email", arm="treatment", propensity=1.0,
                   expected_cost=0.5)
with Ledger(Path(sys.argv[1])) as ledger:
    for turn in count():
        run_id = ledger.start_run("plan")
        ledger.record_plan(run_id, (row(number, run_id) for number in range(3_000)))
        print(run_id, flush=True)
"""


class Clock:
    """A clock that moves a minute at each look."""

    def __init__(self) -> None:
        self.moment = START - timedelta(minutes=1)

    def __call__(self) -> datetime:
        self.moment += timedelta(minutes=1)
        return self.moment


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db", now=Clock()) as ledger:
        yield ledger


def row(customer_id: str = "c1", **changes: object) -> PlanRow:
    base = PlanRow(
        customer_id=customer_id,
        campaign_id="spring",
        as_of=JANUARY,
        offer_id="coupon",
        channel="email",
        arm="treatment",
        propensity=1.0,
        expected_cost=0.5,
    )
    return replace(base, **changes)


def contacts(ledger: Ledger, before: date = MARCH, **options: object) -> set[tuple[str, str, date]]:
    found = list(ledger.last_contacts(before, **options))
    assert all(isinstance(contact, Contact) for contact in found)
    return {(contact.customer_id, contact.offer_id, contact.as_of) for contact in found}


def plan(ledger: Ledger, *rows: PlanRow) -> str:
    run_id = ledger.start_run("plan")
    assert ledger.record_plan(run_id, rows) == len(rows)
    return run_id


def test_a_new_run_has_a_safe_id_of_its_time(ledger):
    run_id = ledger.start_run("score")
    assert re.fullmatch(r"20261123t231501-[0-9a-f]{6}", run_id)
    assert check_name(run_id) == run_id


def test_ids_sort_by_time_and_runs_come_newest_first(ledger):
    ids = [ledger.start_run("score") for _ in range(5)]
    assert ids == sorted(set(ids))
    assert [run.run_id for run in ledger.runs(limit=3)] == ids[:1:-1]


def test_times_of_any_zone_are_kept_in_utc(tmp_path):
    berlin = START.astimezone(datetime.fromisoformat("2026-01-01T00:00+01:00").tzinfo)
    with Ledger(tmp_path / "ledger.db", now=lambda: berlin) as ledger:
        assert ledger.start_run("score").startswith("20261123t231501-")
        assert ledger.runs()[0].started_at == START


def test_a_run_reads_back_as_it_was_recorded(ledger):
    run_id = ledger.start_run("score", as_of=JANUARY)
    [run] = ledger.runs()
    assert (run.status, run.finished_at, run.facts) == ("running", None, {})
    ledger.finish_run(run_id, status="done", facts={"rows": 3, "name": "é"}, model_id="m1")
    [run] = ledger.runs("score")
    assert (run.status, run.as_of, run.model_id) == ("done", JANUARY, "m1")
    assert run.facts == {"rows": 3, "name": "é"}
    assert run.started_at == START
    assert run.finished_at == START + timedelta(minutes=1)
    assert ledger.runs("plan") == []


def test_an_unsafe_run_id_is_refused(ledger):
    with pytest.raises(ConfigError, match=r"run_id must be .* Write e\.g\."):
        ledger.start_run("score", run_id="../../etc")


@pytest.mark.parametrize("method", ["finish_run", "record_plan"])
def test_a_run_that_was_never_started_is_refused(ledger, method):
    call = {
        "finish_run": lambda: ledger.finish_run("ghost", status="done"),
        "record_plan": lambda: ledger.record_plan("ghost", []),
    }
    with pytest.raises(ConfigError, match=r"got 'ghost'\. Call start_run first"):
        call[method]()


def test_a_finished_run_may_start_again_under_its_id(ledger):
    ledger.start_run("score", run_id="nightly")
    ledger.finish_run("nightly", status="failed", facts={"cause": "disk"})
    ledger.start_run("score", run_id="nightly")
    [run] = ledger.runs()
    assert (run.status, run.facts) == ("running", {})


def test_a_living_run_is_not_started_twice(ledger):
    ledger.start_run("score", run_id="nightly")
    with pytest.raises(BusyError, match=r"nightly must have ended .*another run_id"):
        ledger.start_run("score", run_id="nightly")


def test_a_killed_run_is_marked_failed_and_living_ones_are_left(ledger, child):
    mine = ledger.start_run("score")
    process = child(RUN_AND_WAIT, ledger.path)
    assert process.stdout.readline() == "started\n"
    assert ledger.mark_dead_runs_failed() == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert ledger.mark_dead_runs_failed() == ["victim"]
    assert ledger.mark_dead_runs_failed() == []
    [victim] = ledger.runs("train")
    assert (victim.status, victim.facts) == ("failed", {"cause": "its process died"})
    assert [run.status for run in ledger.runs() if run.run_id == mine] == ["running"]


def test_only_offers_that_were_to_be_sent_are_contacts(ledger):
    plan(
        ledger,
        row("treated"),
        row("explored", arm="explore"),
        row("held out", arm="holdout"),
        row("control", arm="control"),
        row("spared", offer_id="none", channel=None),
    )
    assert contacts(ledger) == {
        ("treated", "coupon", JANUARY),
        ("explored", "coupon", JANUARY),
    }


def test_the_latest_contact_of_each_offer_before_the_date_is_found(ledger):
    for as_of in (JANUARY, FEBRUARY, MARCH):
        plan(ledger, row(as_of=as_of), row("c2", as_of=as_of, offer_id=f"only-{as_of:%m}"))
    assert contacts(ledger) == {
        ("c1", "coupon", FEBRUARY),
        ("c2", "only-01", JANUARY),
        ("c2", "only-02", FEBRUARY),
    }
    assert contacts(ledger, JANUARY) == set()


def test_the_plan_that_is_being_made_again_can_be_left_out(ledger):
    plan(ledger, row(as_of=JANUARY), row("c2", campaign_id="other", as_of=FEBRUARY))
    plan(ledger, row(as_of=FEBRUARY))
    assert contacts(ledger, excluding=("spring", FEBRUARY)) == {
        ("c1", "coupon", JANUARY),
        ("c2", "coupon", FEBRUARY),
    }


def test_the_newest_plan_of_a_campaign_before_a_date_is_found_with_its_run(ledger):
    plan(ledger, row(as_of=JANUARY))
    wanted = plan(ledger, row("c2", as_of=FEBRUARY), row("c1", as_of=FEBRUARY, channel=None))
    plan(ledger, row(as_of=MARCH))
    plan(ledger, row(campaign_id="summer", as_of=FEBRUARY))
    run, rows = ledger.last_plan("spring", MARCH)
    assert run.run_id == wanted
    assert rows == [row("c1", as_of=FEBRUARY, channel=None), row("c2", as_of=FEBRUARY)]
    assert ledger.last_plan("autumn", MARCH) is None


def test_the_same_plan_made_twice_contacts_nobody_twice(ledger):
    plan(ledger, row("c1"), row("c2"))
    plan(ledger, row("c2", offer_id="points"))
    assert contacts(ledger) == {("c2", "points", JANUARY)}


def test_a_plan_leaves_other_campaigns_and_dates_alone(ledger):
    plan(ledger, row("c1"), row("c2", campaign_id="other"), row("c3", as_of=FEBRUARY))
    plan(ledger, row("c4"))
    assert {customer_id for customer_id, *_ in contacts(ledger)} == {"c2", "c3", "c4"}


def test_a_plan_can_come_in_batches_of_one_run(ledger):
    run_id = plan(ledger, row("c1"), row("c2"))
    ledger.record_plan(run_id, [row("c2", offer_id="points"), row("c3")])
    found = {(customer_id, offer_id) for customer_id, offer_id, _ in contacts(ledger)}
    assert found == {("c1", "coupon"), ("c2", "points"), ("c3", "coupon")}


def test_a_plan_that_fails_half_way_leaves_the_earlier_one(ledger):
    plan(ledger, row("c1"))

    def rows():
        yield row("c2")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        ledger.record_plan(ledger.start_run("plan"), rows())
    assert contacts(ledger) == {("c1", "coupon", JANUARY)}


@pytest.mark.parametrize("customer_id", ["007", "7", "é" * 300, "t'); DROP TABLE plans; --", " "])
def test_customer_ids_come_back_byte_for_byte(ledger, customer_id):
    plan(ledger, row(customer_id))
    assert {found for found, *_ in contacts(ledger)} == {customer_id}


@settings(deadline=None)  # a disk takes the time it takes
@given(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=5))
def test_however_often_a_plan_is_repeated_only_the_last_one_counts(plans):
    with (
        tempfile.TemporaryDirectory() as directory,
        Ledger(Path(directory, "ledger.db")) as ledger,
    ):
        for numbers in plans:
            run_id = ledger.start_run("plan")
            ledger.record_plan(run_id, [row(f"c{number}") for number in numbers])
            ledger.record_plan(run_id, [row(f"c{number}") for number in numbers])
        last = next((numbers for numbers in reversed(plans) if numbers), [])
        assert {found for found, *_ in contacts(ledger)} == {f"c{number}" for number in last}


def test_killed_at_random_moments_a_plan_is_wholly_old_or_wholly_new(tmp_path, child):
    path = tmp_path / "ledger.db"
    for delay_seconds in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
        process = child(PLAN_LOOP, path)
        process.stdout.readline()
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Ledger(path) as ledger:
            found = contacts(ledger)
            assert len(found) == 3_000
            assert len({offer_id for _, offer_id, _ in found}) == 1
            assert ledger.mark_dead_runs_failed()


def test_a_customer_stays_where_the_first_assignment_put_them(ledger):
    first = {"in": True, "out": False}
    assert ledger.remember_holdout("holdout-2017", first.items(), assigned_on=JANUARY) == 2
    second = [("in", False), ("out", True), ("new", True)]
    assert ledger.remember_holdout("holdout-2017", second, assigned_on=FEBRUARY) == 1
    assert ledger.holdout_members("holdout-2017") == {"in", "new"}
    assert ledger.holdout_members("another") == set()


def test_what_was_recorded_is_there_for_the_next_opening(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        plan(ledger, row())
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert contacts(ledger) == {("c1", "coupon", JANUARY)}


def test_runs_at_once_all_find_their_place(tmp_path):
    def work() -> None:
        with Ledger(tmp_path / "ledger.db") as ledger:
            for _ in range(3):
                ledger.finish_run(ledger.start_run("score"), status="done")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert [run.status for run in ledger.runs()] == ["done"] * 12


def test_a_ledger_outside_its_block_says_how_to_open_it(tmp_path):
    with pytest.raises(ConfigError, match=r"Use it inside `with Ledger"):
        Ledger(tmp_path / "ledger.db").runs()


def test_a_ledger_of_the_first_release_gets_room_for_promotions_and_keeps_its_runs(tmp_path):
    path = tmp_path / "ledger.db"
    connection = open_database(path, MIGRATIONS[:1])
    connection.execute(
        "INSERT INTO runs (run_id, command, started_at, status, facts, pid, pid_started) "
        "VALUES ('old', 'train', '2026-11-23T23:15:01+00:00', 'done', '{}', 1, 1)"
    )
    connection.close()
    move = Promotion(
        run_id="old", directory="models", model_id="m-1", previous=None, cause="training"
    )
    with Ledger(path) as ledger:
        assert [run.run_id for run in ledger.runs()] == ["old"]
        with ledger.promoting(move):
            pass
        assert ledger.promotions("models")[0].model_id == "m-1"


def test_a_promotion_whose_block_fails_is_not_on_record(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        run_id = ledger.start_run("models")
        move = Promotion(
            run_id=run_id, directory="models", model_id="m-1", previous=None, cause="promotion"
        )
        with pytest.raises(BusyError, match="too late"), ledger.promoting(move):
            raise BusyError("too late")
        assert ledger.promotions("models") == []


def test_a_promotion_belongs_to_a_started_run(tmp_path):
    move = Promotion(run_id="no", directory="m", model_id="m-1", previous=None, cause="training")
    with (
        Ledger(tmp_path / "ledger.db") as ledger,
        pytest.raises(ConfigError, match="run_id must be of a started run"),
        ledger.promoting(move),
    ):
        pass


def test_every_contact_of_some_days_is_told_and_not_only_the_latest(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        for day in (JANUARY, FEBRUARY, MARCH):
            ledger.record_plan(
                ledger.start_run("plan"), [planned(day), planned(day, arm="holdout")]
            )
        told = list(ledger.contacts_since(JANUARY, MARCH, excluding=("spring", FEBRUARY)))
        assert told == [Contact("a", "coupon", JANUARY, "spring")]
        both = ledger.contacts_since(JANUARY, MARCH, excluding=("winter", MARCH))
        assert sorted(one.as_of for one in both) == [JANUARY, FEBRUARY]


def planned(day: date, arm: str = "treatment") -> PlanRow:
    return PlanRow(
        customer_id="a" if arm == "treatment" else "b",
        campaign_id="spring",
        as_of=day,
        offer_id="coupon" if arm == "treatment" else "none",
        channel="email",
        arm=arm,
        propensity=1.0,
        expected_cost=1.0,
    )


def export(run_id: str, **changes) -> Export:
    same = {
        "campaign_id": "spring",
        "as_of": JANUARY,
        "plan_digest": "p",
        "audience": "list",
        "offer_id": None,
        "exported_on": FEBRUARY,
        "rows": 3,
        "list_digest": "l",
    }
    return Export(run_id=run_id, **(same | changes))


def test_the_same_plan_exported_again_tells_of_the_latest_time(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        runs = [ledger.start_run("export") for _ in range(3)]
        first, second, third = (export(run, rows=n) for n, run in enumerate(runs, start=1))
        told = [record_export(ledger, one) for one in (first, second, third)]
    assert told == [None, first, second]


def test_an_empty_list_of_an_earlier_release_stands_in_the_way_of_no_plan(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        runs = [ledger.start_run("export") for _ in range(2)]
        record_export(ledger, export(runs[0], rows=0))
        assert record_export(ledger, export(runs[1], plan_digest="another")) is None


def test_another_offer_audience_date_or_campaign_is_another_export(tmp_path):
    others = [
        {"offer_id": "gift"},
        {"audience": "meta"},
        {"as_of": MARCH, "plan_digest": "q"},
        {"campaign_id": "summer", "plan_digest": "q"},
    ]
    with Ledger(tmp_path / "ledger.db") as ledger:
        run = ledger.start_run("export")
        assert record_export(ledger, export(run)) is None
        assert [record_export(ledger, export(run, **other)) for other in others] == [None] * 4


def test_a_second_plan_of_a_campaign_and_date_replaces_the_first_or_is_refused(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        run, later = ledger.start_run("export"), ledger.start_run("export")
        record_export(ledger, export(run))
        with pytest.raises(
            ConfigError, match=f"got a plan other than that of run {run}. Export that"
        ):
            record_export(ledger, export(later, plan_digest="q", offer_id="gift"))
        assert record_export(ledger, export(later, plan_digest="q"), replace=True) is None
        with pytest.raises(ConfigError, match=f"got a plan other than that of run {later}"):
            record_export(ledger, export(run))


def test_an_export_is_of_a_started_run(tmp_path):
    with (
        Ledger(tmp_path / "ledger.db") as ledger,
        pytest.raises(ConfigError, match="run_id must be of a started run"),
    ):
        record_export(ledger, export("nobody"))


def test_the_plan_that_counts_is_the_last_of_its_campaign_and_date(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        runs = [ledger.start_run("plan") for _ in range(2)]
        for run in runs:
            ledger.record_plan(run, [planned(JANUARY)])
        counts = [ledger.is_planned(r, campaign_id="spring", as_of=JANUARY) for r in runs]
        assert counts == [False, True]
        assert not ledger.is_planned(runs[1], campaign_id="spring", as_of=MARCH)


def test_one_run_id_is_of_one_command(tmp_path):
    """Or the facts of a plan would be gone once a scoring took its name."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.start_run("plan", run_id="night-1")
        ledger.finish_run("night-1", status="done", facts={"shares": 1})
        with pytest.raises(
            ConfigError, match=r"night-1 belongs to `churn plan`, got churn score\. Us"
        ):
            ledger.start_run("score", run_id="night-1")
        assert ledger.start_run("plan", run_id="night-1") == "night-1"


def test_what_was_sent_is_a_contact_also_where_its_plan_is_gone(tmp_path):
    sent = Message(
        campaign_id="spring",
        as_of=JANUARY,
        customer_id="ann",
        through="email",
        offer_id="coupon",
        channel="email",
        token="t",
        parcel="p",
        run_id="r",
    )
    with Ledger(tmp_path / "ledger.db") as ledger:
        enqueue(ledger, [sent, replace(sent, customer_id="ben", token="u", state="failed")])
        assert list(ledger.last_contacts(FEBRUARY)) == []
        claim(ledger, [sent], since="2020")
        assert [one.customer_id for one in ledger.last_contacts(FEBRUARY)] == ["ann"]
        counted = ledger.contacts_since(JANUARY, FEBRUARY, excluding=("other", JANUARY))
        assert [(one.customer_id, one.campaign_id) for one in counted] == [("ann", "spring")]
        same = ("spring", JANUARY)
        assert list(ledger.contacts_since(JANUARY, FEBRUARY, excluding=same)) == []


def test_a_clock_that_was_put_back_changes_no_plan_and_stops_no_run(tmp_path):
    """Which plan is the newest is a matter of its date, and a run of today ends as any other."""
    with Ledger(tmp_path / "ledger.db", now=lambda: START) as ledger:
        later = ledger.start_run("plan", run_id="later")
        row = PlanRow(
            customer_id="anna",
            campaign_id="spring",
            as_of=FEBRUARY,
            offer_id="coupon",
            channel="email",
            arm="treatment",
            propensity=1.0,
            expected_cost=0.5,
        )
        ledger.record_plan(later, [row])
        ledger.finish_run(later, status="done")
    with Ledger(tmp_path / "ledger.db", now=lambda: START - timedelta(days=2000)) as ledger:
        again = ledger.start_run("plan", as_of=JANUARY)
        ledger.record_plan(again, [replace(row, as_of=JANUARY)])
        ledger.finish_run(again, status="done")
        assert {run.run_id: run.status for run in ledger.runs()} == {later: "done", again: "done"}
        found, rows = ledger.last_plan("spring", MARCH)
        assert (found.run_id, rows) == (later, [row])
        contacts = list(ledger.last_contacts(MARCH, excluding=("spring", MARCH)))
        assert contacts == [Contact("anna", "coupon", FEBRUARY)]
