"""DuckDB's SQL for a `where` condition: quoted names and constants, none of the user's own SQL.

Text comparison ignores case and surrounding space, and an empty text is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date

from churn.data.casts import NUMERIC, cast_sql, usual_notation
from churn.data.conditions import (
    Comparison,
    Condition,
    Flag,
    Junction,
    Like,
    Literal,
    Membership,
    Name,
    Negation,
    NullTest,
    constant,
    names_in,
    parsed,
)
from churn.data.contracts import Column
from churn.data.engines.base import identifier, literal
from churn.data.settings import TableSource
from churn.data.words import flag_sql
from churn.errors import ConfigError, DataError

FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
ISO_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}\s*")
# Values of these columns may be personal data, which no audit shows.
PERSONAL = re.compile(
    r"customer|client|kunde|user|name|mail|phone|tel|addr|street|zip|note|(^|_)id$"
)
SHOWN_VALUE = r"\p{L}[\p{L} _/.-]{0,30}"


@dataclass(frozen=True)
class ConditionSQL:
    """Compiles conditions over the columns of one source; `types` are their SQL types.

    Values of the columns in `personal`, and of columns with such names, are never shown.
    """

    table: str
    types: Mapping[str, str]
    source: TableSource
    timezone: str
    personal: Collection[str] = ()

    def sql(self, condition: Condition) -> str:
        """The condition: true, false, or null if a value that it needs is missing."""
        if isinstance(condition, Comparison):
            return self._comparison(condition)
        if isinstance(condition, Membership):
            return self._among(condition)
        if isinstance(condition, Junction):
            return "(" + f" {condition.word} ".join(map(self.sql, condition.parts)) + ")"
        if isinstance(condition, Negation):
            return f"(NOT {self.sql(condition.condition)})"
        return self._single(condition)

    def _single(self, condition: NullTest | Flag | Like) -> str:
        """A condition on a single column, without a constant of its kind."""
        if isinstance(condition, NullTest):
            return f"({self._text(condition.column)} IS NULL)"
        if isinstance(condition, Flag):
            return f"({self._cast(condition.column, 'flag')})"
        pattern = f"lower(trim({literal(condition.pattern)}))"
        return f"({self._text(condition.column)} LIKE {pattern})"

    def columns(self, condition: Condition) -> list[str]:
        """The columns of the source that the condition names; DataError if one does not exist."""
        return [self._found(Name(name)) for name in names_in(condition)]

    def label_sql(self, condition: Condition) -> str:
        """What is shown for a row that the condition leaves out: the value that excludes it, or
        null where that might be anything.
        """
        parts = condition.parts if isinstance(condition, Junction) else (condition,)
        if isinstance(condition, Junction) and condition.word == "or":
            return "NULL::VARCHAR"
        cases = [f"WHEN {self.sql(part)} IS NOT TRUE THEN {self._value(part)}" for part in parts]
        return f"CASE {' '.join(cases)} END"

    def _value(self, part: Condition) -> str:
        columns = self.columns(part)
        if len(columns) != 1 or columns[0] in self.personal or _may_be_personal(columns[0]):
            return "NULL::VARCHAR"
        value = self._text(Name(columns[0]))
        if isinstance(part, Flag) or self._speaks_of_flag(part):
            return literal(columns[0])
        safe = f"regexp_full_match({value}, {literal(SHOWN_VALUE)})"
        return f"CASE WHEN {safe} THEN {value} END"

    def _speaks_of_flag(self, part: Condition) -> bool:
        inner = part.condition if isinstance(part, Negation) else part
        return isinstance(inner, Flag | NullTest) or (
            isinstance(inner, Comparison)
            and any(
                isinstance(side, Literal) and not isinstance(side.value, str)
                for side in (inner.left, inner.right)
            )
        )

    def _comparison(self, condition: Comparison) -> str:
        left, sign, right = condition.left, condition.sign, condition.right
        if isinstance(left, Literal):
            left, sign, right = right, FLIPPED.get(sign, sign), left
        assert isinstance(left, Name)
        if isinstance(right, Name):
            return self._two_columns(left, sign, right)
        mine, other = self._beside(left, sign, right.value)
        return f"({mine} {sign} {other})"

    def _two_columns(self, left: Name, sign: str, right: Name) -> str:
        """Compared as numbers if both are numbers, else as texts."""
        texts = f"{self._text(left)} {sign} {self._text(right)}"
        kinds = [self._kind(name) for name in (left, right)]
        if any(_is_time(kind) for kind in kinds):
            return f"({self._day(left)} {sign} {self._day(right)})"
        if "BOOLEAN" in kinds:
            return f"({texts})"
        one, other = self._cast(left, "number"), self._cast(right, "number")
        return (
            f"(CASE WHEN {one} IS NOT NULL AND {other} IS NOT NULL THEN {one} {sign} {other} "
            f"ELSE {texts} END)"
        )

    def _beside(self, column: Name, sign: str, value: object) -> tuple[str, str]:
        """The column and the constant as the same kind."""
        kind = self._kind(column)
        if isinstance(value, date):
            return self._day(column), f"DATE {literal(value)}"
        if isinstance(value, bool):
            return self._cast(column, "flag"), literal(value)
        if isinstance(value, float):
            return self._number(column), repr(value)
        text = str(value)
        ordered = sign in FLIPPED
        if _is_time(kind) or (ordered and kind == "VARCHAR" and ISO_DATE.fullmatch(text)):
            return self._day(column), f"DATE {literal(self._iso(column, text))}"
        if NUMERIC.match(kind):
            return self._number(column), repr(self._as_number(column, text))
        return self._text(column), f"lower(trim({literal(text)}))"

    def _among(self, condition: Membership) -> str:
        column = condition.column
        pairs = [self._beside(column, "=", value.value) for value in condition.values]
        by_kind: dict[str, list[str]] = {}
        for mine, other in pairs:
            by_kind.setdefault(mine, []).append(other)
        tests = [f"{mine} IN ({', '.join(others)})" for mine, others in by_kind.items()]
        return f"({' OR '.join(tests)})"

    def _found(self, column: Name) -> str:
        """The name as the source writes it; another case is accepted if it is unambiguous."""
        if column.name in self.types:
            return column.name
        same = [name for name in self.types if name.casefold() == column.name.casefold()]
        if len(same) == 1:
            return same[0]
        raise DataError(
            f"[data.{self.table}] where names only columns of its source",
            got=column.name,
            fix=f"It has {list(self.types)}.",
        )

    def _kind(self, column: Name) -> str:
        kind = self.types[self._found(column)]
        return "VARCHAR" if kind == '"NULL"' else kind

    def _text(self, column: Name) -> str:
        return f"nullif(lower(trim(CAST({identifier(self._found(column))} AS VARCHAR))), '')"

    def _number(self, column: Name) -> str:
        if self._kind(column) == "BOOLEAN":
            return f"CAST({identifier(self._found(column))} AS INTEGER)"
        return self._cast(column, "number")

    def _day(self, column: Name) -> str:
        instant = self._cast(column, "time")
        return f"CAST(timezone({literal(self.timezone)}, {instant}) AS DATE)"

    def _cast(self, column: Name, kind: str) -> str:
        theirs = self._found(column)
        ours = Column(theirs, kind)  # type: ignore[arg-type]
        careful = {theirs: replace(usual_notation(self.source), careful=True)}
        types = dict(self.types)
        return cast_sql(ours, theirs, types, self.source, self.timezone, careful)

    def _iso(self, column: Name, text: str) -> date:
        try:
            return date.fromisoformat(text.strip())
        except ValueError:
            raise self._no_match(column, "dates", "Write date '2024-01-31'.") from None

    def _as_number(self, column: Name, text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._no_match(column, "numbers", "Write the number without quotes.")
        return number

    def _no_match(self, column: Name, what: str, fix: str) -> ConfigError:
        rule = f"[data.{self.table}] where compares {column.name!r}, which holds {what}, with such"
        return ConfigError(rule, got="another text", fix=fix)


def _is_time(kind: str) -> bool:
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _may_be_personal(name: str) -> bool:
    return PERSONAL.search(name.lower()) is not None


def given_sql(
    column: Column, theirs: str, types: Mapping[str, str], source: TableSource, timezone: str
) -> str:
    """The SQL of a constant, or of a condition for a flag, given in place of a column.

    ConfigError if the column cannot be given that way.
    """
    text = constant(theirs)
    if text is not None and column.kind in GIVEN_KINDS:
        return GIVEN_KINDS[column.kind](literal(text))
    if text is None and column.kind == "flag":
        compiler = ConditionSQL("consents", types, source, timezone)
        return compiler.sql(parsed(theirs))
    what = "a constant" if text is not None else "a condition"
    rule = f"{column.name} must be a column of the source"
    fix = "A constant may stand for a text or a flag, a condition for a flag alone."
    raise ConfigError(rule, got=what, fix=fix)


GIVEN_KINDS: dict[str, Callable[[str], str]] = {
    "text": str,
    "code": lambda text: f"lower({text})",
    "flag": flag_sql,
}
"""The kinds that may be given as a constant, and the SQL of the constant."""
