"""Where tables come from, which of their columns are ours, and the SQL that reads files."""

import glob
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from churn.data.casts import source_columns
from churn.data.contracts import TableContract
from churn.data.engines.base import Relation, identifier, literal
from churn.data.engines.duck import DuckDBEngine
from churn.data.readable import READ_ENDINGS, READS
from churn.data.settings import TableSource
from churn.data.text_layout import looks_like_data, read_as
from churn.data.where import Where
from churn.errors import ConfigError, DataError, shown_address
from churn.storage.manifests import verify_file

FILE_COLUMN = "churn: file"
"""The column with each row's file, if a source consists of several."""

PIECE_ROWS = 2_000_000  # of a Parquet file, at least, per task of a distributed engine


def files_of(source: TableSource, *, table: str, folder: Path) -> list[Path]:
    """The files of a source, relative to `folder`: globs and folders resolved, none empty.

    A file with a manifest must be the file that the manifest describes.
    """
    patterns = [source.source] if isinstance(source.source, str) else list(source.source)
    found = [path for pattern in patterns for path in _matches(pattern, table, folder)]
    for path in found:
        _check_file(path, table)
    return found


def files_at(pattern: str, folder: Path) -> list[Path]:
    """The files that a path, a folder or a glob names, in order; may be empty."""
    place = folder / pattern
    if place.is_dir():
        return sorted(path.resolve() for path in place.iterdir() if _is_table(path))
    # A name with brackets may be a file itself. glob, because absolute patterns are allowed.
    plain = place.is_file()
    places = [pattern] if plain else sorted(glob.glob(pattern, root_dir=folder))  # noqa: PTH207
    return [(folder / place).resolve() for place in places if (folder / place).is_file()]


def _is_table(path: Path) -> bool:
    hidden = path.name.startswith((".", "~$"))  # Excel locks a workbook by ~$name
    return path.is_file() and path.name.lower().endswith(READ_ENDINGS) and not hidden


def _matches(pattern: str, table: str, folder: Path) -> list[Path]:
    found = files_at(pattern, folder)
    if not found:
        raise ConfigError(
            f"[data.{table}] source must name an existing file",
            got=shown_address(pattern),
            fix="Check the path; it is relative to the folder of the configuration file.",
        )
    return found


def _check_file(path: Path, table: str) -> None:
    if not path.name.lower().endswith(READ_ENDINGS):
        rule = f"[data.{table}] source must be {READS}"
        raise ConfigError(rule, got=path.name, fix="Save it as CSV or .xlsx.")
    if path.stat().st_size == 0:
        rule = f"the file {path.name} of table {table!r} must hold at least a header"
        raise DataError(rule, got="0 bytes", fix="Export it again.")
    verify_file(path)


