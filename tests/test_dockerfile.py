"""The Dockerfile's steps, followed in a bare folder: what it copies is enough to run the command.

No container engine is needed, and nothing is installed: the libraries are those of the tests.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STEPS = [tuple(line.split(None, 1)) for line in TEXT.splitlines() if line and line[0] != "#"]


def words(step):
    return [text.split() for name, text in STEPS if name == step]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A folder with nothing but what the COPY steps put there."""
    folder = tmp_path_factory.mktemp("image")
    for *sources, target in words("COPY"):
        for source in sources:
            place = ROOT / source
            if place.is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(place, folder / target, ignore=leave)
            else:
                shutil.copy(place, folder / target)
    return folder


def churn(bare, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(bare)}
    command = [sys.executable, "-P", "-c", "from churn.cli import main; main()", *arguments]
    return subprocess.run(
        command, cwd=bare, env=environment, capture_output=True, text=True, check=False
    )


def test_the_image_runs_the_nightly_run_by_default():
    (entry,), (command,) = words("ENTRYPOINT"), words("CMD")
    assert entry == ['["/opt/churn/venv/bin/churn"]']
    assert command == ['["run"]']
    names = [name for name, _ in STEPS]
    assert names.index("USER") < names.index("ENTRYPOINT"), "it must not run as root"


def test_it_installs_extras_that_exist_with_the_pinned_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = (text for name, text in STEPS if name == "RUN" and "pip install" in text)
    extras = re.search(r'"\.\[([a-z,]+)\]"', install)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    assert "--constraint requirements.txt" in install
    python = next(text for name, text in STEPS if name == "FROM")
    assert project["requires-python"] == ">=3.11"
    assert python.startswith("python:3.11")


def test_what_is_copied_is_what_the_build_needs(bare):
    project = tomllib.loads((bare / "pyproject.toml").read_text(encoding="utf-8"))
    assert (bare / project["project"]["readme"]).is_file()
    for name in project["project"]["license-files"]:
        assert (bare / name).is_file()
    assert (bare / "requirements.txt").is_file()


def test_the_copied_package_runs_alone(bare):
    shown = churn(bare, "run", "--help")
    assert shown.returncode == 0, shown.stderr
    where = "import churn; print(churn.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(bare)}
    found = subprocess.run(
        [sys.executable, "-P", "-c", where],
        cwd=bare,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(bare)
    without = churn(bare, "run", "--dry-run")
    assert without.returncode == 2
    assert "there is no configuration file 'churn.toml'" in without.stderr
