"""Casts at import: a shop's own columns become ids, instants, numbers, flags or texts.

A value is read in its column's notation or not at all: values in no known notation become null and
are counted.
"""

import ast
import re
from collections.abc import Mapping

from churn.data.conditions import given_columns
from churn.data.contracts import Column
from churn.data.engines.base import identifier, literal
from churn.data.notations.look import Notation
from churn.data.notations.numbers import number_sql, plain_number_sql
from churn.data.notations.times import ISO, NAMED, time_sql
from churn.data.settings import TableSource
from churn.data.words import flag_sql
from churn.errors import ConfigError, DataError

NUMERIC = re.compile(
    r"^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|REAL|DECIMAL.*)$", re.IGNORECASE
)
WHOLE = re.compile(r"^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$", re.IGNORECASE)
BLANKS = "concat(' ', chr(9), chr(10), chr(13), chr(160))"
TOKEN = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d]\w*|\d+(?:\.\d+)?|[-+*/()])')
NO_TYPE = '"NULL"'
MOST_TOKENS = 100
"""Limit on the names, numbers and signs in arithmetic: each name is one read of its column."""
DIRECTIVE = re.compile(r"%(-?[dHIjmMSUWy]|[aAbBcfgGpuVwxXYzZ%])")
SHARES = ("propensity",)  # numbers that may be written as percentages
ARITHMETIC = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)


def cast_sql(
    column: Column,
    theirs: str,
    types: dict[str, str],
    source: TableSource,
    timezone: str,
    notations: Mapping[str, Notation] | None = None,
) -> str:
    """The SQL that reads one of our columns from theirs; null for values of another kind.

    `notations` gives, by name, the notation of columns that differ from the source's usual one.
    """
    read = notations or {}
    usual = usual_notation(source)
    if theirs not in types:
        return _arithmetic_sql(column, theirs, types, usual, read)
    kind, name, notation = types[theirs], text_sql(theirs, types), read.get(theirs, usual)
    if kind == NO_TYPE:
        kind = "VARCHAR"
    if column.kind in ("id", "code"):
        exact = _id_sql(column, name, kind)
        return exact if column.kind == "id" else f"NULLIF(lower(trim({exact}, {BLANKS})), '')"
    if column.kind == "time":
        return _time_sql(column, name, kind, notation, timezone)
    if column.kind == "number":
        return _number_sql(column, name, kind, notation)
    if column.kind == "flag":
        return _flag_sql(column, name, kind)
    return f"CAST({name} AS VARCHAR)"


def usual_notation(source: TableSource) -> Notation:
    """How the columns of a source are written according to its settings, or else the plainest way.

    ConfigError if a `date_format` is neither a strptime pattern nor a known name.
    """
    written = source.date_format
    formats = (ISO,) if not written else (written,) if isinstance(written, str) else tuple(written)
    strange = [each for each in formats if "%" not in each and each not in NAMED]
    if strange:
        rule = f"date_format must be a strptime pattern or one of {list(NAMED)}"
        raise ConfigError(rule, got=strange, fix='Write it e.g. as date_format = "%d.%m.%Y".')
    unknown = [each for each in formats if "%" in DIRECTIVE.sub("", each)]
    if unknown:
        rule = (
            "date_format must be made of the directives of strptime, such as %d %m %Y %H %M %S %f"
        )
        raise ConfigError(rule, got=unknown, fix="Write a percent sign itself as %%.")
    return Notation(source.decimal or ".", formats)


def text_sql(theirs: str, types: dict[str, str]) -> str:
    """The SQL of a source's column; a column without any value has no type and counts as text."""
    name = identifier(theirs)
    return f"CAST({name} AS VARCHAR)" if types[theirs] == NO_TYPE else name


def is_text(kind: str) -> bool:
    """Whether values of that SQL type are text, which may contain anything."""
    return kind in ("VARCHAR", NO_TYPE)


def source_columns(theirs: str, types: dict[str, str]) -> list[str]:
    """The source's columns that a mapping names: the column itself, or those in its arithmetic or
    condition; none for a constant.
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


def _time_sql(column: Column, name: str, kind: str, notation: Notation, timezone: str) -> str:
    if kind in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"):
        return f"CAST({name} AS TIMESTAMPTZ)"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"timezone({literal(timezone)}, CAST({name} AS TIMESTAMP))"
    if NUMERIC.match(kind) and notation.formats != (ISO,):
        text = rf"regexp_replace(CAST({name} AS VARCHAR), '\.0$', '')"
        return time_sql(text, notation.formats, timezone, careful=notation.careful)
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "dates, timestamps or text that reads as such")
    return time_sql(name, notation.formats, timezone, careful=notation.careful)


def _number_sql(column: Column, name: str, kind: str, notation: Notation) -> str:
    if NUMERIC.match(kind):
        return f"CAST({name} AS DOUBLE)"
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "numbers or text that reads as such")
    if notation.careful:
        return number_sql(name, notation.decimal, percent=column.name in SHARES)
    return plain_number_sql(name, notation.decimal)


def _flag_sql(column: Column, name: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return name
    if NUMERIC.match(kind):
        return f"CASE WHEN {name} = 1 THEN true WHEN {name} = 0 THEN false END"
    if kind != "VARCHAR":
        raise _wrong_type(column, kind, "true and false, 1 and 0, or words such as yes and no")
    return flag_sql(name)


def _arithmetic_sql(
    column: Column,
    expression: str,
    types: dict[str, str],
    usual: Notation,
    read: Mapping[str, Notation],
) -> str:
    """Arithmetic over the source's numeric columns, such as `quantity * unit_price`."""
    if column.kind != "number" or not _is_arithmetic(_tokens(expression)):
        raise _not_arithmetic(expression)
    parts = []
    for token in _tokens(expression):
        name = _unquoted(token)
        if name in types:
            notation = read.get(name, usual)
            parts.append(f"({_number_sql(column, identifier(name), types[name], notation)})")
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
        if len(found) > MOST_TOKENS:
            rule = (
                f"arithmetic in a mapping may have at most {MOST_TOKENS} names, numbers and signs"
            )
            raise ConfigError(rule, got="more", fix="Compute the column in the export.")
    return found


def _is_arithmetic(tokens: list[str]) -> bool:
    """Whether names, numbers and signs form a computable expression with a name in it."""
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
