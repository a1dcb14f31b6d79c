"""Customers whom a person names: as words, in a file, or on standard input, so that no shell's
history keeps them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from churn.commands.earlier_scores import customers_in
from churn.errors import ConfigError, DataError

STANDARD_INPUT = "-"


def named_customers(words: Iterable[str], file: Path | None = None) -> list[str]:
    """The distinct customers; `-` among the words stands for the lines of standard input.

    ConfigError where there is none, or the file is not there.
    """
    named = dict.fromkeys(name for word in words for name in _meant(word))
    if file is not None:
        named |= dict.fromkeys(sorted(_listed(file)))
    if any(not name.strip() for name in named):
        rule = "a customer must be named by at least one character"
        raise ConfigError(rule, got="an empty name", fix="Check the list, or the variable.")
    if not named:
        rule = "at least one customer must be named"
        raise ConfigError(rule, fix="Pass CUSTOMER, --file FILE, or - to read standard input.")
    return list(named)


def only_customer(word: str) -> str:
    """The one customer who is named; ConfigError where standard input names several."""
    named = named_customers([word])
    if len(named) > 1:
        rule = "exactly one customer must be named"
        raise ConfigError(rule, got=f"{len(named):,}", fix="Ask for one after the other.")
    return named[0]


def _meant(word: str) -> list[str]:
    if word != STANDARD_INPUT:
        return [word]
    return [line for line in sys.stdin.read().splitlines() if line]


def _listed(file: Path) -> set[str]:
    if not file.is_file():
        rule = "--file must name a file of customers"
        raise ConfigError(rule, fix="Write one customer in a line, or a column customer_id.")
    try:
        return customers_in(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = "--file must be a readable file of customers"
        fix = "Write one customer in a line, or a column customer_id."
        raise DataError(rule, fix=fix) from None
