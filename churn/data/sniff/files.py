"""The files of a shop's orders, opened for a first look: encoding and delimiter found out."""

import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from churn.data.engines.base import literal
from churn.data.engines.duck import DuckDBEngine
from churn.data.settings import TableSource
from churn.data.sources import TEXT_ENDINGS, columns_of, relation_sql
from churn.errors import ConfigError, DataError

__all__ = ["Encoding", "OrdersFiles", "opened"]

Encoding: TypeAlias = Literal["utf-8", "utf-16", "latin-1", "cp1252"]

HEAD_BYTES = 65_536
UTF_16_MARK = b"\xff\xfe"


@dataclass(frozen=True)
class OrdersFiles:
    """Orders that can be queried: `relation` is the SQL that reads them, `types` their columns."""

    engine: DuckDBEngine
    name: str
    relation: str
    types: dict[str, str]
    source: TableSource

    @property
    def is_text(self) -> bool:
        """Whether the files are delimited text, where every value is read as text."""
        return self.source.delimiter is not None


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[OrdersFiles]:
    """The files as one table, in an engine that can open nothing else.

    ConfigError where a file is missing or of a kind that is not read; DataError where one is
    empty, damaged, no table, or has other columns than the first.
    """
    files = [_checked(path) for path in paths]
    if not files:
        raise ConfigError("orders must be one file or more", got=0, fix="Name a CSV or Parquet.")
    engine = DuckDBEngine(files)
    try:
        yield _open(engine, files)
    finally:
        engine.close()


def _checked(path: Path) -> Path:
    if not path.is_file():
        rule = "orders must be a file that is there"
        raise ConfigError(rule, got=str(path), fix="Check the path.")
    if not path.name.lower().endswith((".parquet", *TEXT_ENDINGS)):
        rule = "orders must be a .parquet, .csv, .tsv or .txt file (or .gz of the last three)"
        raise ConfigError(rule, got=path.name, fix="Export it as CSV or Parquet.")
    if path.stat().st_size == 0:
        rule = f"the file {path.name} must hold at least a header"
        raise DataError(rule, got="0 bytes", fix="Export it again.")
    return path.resolve()


def _open(engine: DuckDBEngine, files: list[Path]) -> OrdersFiles:
    first, *others = (_open_one(engine, file) for file in files)
    for other in others:
        _check_same(first, other)
    source = replace(first.source, source=[str(file) for file in files])
    return replace(first, source=source, relation=relation_sql(files, source))


def _open_one(engine: DuckDBEngine, file: Path) -> OrdersFiles:
    if file.name.lower().endswith(".parquet"):
        return _described(engine, file, TableSource(source=str(file)))
    got: str | None = "bytes that are no text"
    for encoding in _encodings(file):
        try:
            source = _read_through(engine, file, encoding)
        except DataError as failure:
            got = failure.got
        else:
            return _text_table(_described(engine, file, source))
    raise _no_table(file.name, got=got)


def _described(engine: DuckDBEngine, file: Path, source: TableSource) -> OrdersFiles:
    relation = relation_sql([file], source)
    types = columns_of(engine, relation, name=file.name)
    return OrdersFiles(engine, file.name, relation, types, source)


def _encodings(file: Path) -> tuple[Encoding, ...]:
    """The encodings to try; latin-1 comes last because every byte is a letter in it."""
    head = _head(file)
    if head.startswith(UTF_16_MARK):
        return ("utf-16",)
    return () if b"\0" in head else ("utf-8", "latin-1")


def _head(file: Path) -> bytes:
    if file.suffix.lower() != ".gz":
        with file.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    try:
        with gzip.open(file) as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, EOFError):
        raise _no_table(file.name, got="a damaged .gz") from None


def _read_through(engine: DuckDBEngine, file: Path, encoding: Encoding) -> TableSource:
    """The file with the delimiter that DuckDB finds; DataError unless all of it reads so."""
    sniff = f"FROM sniff_csv({literal(file)}, encoding = {literal(encoding)}, header = true)"
    with engine.reading(file.name):
        delimiter = str(engine.rows(f"SELECT Delimiter AS d {sniff}")[0]["d"])
        source = TableSource(source=str(file), delimiter=delimiter, encoding=encoding)
        engine.rows(f"SELECT count(COLUMNS(*)) FROM {relation_sql([file], source)}")
    return source


def _text_table(table: OrdersFiles) -> OrdersFiles:
    """The table itself, when its first row is made of column names."""
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
            fix="Export the files alike, text best as UTF-8, or start with one of them.",
        )


def _no_table(name: str, *, got: str | None) -> DataError:
    rule = f"{name} must be a text table: a header, then as many values in every row"
    return DataError(rule, got=got, fix="Export it again as CSV in UTF-8.")
