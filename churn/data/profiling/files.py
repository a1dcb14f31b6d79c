"""The files of a shop's orders, opened for profiling: encoding and delimiter are detected."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

from churn.data.engines.base import literal
from churn.data.engines.duck import DuckDBEngine
from churn.data.readable import READ_ENDINGS, Copies, Readable, is_text
from churn.data.settings import TableSource
from churn.data.sources import columns_of, files_at, relation_sql
from churn.data.text_layout import opened_text, read_as
from churn.errors import ConfigError, DataError

Encoding: TypeAlias = Literal["utf-8", "utf-16", "latin-1", "cp1252"]

HEAD_BYTES = 65_536
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SIGNS_OF_WINDOWS = bytes(range(0x80, 0xA0))


@dataclass(frozen=True)
class OrdersFiles:
    """Orders that can be queried: `relation` is the SQL that reads them, `types` their columns.

    `notes` describe what was left out of the files, `sheet` is the one chosen of several.
    """

    engine: DuckDBEngine
    name: str
    relation: str
    types: dict[str, str]
    source: TableSource
    notes: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether the files are delimited text, where every value is read as text."""
        return self.source.delimiter is not None


@contextmanager
def opened(places: Sequence[Path]) -> Iterator[OrdersFiles]:
    """The files, folders or globs as one table, in an engine that can open nothing else.

    ConfigError if a file is missing or of an unsupported kind; DataError if one is empty, damaged,
    not a table, or has different columns from the first.
    """
    files = [file for place in places for file in _files_at(place)]
    if not files:
        raise ConfigError("orders must be one file or more", got=0, fix="Name a CSV or Parquet.")
    copies = Copies()
    try:
        with _reading([_readable(copies, file) for file in files]) as table:
            yield table
    finally:
        copies.close()


def _files_at(place: Path) -> list[Path]:
    found = files_at(str(place), Path())
    if not found:
        rule = "orders must be an existing file, a folder or a glob"
        raise ConfigError(rule, got=str(place), fix="Check the path.")
    for path in found:
        _check(path)
    return found


def _check(path: Path) -> None:
    if not path.name.lower().endswith(READ_ENDINGS):
        rule = f"orders must be one of {', '.join(READ_ENDINGS)}"
        raise ConfigError(rule, got=path.name, fix="Save it as CSV or .xlsx.")
    if path.stat().st_size == 0:
        rule = f"the file {path.name} must hold at least a header"
        raise DataError(rule, got="0 bytes", fix="Export it again.")


@dataclass(frozen=True)
class _Part:
    """The readable files made from one file, and how their text is written."""

    readable: Readable
    source: TableSource


def _readable(copies: Copies, file: Path) -> _Part:
    """The readable file, in the first encoding in which it is a table."""
    source = TableSource(source=str(file))
    if not is_text(file) and not file.name.lower().endswith(".zip"):
        return _Part(copies.of([file], source, table="orders"), source)
    got: str | None = "bytes that are not text"
    for encoding in _encodings(file, copies):
        try:
            return _text(copies, file, replace(source, encoding=encoding))
        except DataError as failure:
            got = failure.got
    raise _no_table(file.name, got=got)


def _text(copies: Copies, file: Path, source: TableSource) -> _Part:
    """The file with its delimiter; DataError unless all of it is readable with it."""
    found = copies.of([file], source, table="orders")
    engine = DuckDBEngine(found.paths)
    try:
        said = found.layouts[0].separator
        written = replace(source, delimiter=said or _delimiter(engine, found.paths[0], source))
        with engine.reading(file.name):
            engine.rows(f"SELECT count(COLUMNS(*)) FROM {relation_sql(found.paths, written)}")
        return _Part(found, written)
    finally:
        engine.close()


