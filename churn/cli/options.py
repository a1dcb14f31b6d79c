"""The command's application, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="churn",
    help="Keep customers: who will stop buying, why, and which offer pays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Pretend it is this date; default: data's end."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR", help="A bundle, pointer or models:/ address; default: champion."
    ),
]
Models = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Where bundles are kept.")
]
Out = Annotated[
    str,
    typer.Option(
        "--out", metavar="FILE", help="Write .parquet, .csv, .xlsx or postgresql://…#table."
    ),
]
OutFile = Annotated[
    str, typer.Option("--out", metavar="FILE", help="Where to write: .parquet, .csv or .xlsx.")
]
RunId = Annotated[
    str | None,
    typer.Option("--run-id", metavar="NAME", help="Name the run; a repeat replaces its rows."),
]
AcceptChange = Annotated[
    bool,
    typer.Option("--accept-change", help="Replace a result that this one differs from a lot."),
]
CHURN_TOML = Path("churn.toml")
