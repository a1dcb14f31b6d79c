"""What a mapping may say in the place of a column: a constant in single quotes, or a condition.

channel = "'email'"
granted = "accepts_marketing == 'yes'"
"""

from __future__ import annotations

import re

from churn.data.conditions import Condition, names_in, parse_condition
from churn.errors import ConfigError

__all__ = ["constant", "given_columns", "is_condition", "parsed"]

CONSTANT = re.compile(r"\s*'((?:[^']|'')*)'\s*")
CONDITION = re.compile(
    r"[=<>]|\bin\s*\(|\bis\s+(not\s+)?null\b|\blike\s*'|\bbetween\s", re.IGNORECASE
)


def constant(theirs: str) -> str | None:
    """The text between the quotes; None where it is no constant.

    >>> constant("'email'"), constant("email")
    ('email', None)
    """
    match = CONSTANT.fullmatch(theirs)
    return None if match is None else match[1].replace("''", "'")


def is_condition(theirs: str) -> bool:
    """Whether it is written as a condition and not as the name of a column or arithmetic.

    >>> is_condition("accepts = 'yes'"), is_condition("quantity * price")
    (True, False)
    """
    return constant(theirs) is None and CONDITION.search(theirs) is not None


def given_columns(theirs: str) -> list[str] | None:
    """The columns that a constant or a condition names; None where it is neither."""
    if constant(theirs) is not None:
        return []
    if is_condition(theirs):
        return names_in(parsed(theirs))
    return None


def parsed(theirs: str) -> Condition:
    """The condition; ConfigError where it is none."""
    try:
        return parse_condition(theirs, table="…")
    except ConfigError as failure:
        rule = "what a mapping says in the place of a column must be a condition or a constant"
        fix = "Write e.g. granted = \"accepts_marketing == 'yes'\", or channel = \"'email'\"."
        raise ConfigError(rule, got=failure.got, fix=fix) from None
