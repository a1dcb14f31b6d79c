"""The command reference, generated from the application: `python -m churn.cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from churn.cli import app

INTRODUCTION = """\
# Commands

Generated from the command-line application by `make docs`.

Tables and progress for people go to standard error. With `--json`, a command writes exactly one
JSON object to standard output. Every failure is one line on standard error that states the cause;
`--debug` shows the traceback. [Exit codes](outputs.md#exit-codes) lists what a command returns.

- **`--as-of DATE`** sets the date of the run, exclusive: nothing on or after it is seen. The
  default is the end of the data, which is the day after the last date. If orders carry times, it
  is the last midnight before the last order, because that day may be incomplete; pass the
  following day to state that it is complete.
- **`--config FILE`** selects another configuration file than `churn.toml`.
- **`--out FILE`** ends in `.parquet`, `.csv` or `.xlsx`. Scores, plans and lists can also be
  written to and read from a PostgreSQL table, `postgresql://user@host/database#schema.table`: see
  [databases.md](databases.md).
- **`--run-id NAME`** names a run of `score` or `plan`.

`churn COMMAND --help` shows the same on the terminal.
"""

# Additions to the short help of a command.
NOTES = {
    "init": (
        "Writes `churn.toml`, and `offers.toml` if there is none: [quickstart.md](quickstart.md)."
    ),
    "example": "The default configuration of the repository, `churn.toml`, reads these files.",
    "simulate": "Data sets and data-generating process: [simulator.md](simulator.md).",
    "live-on": (
        "Advances the simulated calendar after the offers of a plan were sent, and reports "
        "what they really changed: [simulator.md](simulator.md#advancing-the-simulation)."
    ),
    "check": "Writes no table. [data.md](data.md) explains what is counted and why.",
    "metrics": (
        "Every number is defined in [retention.md](retention.md). `--json` has all periods and the "
        "definitions; `--out` writes one row per split, value and period. `--customers` writes the "
        "list of customers behind a number instead: "
        "[retention.md](retention.md#from-a-number-to-its-customers)."
    ),
    "cohorts": (
        "Every number is defined in [retention.md](retention.md#cohorts). `--out` writes one row "
        "per cohort and age. `--customers` takes cells such as `customers,cohort=2017-02-27,age=3`."
    ),
    "features": "All features: [features.md](features.md).",
    "train": (
        "Trains, evaluates, records the run in MLflow, writes a bundle, and promotes it if "
        "it passes the gate: [judgement.md](judgement.md)."
    ),
    "evaluate": (
        "Evaluates on cutoffs after the training data; right after a training there are "
        "none yet. `--pooled`, `--ablation` and `--horizons` add analyses that refit the "
        "model and take longer: [judgement.md](judgement.md)."
    ),
    "score": (
        "Also reports what changed since the scores it replaces (or `--since FILE`), and "
        "warns if the model was trained on data from after the date. It stops before it "
        "replaces scores that differ too much, unless `--accept-change` is given: "
        "[data.md](data.md#protection-against-bad-input). `--explain FILE` takes a `.txt` "
        "with one customer per line, or a `.csv` or `.parquet` with a column `customer_id`. "
        "Columns: [outputs.md](outputs.md#scores)."
    ),
    "segments": (
        "Bounds and clusters are learnt once and frozen in `segments.json`: "
        "[segments.md](segments.md#segments)."
    ),
    "journey": "Stages and frictions: [segments.md](segments.md#journey).",
    "signals": "How changes are tested: [segments.md](segments.md#signals).",
    "feedback": "NPS, CSAT and the worklist: [segments.md](segments.md#feedback).",
    "plan": (
        "One offer, or `none` with the reason, for every customer: "
        "[outputs.md](outputs.md#offer-plan). `--scores` reads `.parquet`, `.csv`, `.xlsx` "
        "or a PostgreSQL table. `--customers` takes a `.parquet` or `.csv` with a column "
        "`customer_id`, or a `.txt` with one per line. A dry run is not recorded in the ledger."
    ),
    "effects": (
        "Estimates the treatment effect of each offer from randomised contacts: "
        "[effects.md](effects.md)."
    ),
    "export": (
        "Consent is checked again at `--date`. `--audience` writes hashed identifiers: "
        "[delivery.md](delivery.md)."
    ),
    "measure": (
        "Incremental results of a plan against its holdout and controls, before or after "
        "the end of the horizon: [measure.md](measure.md)."
    ),
    "recommend": (
        "Repeat purchases that are due, and new products that go with past purchases. Every "
        "run evaluates the lists against best sellers; `--judge` writes no file: "
        "[recommend.md](recommend.md)."
    ),
    "send": (
        "Each message is sent at most once: e-mails with one-click unsubscribe, or signed "
        "batches with `--through webhook`. `--preview DIR` renders messages first: "
        "[sending.md](sending.md)."
    ),
    "serve": (
        "The unsubscribe page that the links in e-mails lead to, and the other parts that "
        "`[serving]` switches on: [sending.md](sending.md#unsubscribe-page), [pages.md](pages.md), "
        "[serving.md](serving.md)."
    ),
    "publish": (
        "Scores and plan of the date are read if they are on record; without scores the champion "
        "scores. A plan is never made here: [report.md](report.md#publishing)."
    ),
    "report": (
        "Reads the file of `churn publish`. Without `--ids` it names no customer and hides counts "
        "of fewer than ten: [report.md](report.md#report)."
    ),
    "digest": (
        "Reads the file of `churn publish`, names no customer, and sends nothing without `--send`: "
        "[report.md](report.md#digest)."
    ),
    "keys": "Keys of programs that use the HTTP API: [serving.md](serving.md#api-keys).",
    "keys create": "Only a hash of the key is kept: [serving.md](serving.md#api-keys).",
    "keys list": "Revoked keys stay in the list.",
    "keys revoke": "`PREFIX` is the part of the key between its two underscores.",
    "access": (
        "Everything stored about a customer, with an explanation of every field: "
        "[privacy.md](privacy.md)."
    ),
    "forget": (
        "Erases customers from the ledger and from all written files, and keeps them out of "
        "later imports: [privacy.md](privacy.md)."
    ),
    "run": (
        "Steps that are done on the same data with the same inputs are skipped. Steps, exit codes "
        "and recipes for schedulers: [nightly.md](nightly.md)."
    ),
    "monitor": (
        "Layers, limits and alerts: [monitor.md](monitor.md). `--out` writes one row per check."
    ),
    "prune": (
        "What is removed and what never is: [privacy.md](privacy.md#retention-periods). Needs "
        "`[privacy] keep_days`."
    ),
    "sync": "For trainings during which MLflow could not be reached: [serving.md](serving.md).",
    "demo": "From simulated orders to the measured result of a campaign: [demo.md](demo.md).",
    "models": (
        "Lists the models, their evaluation, and which one is champion, challenger or a "
        "former champion."
    ),
    "models list": "The same as `churn models`.",
    "models show": (
        "Properties, evaluation and time as champion of a model. `ID` may be abbreviated to "
        "a prefix that no other model shares."
    ),
    "models compare": "The metrics of two models side by side, or why they are not comparable.",
    "models promote": (
        "Promotes a model that passed the gate. `--force --reason TEXT` promotes another "
        "one: [judgement.md](judgement.md#promotion-gate)."
    ),
    "models rollback": "Reinstates the previous champion.",
}


def commands_by_name() -> dict[str, Any]:
    """Every command by its full name, subcommands after their group."""
    commands: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        commands[name] = command
        for inner, subcommand in getattr(command, "commands", {}).items():
            commands[f"{name} {inner}"] = subcommand
    return commands


def command_reference() -> str:
    """Markdown: an overview, then a section per command with its arguments and options."""
    commands = commands_by_name()
    rows = [
        f"| [`churn {name}`](#churn-{name.replace(' ', '-')}) | {_summary(command)} |"
        for name, command in commands.items()
    ]
    overview = "\n".join(["| command | purpose |", "|---|---|", *rows])
    sections = [_section(name, command) for name, command in commands.items()]
    return "\n".join([INTRODUCTION, overview, *sections])


def _summary(command: Any) -> str:
    return str(command.help).split("\n\n")[0]


def _section(name: str, command: Any) -> str:
    arguments = "".join(f" {_placeholder(item)}" for item in command.params if _is_argument(item))
    text = [f"\n## `churn {name}`", "", *_paragraphs(str(command.help)), NOTES[name], ""]
    usage = ["```text", f"churn {name}{arguments} [OPTIONS]", "```", ""]
    table = ["| argument, option | default | meaning |", "|---|---|---|", *_rows(command)]
    return "\n".join([*text, *usage, *table])


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        yield " ".join(paragraph.split())
        yield ""


def _rows(command: Any) -> Iterator[str]:
    for parameter in command.params:
        meaning = " ".join(str(parameter.help).split()).replace("|", r"\|")
        yield f"| {_names(parameter)} | {_default(parameter)} | {meaning} |"


def _names(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{_placeholder(parameter)}`"
    names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
    return f"{names} `{parameter.metavar}`" if parameter.metavar else names


def _placeholder(parameter: Any) -> str:
    repeated = "…" if parameter.nargs == -1 else ""
    name = f"{parameter.metavar or parameter.name.upper()}{repeated}"
    return name if parameter.required else f"[{name}]"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.secondary_opts:  # a pair such as --lines/--no-lines
        chosen = parameter.opts if parameter.default else parameter.secondary_opts
        return f"`{chosen[0]}`"
    if parameter.default is None or parameter.default is False:
        return ""
    return f"`{parameter.default}`"


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


if __name__ == "__main__":
    print(command_reference())