def _delimiter(engine: DuckDBEngine, path: Path, source: TableSource) -> str:
    encoding = literal(read_as(source.encoding))
    sniff = f"FROM sniff_csv({literal(path)}, encoding = {encoding}, header = true)"
    with engine.reading(path.name):
        return str(engine.rows(f"SELECT Delimiter AS d {sniff}")[0]["d"])


@contextmanager
def _reading(parts: Sequence[_Part]) -> Iterator[OrdersFiles]:
    paths = [path for part in parts for path in part.readable.paths]
    engine = DuckDBEngine(paths)
    try:
        yield _one_table(engine, parts, paths)
    finally:
        engine.close()


def _one_table(engine: DuckDBEngine, parts: Sequence[_Part], paths: Sequence[Path]) -> OrdersFiles:
    first, *others = (_described(engine, part) for part in parts)
    for other in others:
        _check_same(first, other)
    notes = tuple(note for part in parts for note in part.readable.notes)
    return replace(first, relation=relation_sql(paths, first.source), notes=notes)


def _described(engine: DuckDBEngine, part: _Part) -> OrdersFiles:
    name = Path(str(part.source.source)).name
    relation = relation_sql(part.readable.paths, part.source)
    types = columns_of(engine, relation, name=name)
    source = replace(part.source, sheet=part.readable.sheet)
    table = OrdersFiles(engine, name, relation, types, source)
    return _text_table(table) if table.is_text else table


def _encodings(file: Path, copies: Copies) -> Iterator[Encoding]:
    """The encodings to try; latin-1 is last because any byte is a letter in it."""
    if not is_text(file):  # a zip: its first table decides
        file = copies.of([file], TableSource(source=str(file)), table="orders").paths[0]
    head = _head(file)
    if head.startswith(UTF_16_MARKS):
        yield "utf-16"
    elif b"\0" not in head:
        yield "utf-8"
        if _has_signs_of_windows(file):
            yield "cp1252"
        yield "latin-1"


def _has_signs_of_windows(file: Path) -> bool:
    """Whether a file has bytes that are signs, such as €, in cp1252 and undefined in latin-1."""
    with opened_text(file) as stream:
        return any(
            len(piece.translate(None, SIGNS_OF_WINDOWS)) < len(piece)
            for piece in iter(partial(stream.read, 1 << 20), b"")
        )


def _head(file: Path) -> bytes:
    if file.suffix.lower() != ".gz":
        with file.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    try:
        with gzip.open(file) as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, EOFError):
        raise _no_table(file.name, got="a damaged .gz") from None


def _text_table(table: OrdersFiles) -> OrdersFiles:
    """The table itself, if its first row consists of column names."""
    if len(table.types) < 2:
        raise _no_table(table.name, got="one column")
    values = ", ".join(f"({literal(name)})" for name in table.types)
    like_values = table.engine.rows(
        f"SELECT count(*) AS n FROM (VALUES {values}) AS t(name) "
        "WHERE TRY_CAST(name AS DOUBLE) IS NOT NULL OR TRY_CAST(name AS DATE) IS NOT NULL"
    )
    if like_values[0]["n"]:
        rule = f"the first row of {table.name} must hold the column names"
        raise DataError(rule, got="values", fix="Export it with a header row.")
    return table


def _check_same(first: OrdersFiles, other: OrdersFiles) -> None:
    different = [f"the column {name!r}" for name in sorted(set(first.types) ^ set(other.types))]
    for option in ("delimiter", "encoding"):
        if getattr(first.source, option) != getattr(other.source, option):
            different.append(f"the {option}")
    if different:
        raise DataError(
            f"{other.name} must be a table like {first.name}",
            got=f"a difference in {', '.join(different[:10])}",
            fix="Export the files in the same way, preferably as UTF-8, or start with one of them.",
        )


def _no_table(name: str, *, got: str | None) -> DataError:
    rule = f"{name} must be a text table: a header, then the same number of values in every row"
    return DataError(rule, got=got, fix="Export it again as CSV in UTF-8.")