def relation_of(
    engine: DuckDBEngine,
    files: Sequence[Path],
    source: TableSource,
    *,
    unread: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Relation:
    """The files as rows that the import can read, whole or in pieces."""
    sql = relation_sql(files, source, named=len(files) > 1)
    return Relation(sql, tuple(files), partial(_pieces, engine, files, source), unread, notes)


def _pieces(engine: DuckDBEngine, files: Sequence[Path], source: TableSource) -> list[str]:
    """SQL that reads a text file, or some row groups of a Parquet file, each with all columns."""
    types = columns_of(engine, relation_sql(files, source, named=len(files) > 1), name="the files")
    return [
        f"(SELECT {_shown(engine, path, source, types)} FROM {part})"
        for path in files
        for part in _parts(engine, path, source)
    ]


def _shown(engine: DuckDBEngine, path: Path, source: TableSource, types: dict[str, str]) -> str:
    """The columns and types of all files, for a file that lacks some or types them differently."""
    own = columns_of(engine, relation_sql([path], source, named=True), name=path.name)
    there = {name.casefold() for name in own}
    return ", ".join(
        f"CAST({identifier(name) if name.casefold() in there else 'NULL'} AS {kind}) "
        f"AS {identifier(name)}"
        for name, kind in types.items()
    )


def _parts(engine: DuckDBEngine, path: Path, source: TableSource) -> list[str]:
    ranges = _row_ranges(engine, path) if path.name.lower().endswith(".parquet") else []
    if len(ranges) < 2:
        return [relation_sql([path], source, named=True)]
    named = f"filename = {literal(FILE_COLUMN)}"
    numbered = f"read_parquet({literal(path)}, file_row_number = true, {named})"
    return [
        f"(SELECT * FROM {numbered} WHERE file_row_number BETWEEN {first} AND {last})"
        for first, last in ranges
    ]


def _row_ranges(engine: DuckDBEngine, path: Path) -> list[tuple[int, int]]:
    """First and last rows of runs of whole row groups, each as large as a task should be."""
    groups = engine.rows(
        "SELECT row_group_id, any_value(row_group_num_rows) AS n "
        f"FROM parquet_metadata({literal(path)}) GROUP BY 1 ORDER BY 1"
    )
    ranges, first, end = [], 0, 0
    for group in groups:
        end += int(str(group["n"]))
        if end - first >= PIECE_ROWS:
            ranges.append((first, end - 1))
            first = end
    return [*ranges, (first, end - 1)] if end > first else ranges


def relation_sql(files: Sequence[Path], source: TableSource, *, named: bool = False) -> str:
    """The SQL that reads the files; text is read as text, so that `007` stays `007`.

    `named` adds the column `FILE_COLUMN`.
    """
    listed = "[" + ", ".join(literal(path) for path in files) + "]"
    file = f", filename = {literal(FILE_COLUMN)}" if named else ""
    if files[0].name.lower().endswith(".parquet"):
        return f"read_parquet({listed}, union_by_name = true{file})"
    options: dict[str, object] = {
        "all_varchar": True,
        "header": True,
        "skip": 0,
        "encoding": read_as(source.encoding),
    }
    if source.delimiter is not None:
        options["delim"] = source.delimiter
    written = ", ".join(f"{name} = {literal(value)}" for name, value in options.items())
    return f"read_csv({listed}, {written}, union_by_name = true{file})"


def columns_of(engine: DuckDBEngine, relation: str, *, name: str) -> dict[str, str]:
    """The columns of a relation and their SQL types."""
    with engine.reading(name):
        described = engine.rows(f"DESCRIBE SELECT * FROM {relation}")
    return {str(row["column_name"]): str(row["column_type"]) for row in described}


def mapped_columns(
    contract: TableContract, types: dict[str, str], source: TableSource
) -> dict[str, str]:
    """Ours → theirs for every column of the contract that the source has.

    DataError if the source lacks a required column, or one that the mapping names.
    """
    known = {column.name for column in contract.columns}
    strange = sorted(set(source.columns) - known)
    if strange:
        rule = f"[data.{contract.name}.columns] maps only columns of the contract"
        raise DataError(rule, got=strange, fix=f"Known are {sorted(known)}.")
    wanted = {ours: source.columns.get(ours, ours) for ours in known}
    explicit = set(source.columns) | set(contract.required)
    lacking = {
        ours
        for ours in explicit
        if wanted[ours] not in types
        and any(name not in types for name in source_columns(wanted[ours], types))
    }
    if lacking:
        raise _lacks(contract, sorted(lacking), types)
    return {
        column.name: wanted[column.name]
        for column in contract.columns
        if column.name in explicit or wanted[column.name] in types
    }


def _lacks(contract: TableContract, lacking: list[str], types: dict[str, str]) -> DataError:
    if any(looks_like_data(name) for name in types):  # a header would not contain a customer
        rule = f"table {contract.name!r} must have a header with column names"
        fix = "Add a header row with the column names."
        return DataError(rule, got="a first row that looks like data", fix=fix)
    return DataError(
        f"table {contract.name!r} lacks column(s) {lacking}; it has {list(types)}",
        fix=f'Map it in [data.{contract.name}.columns], e.g. {lacking[0]} = "total".',
    )


def unused_columns(
    types: dict[str, str],
    mapped: Mapping[str, str],
    where: Where,
    unread: tuple[str, ...],
) -> tuple[str, ...]:
    """A note on the columns of the source that nothing reads."""
    used = used_columns(types, mapped, where)
    there = [name for name in types if not looks_like_data(name)]
    spare = [*(name for name in there if name not in used), *unread]
    return (f"ignored columns: {', '.join(spare)}",) if spare else ()


def used_columns(types: dict[str, str], mapped: Mapping[str, str], where: Where) -> set[str]:
    """The columns of the source that the mapping or the condition uses."""
    named = {name for theirs in mapped.values() for name in source_columns(theirs, types)}
    return named.union(where.columns)
