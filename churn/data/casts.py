"""Exact casts at the door: a shop's own columns become ids, instants, numbers, flags or texts.

Nothing is guessed: a value that is not exactly of its kind becomes null and is counted as unusable.
"""

import ast
import re

from churn.data.contracts import Column
from churn.data.engines.base import identifier, literal
from churn.data.given import given_columns
from churn.data.notations.flags import flag_sql
from churn.data.settings import TableSource
from churn.errors import DataError

__all__ = ["cast_sql", "source_columns"]

NUMERIC = re.compile(
    r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|REAL|DECIMAL.*)$", re.IGNORECASE
)
WHOLE = re.compile(r"^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$", re.IGNORECASE)
BLANKS = "concat(' ', chr(9), chr(10), chr(13), chr(160))"
TOKEN = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d]\w*|\d+(?:\.\d+)?|[-+*/()])')
# A clock time followed by a sign or letters carries a zone of its own, or something unreadable.
ZONED = r"\d:\d{2}.*[A-Za-z+-]"
DECIMAL_COMMA = r"\s*[-+]?(\d+|\d{1,3}(\.\d{3})+)(,\d*)?\s*"
ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)


def cast_sql(
    column: Column, theirs: str, types: dict[str, str], source: TableSource, timezone: str
) -> str:
    """The SQL that reads one of our columns from theirs; null where a value is not of its kind."""
    if theirs not in types:
        return _arithmetic_sql(column, theirs, types, source)
    kind = types[theirs]
    name = identifier(theirs)
    if kind == '"NULL"':  # a column without a single value has no type
        kind, name = "VARCHAR", f"CAST({name} AS VARCHAR)"
    if column.kind in ("id", "code"):
        read = _id_sql(column, name, kind)
        return read if column.kind == "id" else f"NULLIF(lower(trim({read}, {BLANKS})), '')"
    if column.kind == "time":
        return _time_sql(column, name, kind, source, timezone)
    if column.kind == "number":
        return _number_sql(column, name, kind, source)
    if column.kind == "flag":
        return _flag_sql(column, name, kind)
    return f"CAST({name} AS VARCHAR)"


def source_columns(theirs: str, types: dict[str, str]) -> list[str]:
    """The source's columns that a mapping names: the column itself, or those of its arithmetic or
    its condition; none for a constant.
    """
    if theirs in types:
        return [theirs]
    given = given_columns(theirs)
    if given is not None:
        return given
    return [_unquoted(token) for token in _tokens(theirs) if _is_name(token)]


def _id_sql(column: Column, name: str, kind: str) -> str:
    if kind == "VARCHAR":
        return f"NULLIF({name}, '')"
    if WHOLE.match(kind) or kind == "UUID":
        return f"CAST({name} AS VARCHAR)"
    if NUMERIC.match(kind):  # whole numbers that became floats because some are missing
        whole = f"CAST(TRY_CAST({name} AS HUGEINT) AS VARCHAR)"
        return f"CASE WHEN isfinite({name}) AND {name} = floor({name}) THEN {whole} END"
    raise _wrong_type(column, kind, "text or whole numbers")


def _time_sql(column: Column, name: str, kind: str, source: TableSource, timezone: str) -> str:
    zone = literal(timezone)
    if kind in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"):
        return f"CAST({name} AS TIMESTAMPTZ)"
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
        point = f"replace(replace({name}, '.', ''), ',', '.')"
        exact = f"regexp_full_match({name}, {literal(DECIMAL_COMMA)})"
        return f"CASE WHEN {exact} THEN TRY_CAST({point} AS DOUBLE) END"
    return f"TRY_CAST({name} AS DOUBLE)"


def _flag_sql(column: Column, name: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return name
    if NUMERIC.match(kind):
        return f"CASE WHEN {name} = 1 THEN true WHEN {name} = 0 THEN false END"
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "true and false, 1 and 0, or words such as yes and no")
    return flag_sql(name)


def _arithmetic_sql(
    column: Column, expression: str, types: dict[str, str], source: TableSource
) -> str:
    """Arithmetic over the source's numeric columns, such as `quantity * unit_price`."""
    if column.kind != "number" or not _is_arithmetic(_tokens(expression)):
        raise _not_arithmetic(expression)
    parts = []
    for token in _tokens(expression):
        name = _unquoted(token)
        if name in types:
            parts.append(f"({_number_sql(column, identifier(name), types[name], source)})")
        else:
            parts.append(token)
    return "(" + " ".join(parts) + ")"


def _tokens(expression: str) -> list[str]:
    found, position = [], 0
    while position < len(expression.rstrip()):
        match = TOKEN.match(expression, position)
        if match is None:
            raise _not_arithmetic(expression)
        found.append(match.group(1))
        position = match.end()
    return found


def _is_arithmetic(tokens: list[str]) -> bool:
    """Whether names, numbers and signs are in an order that can be computed, with a name at all."""
    shape = " ".join("x" if _is_name(token) else token for token in tokens)
    try:
        nodes = list(ast.walk(ast.parse(shape, mode="eval")))
    except SyntaxError:
        return False
    known = all(isinstance(node, (*ARITHMETIC, ast.Name, ast.Constant)) for node in nodes)
    return known and any(isinstance(node, ast.Name) for node in nodes)


def _is_name(token: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?|[-+*/()]", token) is None


def _not_arithmetic(expression: str) -> DataError:
    rule = "a mapped column must be a column's name or, for numbers, arithmetic such as a * b"
    return DataError(rule, got=repr(expression), fix="Write it with + - * / ( ) only.")


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token


def _wrong_type(column: Column, kind: str, wanted: str) -> DataError:
    fix = "Map another column, or convert it in the export."
    if column.kind == "time":
        fix = 'Map another column, or say how to read it: date_format = "%Y%m%d".'
    return DataError(f"column {column.name!r} must hold {wanted}", got=kind, fix=fix)
