"""The package as a whole: its exports, its import time, the help of its commands."""

import ast
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import churn
from churn.cli.options import app

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands | {
    f"{name} {inner}": command
    for name, group in GROUP.commands.items()
    for inner, command in getattr(group, "commands", {}).items()
}
ROOMS = sorted(m.name for m in pkgutil.walk_packages(churn.__path__, "churn.") if m.ispkg)
FOUND = pkgutil.walk_packages(churn.__path__, "churn.")
MODULES = sorted(m.name for m in FOUND if not m.ispkg and m.name != "churn.__main__")

HEAVY = {
    *("numpy", "pandas", "narwhals", "duckdb", "pyarrow", "lightgbm", "mlflow", "sklearn"),
    *("scipy", "pydantic", "joblib", "polars", "fastapi", "uvicorn", "jinja2", "urllib3"),
}
HELP = """
import contextlib, io, sys
from churn.cli import main
for words in {words!r}:
    sys.argv = ["churn", *words, "--help"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main()
"""


def loaded_after(code: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after the code."""
    tail = "\nimport json, sys\nprint(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + tail], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


def test_all_is_sorted_and_has_no_name_twice():
    assert churn.__all__ == sorted(set(churn.__all__))


@pytest.mark.parametrize("name", churn.__all__)
def test_every_exported_name_can_be_imported(name: str):
    assert getattr(churn, name).__doc__
    assert name in dir(churn)


def test_type_checkers_see_exactly_what_is_exported():
    """The imports under TYPE_CHECKING and `__all__` are one list."""
    tree = ast.parse(Path(churn.__file__).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname or alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == set(churn.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'churn' has no attribute 'retain'"):
        _ = churn.retain


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == churn.__version__
    assert project["scripts"] == {"churn": "churn.cli:main"}


def test_import_churn_loads_no_heavy_library():
    assert loaded_after("import churn") & HEAVY == set()


def test_the_list_of_commands_loads_no_heavy_library():
    assert loaded_after(HELP.format(words=[[]])) & HEAVY == set()


def test_help_of_every_command_loads_no_heavy_library_of_ours():
    """Typer itself imports pydantic to read a command's options."""
    words = [name.split() for name in COMMANDS]
    assert loaded_after(HELP.format(words=words)) & HEAVY <= {"pydantic"}


def test_importing_every_room_loads_no_heavy_library():
    """A room's `__init__` is light; its modules bring what they need."""
    assert loaded_after(f"import {', '.join(ROOMS)}") & HEAVY == set()


@pytest.mark.parametrize("name", ROOMS)
def test_every_room_has_a_docstring(name: str):
    assert (importlib.import_module(name).__doc__ or "").strip().endswith(".")


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_docstring(name: str):
    assert (importlib.import_module(name).__doc__ or "").strip()


def test_exports_are_listed_in_one_place():
    """`churn.__all__` lists what users import; modules inside the package export by name."""
    listed = [name for name in MODULES if hasattr(importlib.import_module(name), "__all__")]
    assert listed == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_for_itself_and_each_of_its_options(name: str):
    command: Any = COMMANDS[name]
    assert len((command.help or "").split()) >= 3
    assert [parameter.name for parameter in command.params if not parameter.help] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_its_section_in_the_reference(name: str):
    assert f"\n## `churn {name}`\n" in REFERENCE


@pytest.mark.parametrize("name", sorted({"config", "debug"}))
def test_options_that_many_commands_share_are_the_same_everywhere(name: str):
    shared = {
        (tuple(parameter.opts), parameter.help)
        for command in COMMANDS.values()
        for parameter in command.params
        if parameter.name == name
    }
    assert len(shared) == 1


def test_no_file_of_the_project_names_a_machine_path():
    """Home and work folders differ between machines."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git working copy to know which files are the project's")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    homes = "|".join(("home", "Users", "root", "work", "workspace", "opt/venv"))
    machine_path = re.compile(rf"(?<![\w.*~{{}}/-])/(?:{homes})/\w|[A-Z]:\\\\?Users\b")
    found = [name for name in listed if name and machine_path.search(text_of(ROOT / name))]
    assert found == []


def text_of(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


USES = {
    "serve": (
        "uvicorn",
        "from churn.commands.serve import serve; serve(None, host='', port=0, announce=print)",
    ),
    "report": (
        "altair",
        "from pathlib import Path; from churn.commands.evaluate import evaluate; "
        "evaluate(Path('churn.toml'))",
    ),
    "phone": (
        "phonenumbers",
        "from churn.campaigns.delivery.audiences import e164; e164('1', region='US')",
    ),
    "tune": ("optuna", "from churn.modeling.tuning import _quiet; _quiet().__enter__()"),
    "polars": (
        "polars",
        "from churn.data.engines.choice import open_engine; open_engine('polars')",
    ),
}


@pytest.mark.parametrize("extra", USES)
def test_a_missing_extra_is_named(extra: str):
    """In a separate process that cannot import the package."""
    package, use = USES[extra]
    code = f"import sys; sys.modules[{package!r}] = None; {use}"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert ended.stderr.strip().endswith(f"pip install 'churnwise[{extra}]'")


def test_type_checkers_are_told_that_the_package_is_typed():
    assert Path(churn.__file__).with_name("py.typed").is_file()
