"""Exact casts at the door: a shop's own columns become ids, instants, numbers, flags or texts.

Nothing is guessed: a value that is not exactly of its kind becomes null and is counted as unusable.
"""

import re

from churn.data.contracts import Column
from churn.data.engine import identifier, literal
from churn.data.settings import TableSource
from churn.errors import DataError

__all__ = ["cast_sql", "source_columns"]

NUMERIC = re.compile(
    r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|REAL|DECIMAL.*)$", re.IGNORECASE
)
WHOLE = re.compile(r"^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$", re.IGNORECASE)
TOKEN = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d]\w*|\d+(?:\.\d+)?|[-+*/()])')
# A clock time followed by Z or an offset: only then does the text carry a zone of its own.
ZONED = r"\d:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"


def cast_sql(
    column: Column, theirs: str, types: dict[str, str], source: TableSource, timezone: str
) -> str:
    """The SQL that reads one of our columns from theirs; null where a value is not of its kind."""
    if theirs not in types:
        return _arithmetic_sql(column, theirs, types, source)
    kind = types[theirs]
    name = identifier(theirs)
    if column.kind == "id":
        return _id_sql(column, name, kind)
    if column.kind == "time":
        return _time_sql(column, name, kind, source, timezone)
    if column.kind == "number":
        return _number_sql(column, name, kind, source)
    if column.kind == "flag":
        return f"TRY_CAST({name} AS BOOLEAN)"
    return f"CAST({name} AS VARCHAR)"


def source_columns(theirs: str, types: dict[str, str]) -> list[str]:
    """The source's columns that a mapping names: the column itself or those of its arithmetic."""
    if theirs in types:
        return [theirs]
    names = [_unquoted(token) for token in _tokens(theirs)]
    return [name for name in names if not re.fullmatch(r"\d+(\.\d+)?|[-+*/()]", name)]


def _id_sql(column: Column, name: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"NULLIF({name}, '')"
    if WHOLE.match(kind) or kind == "UUID":
        return f"CAST({name} AS VARCHAR)"
    if NUMERIC.match(kind):  # whole numbers that became floats because some are missing
        whole = f"CAST(CAST({name} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN isfinite({name}) AND {name} = floor({name}) THEN {whole} END"
    raise _wrong_type(column, kind, "text or whole numbers")


def _time_sql(column: Column, name: str, kind: str, source: TableSource, timezone: str) -> str:
    zone = literal(timezone)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return name
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"timezone({zone}, CAST({name} AS TIMESTAMP))"
    text = f"CAST({name} AS VARCHAR)"
    if source.date_format is not None:
        parsed = f"try_strptime({text}, {literal(source.date_format)})"
        return parsed if "%z" in source.date_format.lower() else f"timezone({zone}, {parsed})"
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "dates, timestamps or text that reads as such")
    return (
        f"CASE WHEN regexp_matches({name}, '{ZONED}') THEN TRY_CAST({name} AS TIMESTAMPTZ) "
        f"ELSE timezone({zone}, TRY_CAST({name} AS TIMESTAMP)) END"
    )


def _number_sql(column: Column, name: str, kind: str, source: TableSource) -> str:
    if NUMERIC.match(kind):
        return f"CAST({name} AS DOUBLE)"
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "numbers or text that reads as such")
    if source.decimal == ",":
        return f"TRY_CAST(replace(replace({name}, '.', ''), ',', '.') AS DOUBLE)"
    return f"TRY_CAST({name} AS DOUBLE)"


def _arithmetic_sql(
    column: Column, expression: str, types: dict[str, str], source: TableSource
) -> str:
    """Arithmetic over the source's numeric columns, such as `quantity * unit_price`."""
    parts = []
    for token in _tokens(expression):
        name = _unquoted(token)
        if name in types:
            parts.append(f"({_number_sql(column, identifier(name), types[name], source)})")
        elif re.fullmatch(r"\d+(\.\d+)?|[-+*/()]", token):
            parts.append(token)
    return "(" + " ".join(parts) + ")"


def _tokens(expression: str) -> list[str]:
    found, position = [], 0
    while position < len(expression.rstrip()):
        match = TOKEN.match(expression, position)
        if match is None:
            rule = "a mapped column must be a column's name or arithmetic such as a * b"
            raise DataError(rule, got=repr(expression), fix="Write it with + - * / ( ) only.")
        found.append(match.group(1))
        position = match.end()
    return found


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token


def _wrong_type(column: Column, kind: str, wanted: str) -> DataError:
    fix = "Map another column, or convert it in the export."
    if column.kind == "time":
        fix = 'Map another column, or say how to read it: date_format = "%Y%m%d".'
    return DataError(f"column {column.name!r} must hold {wanted}", got=kind, fix=fix)
