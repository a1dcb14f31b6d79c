"""The recipes for schedulers in docs/nightly.md do what they say, with a stand-in for `churn`."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

PAGE = (Path(__file__).resolve().parents[1] / "docs/nightly.md").read_text(encoding="utf-8")
SAID = '{"as_of": "2026-11-30"}'


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def shop(tmp_path):
    """A folder with a `churn` that ends with the code in the file `code`."""
    place = tmp_path / ".venv/bin/churn"
    place.parent.mkdir(parents=True)
    place.write_text(f"#!/bin/sh\necho \"$@\" >> called\necho '{SAID}'\nexit $(cat code)\n")
    place.chmod(0o755)
    return tmp_path


def bash(command, shop, code):
    (shop / "code").write_text(str(code))
    moved = command.replace("/srv/shop", str(shop))
    return subprocess.run(["bash", "-c", moved], cwd=shop, capture_output=True, check=False)


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (3, 99), (4, 4), (7, 7)])
def test_airflow_skips_a_night_with_stale_data_and_sees_other_exit_codes(shop, code, seen):
    (command,) = re.findall(r'bash_command="(.*)",', PAGE)
    assert bash(command, shop, code).returncode == seen


def test_cron_starts_one_run_at_a_time_and_keeps_its_log(shop):
    (line,) = [one for one in blocks("text") if one.startswith("14 2 * * *")]
    command = line.split(None, 5)[5]
    if shutil.which("flock") is None:
        pytest.skip("needs flock")
    assert bash(command, shop, 0).returncode == 0
    assert (shop / "called").read_text() == "run\n"
    assert (shop / "run.log").read_text() == f"{SAID}\n"
    held = f"flock .cron.lock bash -c '{command.strip()}'"
    assert bash(held, shop, 0).returncode == 1
    assert (shop / "called").read_text() == "run\n"


def test_systemd_accepts_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    paths = []
    for text in blocks("ini"):
        service = "[Service]" in text
        paths.append(tmp_path / ("churn.service" if service else "churn.timer"))
        runs = text.replace("/srv/shop/.venv/bin/churn", "/bin/true").replace("User=churn\n", "")
        paths[-1].write_text(runs)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in checked.stderr.splitlines() if "/churn." in line]
    assert len(paths) == 2
    assert not ours


@pytest.mark.parametrize("code", [0, 3])
def test_dagster_is_told_of_a_result_only_if_there_is_one(shop, monkeypatch, code):
    told = []
    pipes = SimpleNamespace(report_asset_materialization=lambda **given: told.append(given))

    class Opened:
        def __enter__(self):
            return pipes

        def __exit__(self, *_):
            return None

    module = ModuleType("dagster_pipes")
    module.open_dagster_pipes = Opened
    monkeypatch.setitem(sys.modules, "dagster_pipes", module)
    monkeypatch.setenv("PATH", str(shop / ".venv/bin"), prepend=":")
    monkeypatch.chdir(shop)
    (shop / "code").write_text(str(code))
    (script,) = [one for one in blocks("python") if "dagster_pipes" in one]
    if code:
        with pytest.raises(subprocess.CalledProcessError):
            exec(script, {})
        assert told == []
    else:
        exec(script, {})
        assert told == [{"metadata": {"as_of": "2026-11-30"}}]
