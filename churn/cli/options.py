"""The command-line application, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="churn",
    help="Predict which customers will stop buying, and decide which offers pay.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Option("--config", "-c", help="Configuration file.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Date of the run, exclusive; default: end of the data."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object to standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR", help="Bundle, pointer or models:/ address; default: champion."
    ),
]
Models = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Folder of the models.")
]
Out = Annotated[
    str,
    typer.Option(
        "--out", metavar="FILE", help="Output: .parquet, .csv, .xlsx or postgresql://…#table."
    ),
]
OutFile = Annotated[
    str, typer.Option("--out", metavar="FILE", help="Output: .parquet, .csv or .xlsx.")
]
RunId = Annotated[
    str | None,
    typer.Option(
        "--run-id", metavar="NAME", help="Name of the run; the same name again replaces its rows."
    ),
]
AcceptChange = Annotated[
    bool,
    typer.Option(
        "--accept-change", help="Replace the old result even if the new one differs a lot."
    ),
]
CHURN_TOML = Path("churn.toml")
