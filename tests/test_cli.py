"""The command line: JSON on standard output, text on standard error, errors in one line."""

import json
import re
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest
import typer
from basket_shop import basket_lines, written_shop
from simulated_shop import (
    AS_OF,
    MEMORYLESS_AS_OF,
    copied_shop,
    open_shop,
    simulated_orders,
    trained_shop,
)

from churn.cli.options import app
from churn.cli.running import main
from churn.commands.evaluate import EXTRAS
from churn.results.output import writing_table

KEYS = {
    "schema",
    "command",
    "run_id",
    "as_of",
    "resolved",
    "rows",
    "dropped",
    "ids",
    "model_id",
    "metrics",
    "gate",
    "files",
    "warnings",
}
COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]


@pytest.fixture
def churn(monkeypatch, capfd):
    """Runs the command in this process: exit code, standard output and standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["churn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "shop"
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), folder)


def in_a_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "churn", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


def one_object(out):
    """The output of --json: one line, one object, nothing else."""
    assert out.endswith("\n")
    assert out.count("\n") == 1
    return json.loads(out)


def test_scores_as_json_are_one_object_on_standard_output(churn, shop, tmp_path):
    out = tmp_path / "scores.parquet"
    code, printed, err = churn("score", "-c", shop, "--out", out, "--as-of", AS_OF, "--json")
    result = one_object(printed)
    assert (code, err) == (0, "")
    assert set(result) == KEYS
    assert (result["schema"], result["command"], result["as_of"]) == (1, "score", str(AS_OF))
    assert result["rows"]["scores"] == len(pd.read_parquet(out))
    (file,) = result["files"]
    assert file["path"] == str(out)
    assert re.fullmatch("[0-9a-f]{64}", file["sha256"])


@pytest.mark.parametrize("command", ["check", "features", "plan"])
def test_every_command_prints_the_same_keys(churn, shop, tmp_path, command):
    out = [] if command == "check" else ["--out", tmp_path / "t.parquet"]
    code, printed, err = churn(command, "--config", shop, *out, "--json")
    result = one_object(printed)
    assert (code, err) == (0, "")
    assert set(result) == KEYS
    assert result["command"] == command
    assert result["run_id"]


def test_recommendations_print_the_same_keys_for_the_given_kind(churn, tmp_path):
    shop = written_shop(tmp_path / "shop", basket_lines(20))
    out = tmp_path / "new.csv"
    options = ["--new-only", "--top", 3, "--level", "category", "--json"]
    code, printed, err = churn("recommend", "-c", shop, "--out", out, *options)
    result = one_object(printed)
    assert (code, err, set(result)) == (0, "", KEYS)
    assert (result["metrics"]["kind"], result["metrics"]["level"]) == ("new", "category")
    assert set(pd.read_csv(out)["rank"]) == {1, 2, 3}
    code, _, err = churn("recommend", "-c", shop, "--judge", "--new-only", "--repeat-only")
    assert (code, err.count("\n")) == (2, 1)


def test_an_export_prints_the_same_keys_and_exits_with_its_codes(churn, shop, tmp_path):
    plan, to = tmp_path / "plan.parquet", ("--to", tmp_path / "list.csv", "-c", shop)
    assert churn("plan", "-c", shop, "--out", plan)[0] == 0
    code, printed, err = churn("export", plan, *to, "--json")
    result = one_object(printed)
    assert (code, err) == (0, "")
    assert set(result) == KEYS
    assert result["rows"]["exported"] == len(pd.read_csv(tmp_path / "list.csv")) > 10
    code, _, err = churn("export", plan, *to, "--audience", "elsewhere")
    assert (code, err.count("\n")) == (2, 1)
    plan.with_name("plan.parquet.manifest.json").unlink()
    code, _, err = churn("export", plan, *to)
    assert (code, err.count("\n")) == (3, 1)


def test_text_goes_to_standard_error_and_standard_output_stays_empty(churn, shop, tmp_path):
    out = tmp_path / "scores.csv"
    code, printed, err = churn("score", "-c", shop, "--out", out)
    assert (code, printed) == (0, "")
    assert f"churn score as of {AS_OF} (exclusive)" in err
    assert "value at risk, EUR" in err
    assert f"wrote {out}" in err


def test_a_rejected_model_is_a_result_and_exit_code_4(shop, churn, tmp_path):
    """There is a champion, and the new model does not beat the baselines."""
    own = copied_shop(shop, tmp_path / "shop")
    simulated_orders(150, days=300, memoryless=True).to_parquet(own.with_name("orders.parquet"))
    models = own.parent / "models"
    champion = (models / "champion").read_text().strip()
    code, printed, err = churn("train", "-c", own, "--as-of", MEMORYLESS_AS_OF, "--json")
    result = one_object(printed)
    assert (code, err) == (4, "")
    assert result["gate"]["promoted"] is False
    assert result["gate"]["reasons"][-1] == "the champion stays"
    assert (models / "champion").read_text().strip() == champion


def without_a_configuration(shop):
    return ["check", "-c", shop.with_name("none.toml")]


def with_a_wrong_setting(shop):
    shop.write_text(shop.read_text().replace("cutoffs = 8", "cutoffs = 'eight'"))
    return ["check", "-c", shop]


def with_no_date(shop):
    return [*scoring(shop), "--as-of", "soon"]


def with_a_damaged_table(shop):
    (shop.parent / "orders.parquet").write_bytes(b"PAR1 and no more")
    return ["check", "-c", shop]


def without_rows(shop):
    simulated_orders(2).head(0).to_parquet(shop.parent / "orders.parquet")
    return ["train", "-c", shop]


def without_a_model(shop):
    return scoring(shop)


def without_a_place(shop):
    return [*scoring(shop)[:-1], "/proc/none/s.parquet"]


def scoring(shop):
    return ["score", "-c", shop, "--out", shop.with_name("s.parquet")]


FAILURES = [
    (without_a_configuration, 2),
    (with_a_wrong_setting, 2),
    (with_no_date, 2),
    (with_a_damaged_table, 3),
    (without_rows, 4),
    (without_a_model, 5),
    (without_a_place, 7),
]


@pytest.fixture
def small_shop(tmp_path):
    """A shop without a model, in which commands fail."""
    return open_shop(tmp_path / "shop", simulated_orders(30, days=200))


@pytest.mark.parametrize(("failing", "wanted"), FAILURES)
def test_a_failure_is_one_line_of_cause_with_its_exit_code(churn, small_shop, failing, wanted):
    """The steps of a long command come before it."""
    code, out, err = churn(*failing(small_shop))
    assert (code, out) == (wanted, "")
    *steps, cause = err.splitlines()
    assert cause.startswith("error: ")
    assert all(step.endswith(" …") for step in steps)
    assert "Traceback" not in err


@pytest.mark.parametrize(("failing", "wanted"), FAILURES)
def test_a_failure_as_json_has_rule_and_fix_on_standard_output(churn, small_shop, failing, wanted):
    code, out, err = churn(*failing(small_shop), "--json")
    assert code == wanted
    (result,) = one_object(out).values()
    assert set(result) == {"code", "rule", "got", "fix"}
    assert result["code"] == wanted
    assert result["rule"] in err


def test_with_debug_a_failure_shows_where_it_arose(tmp_path):
    done = in_a_process("check", "-c", tmp_path / "none.toml", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "ConfigError: there is no configuration file 'none.toml'" in done.stderr


def test_a_busy_target_is_exit_code_6(churn, shop, tmp_path):
    with writing_table(tmp_path / "s.csv") as writer:
        code, _, err = churn("score", "-c", shop, "--out", tmp_path / "s.csv")
        writer.write(pa.table({"n": [1]}), {})
    assert code == 6
    assert err.startswith("error: writing ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["unknown"], ["score"], ["check", "--unknown"], ["models", "unknown"], ["models", "show"]],
)
def test_wrong_usage_as_json_is_one_object_with_rule_and_fix(churn, arguments):
    code, out, err = churn(*arguments[:1], *arguments[1:], "--json")
    (result,) = one_object(out).values()
    assert (code, result["code"], result["got"]) == (2, 2, None)
    assert result["rule"] in err
    assert "--help" in result["fix"]


@pytest.mark.parametrize("arguments", [["unknown"], ["score"], ["check", "--unknown"]])
def test_wrong_usage_is_exit_code_2_with_its_cause(churn, arguments):
    code, out, err = churn(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: ")
    assert re.search(r"No such command 'unknown'|Missing option '--out'|No such option", err)


def test_a_bug_is_exit_code_1_without_a_traceback_by_default(tmp_path):
    """A library that fails on import simulates an unexpected error."""
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("raise RuntimeError('broken')\n")
    done = in_a_process("check", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "error: internal error, RuntimeError; try --debug\n"
    asked = in_a_process("check", "--debug", PYTHONPATH=str(tmp_path))
    assert asked.returncode == 1
    assert "RuntimeError: broken" in asked.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_options(churn, command):
    code, out, err = churn(command, "--help")
    assert (code, err) == (0, "")
    assert f"churn {command} [OPTIONS]" in out
    assert "--json" in out
    assert "--debug" in out


@pytest.mark.parametrize("words", [["--json"], ["list"], ["show", "ID"], ["compare", "A", "B"]])
def test_models_are_shown_as_json_and_as_tables(churn, shop, words):
    model_id = (shop.parent / "models" / "champion").read_text().strip()
    words = [model_id if word in ("ID", "A", "B") else word for word in words]
    code, printed, err = churn(
        "models", *words, "-c", shop, *(["--json"] * ("--json" not in words))
    )
    result = one_object(printed)
    assert (code, err) == (0, "")
    assert set(result) == KEYS
    assert result["command"] == "models"
    code, printed, err = churn("models", *(word for word in words if word != "--json"), "-c", shop)
    assert (code, printed) == (0, "")
    assert model_id in err


def test_an_option_before_a_subcommand_is_rejected(churn, shop):
    code, out, err = churn("models", "-c", shop, "show", "m-1")
    assert (code, out) == (2, "")
    assert "write --config after `churn models show`" in err


@pytest.mark.parametrize("command", ["list", "show", "compare", "promote", "rollback"])
def test_every_command_about_models_has_help(churn, command):
    code, out, err = churn("models", command, "--help")
    assert (code, err) == (0, "")
    assert f"churn models {command} [OPTIONS]" in out
    assert "--json" in out


def test_help_lists_every_command(churn):
    code, out, _ = churn("--help")
    assert code == 0
    assert all(re.search(rf"^  {command}\b", out, re.MULTILINE) for command in COMMANDS)


def test_no_line_on_standard_error_comes_from_the_libraries_at_the_end(shop, tmp_path):
    """A complete run in a separate process, so that output at its end is seen as well."""
    done = in_a_process("score", "-c", shop, "--out", tmp_path / "s.parquet", "--json")
    assert done.returncode == 0
    assert done.stderr == ""
    assert set(one_object(done.stdout)) == KEYS


def test_a_customers_name_is_in_no_error(churn, tmp_path):
    secret = "jane.doe@example.org"
    orders = simulated_orders(30).assign(amount="12,5O").replace({"c0001": secret})
    config = open_shop(tmp_path / "shop", orders)
    code, out, err = churn("check", "-c", config)
    assert (code, out) == (3, "")
    assert secret not in err
    assert "12,5O" not in err


def test_every_costly_part_of_a_report_is_an_option_of_evaluate():
    command = typer.main.get_command(app).commands["evaluate"]
    assert {f"--{name}" for name in EXTRAS} <= {o for p in command.params for o in p.opts}
