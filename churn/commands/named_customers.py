"""Customers named as arguments, in a file, or on standard input, which keeps them out of the
history of the shell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from churn.commands.earlier_scores import customers_in
from churn.errors import ConfigError, DataError

STANDARD_INPUT = "-"


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


def _named(argument: str) -> list[str]:
    if argument != STANDARD_INPUT:
        return [argument]
    return [line for line in sys.stdin.read().splitlines() if line]


def _listed(file: Path) -> set[str]:
    if not file.is_file():
        rule = "--file must be an existing file of customers"
        raise ConfigError(rule, fix="Write one customer per line, or a column customer_id.")
    try:
        return customers_in(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = "--file must be a readable file of customers"
        fix = "Write one customer per line, or a column customer_id."
        raise DataError(rule, fix=fix) from None
