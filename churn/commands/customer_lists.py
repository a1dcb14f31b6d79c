"""Customers named as arguments, in files, or on standard input, which keeps them out of the history
of the shell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from churn.errors import ConfigError, DataError
from churn.results.spreadsheets import unguarded
from churn.scoring.score import Explained
from churn.storage.manifests import sidecar_of

STANDARD_INPUT = "-"
SELECTIONS: dict[str, Explained] = {"at-risk": "at_risk", "all": "all", "none": "none"}
FORMAT = "Write one customer per line, or a column customer_id."


def named_customers(arguments: Iterable[str], file: Path | None = None) -> list[str]:
    """The distinct customers; the argument `-` stands for the lines of standard input.

    ConfigError if there is none, or the file does not exist.
    """
    named = dict.fromkeys(name for argument in arguments for name in _named(argument))
    if file is not None:
        named |= dict.fromkeys(sorted(_listed(file)))
    if any(not name.strip() for name in named):
        rule = "a customer id must have at least one character"
        raise ConfigError(rule, got="an empty id", fix="Check the list or the variable.")
    if not named:
        rule = "at least one customer must be passed"
        raise ConfigError(rule, fix="Pass CUSTOMER, --file FILE, or - to read standard input.")
    return list(named)


def only_customer(argument: str) -> str:
    """The customer of the argument; ConfigError if standard input contains several."""
    named = named_customers([argument])
    if len(named) > 1:
        rule = "exactly one customer must be passed"
        raise ConfigError(rule, got=f"{len(named):,}", fix="Run the command once per customer.")
    return named[0]


def customers_to_explain(value: str) -> Explained:
    """`at-risk`, `all`, `none`, or the customers in a file: a .parquet or .csv with a column
    customer_id, or any other file with one customer per line.
    """
    if value in SELECTIONS:
        return SELECTIONS[value]
    path = Path(value)
    if not path.is_file():
        rule = f"--explain must be one of {', '.join(SELECTIONS)} or a file of customers"
        raise ConfigError(rule, got=path.name, fix="Pass e.g. --explain at-risk.")
    try:
        return customers_in(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = f"{path.name} must be a readable file of customers"
        raise DataError(rule, fix=FORMAT) from None


def customers_in(path: Path) -> set[str]:
    """The customers in a file: the column customer_id of a .parquet or .csv, else one per line."""
    if path.suffix not in (".parquet", ".csv"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return {line for line in lines if line}
    table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    if "customer_id" not in table.schema.names:
        rule = f"{path.name} must have a column customer_id"
        raise DataError(rule, fix="Rename the column, or write one customer per line in a .txt.")
    return {str(name) for name in table.column("customer_id").to_pylist() if name is not None}


def customers_on(path: Path, *, option: str, example: str) -> set[str]:
    """The customers on a list, a .parquet, .csv or .txt; ConfigError if there is no such file,
    because a list that is not read would restrict nobody. `example` writes such a list.
    """
    if not path.is_file() or path.suffix not in (".parquet", ".csv", ".txt"):
        rule = f"{option} must be an existing .parquet, .csv or .txt file"
        got = path.name if path.is_file() else "no such file"
        raise ConfigError(rule, got=got, fix=f"Write it with `{example}`.")
    try:
        return customers_in(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = f"{path.name} must be a readable file of customers"
        raise DataError(rule, fix=FORMAT) from None


def _named(argument: str) -> list[str]:
    if argument != STANDARD_INPUT:
        return [argument]
    return [line for line in sys.stdin.read().splitlines() if line]


def _listed(file: Path) -> set[str]:
    if not file.is_file():
        rule = "--file must be an existing file of customers"
        raise ConfigError(rule, fix=FORMAT)
    try:
        return customers_in(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = "--file must be a readable file of customers"
        raise DataError(rule, fix=FORMAT) from None


def _parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _csv(path: Path) -> pa.Table:
    texts = pa_csv.ConvertOptions(column_types={"customer_id": pa.string()})
    lines = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(path, parse_options=lines, convert_options=texts)
    if "customer_id" not in table.schema.names or not sidecar_of(path).exists():
        return table
    return table.select(["customer_id"]).set_column(
        0, "customer_id", unguarded(table["customer_id"])
    )
