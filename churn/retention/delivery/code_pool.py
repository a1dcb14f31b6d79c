"""The file of an offer's coupon codes: one a line, or the column `code` of a CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from churn.errors import ConfigError, DataError

__all__ = ["LONGEST_CODE", "is_code", "read_codes"]

LONGEST_CODE = 100
HEADER = "code"


def is_code(text: object) -> bool:
    """Whether it can stand in a list, a message and an address: printable, without white space."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_CODE
        and text.isprintable()
        and not any(one.isspace() for one in text)
    )


def read_codes(path: Path) -> tuple[str, ...]:
    """The codes in their order, each once; case does not tell two apart.

    ConfigError where there is no such file, DataError where a line holds no code.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = [row for row in csv.reader(text) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        rule = f"the codes of an offer must be a readable text file, {path.name}"
        fix = "Write one code a line, or a CSV with a column code."
        raise ConfigError(rule, got=type(failure).__name__, fix=fix) from None
    codes = _column(rows, path)
    wrong = sum(not is_code(code) for code in codes)
    if wrong:
        rule = f"codes in {path.name} must have 1 to {LONGEST_CODE} characters and no white space"
        raise DataError(rule, got=f"{wrong:,} that are not so", fix="Correct these lines.")
    first: dict[str, str] = {}
    for code in codes:
        first.setdefault(code.lower(), code)
    return tuple(first.values())


def _column(rows: list[list[str]], path: Path) -> list[str]:
    """The cells of the column of codes, without its header and the spaces around them."""
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    place = header.index(HEADER) if HEADER in header else None
    if place is None and any(len(row) > 1 for row in rows):
        rule = f"{path.name} must have one column, or one that is called code"
        raise DataError(rule, got=f"{max(map(len, rows))} columns", fix="Name it in the first row.")
    first = 0 if place is None else 1
    return [row[place or 0].strip() if len(row) > (place or 0) else "" for row in rows[first:]]
