"""Converts files as people have them to files that every engine reads: workbooks, zips, odd text.

Converted files are written to a private folder, under generated names, and removed at the end; all
others are read in place.
"""

from __future__ import annotations

import shutil
import weakref
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from churn.data.settings import TableSource
from churn.data.text_layout import (
    FOREIGN,
    TextLayout,
    as_text,
    codec_of,
    is_foreign,
    opened_text,
    table_lines,
    text_layout,
)
from churn.errors import ConfigError, DataError
from churn.storage.files import storage_errors
from churn.storage.publish import private_folder

PREFIX = "churn-copies-"
TEXT = (".csv", ".tsv", ".txt")
TEXT_ENDINGS = (*TEXT, *(f"{ending}.gz" for ending in TEXT))
WORKBOOKS = (".xlsx", ".xlsm")
READ_ENDINGS = (".parquet", *TEXT_ENDINGS, *WORKBOOKS, ".zip")
READS = ".csv, .tsv, .txt, .gz of these, .zip, .xlsx, .parquet"
SMALL = 100_000_000  # bytes that any file may unpack to
MOST_TIMES = 200  # text compresses to a tenth; a bomb to a thousandth
CHUNK = 1 << 20


@dataclass(frozen=True)
class Readable:
    """The files of one table that an engine can read, notes on what was left out of them, and the
    sheet that was chosen if a workbook has several.
    """

    paths: tuple[Path, ...]
    layouts: tuple[TextLayout, ...] = ()
    notes: tuple[str, ...] = ()
    sheet: str | None = None


@dataclass
class Copies:
    """The copies that were made, each once; `close` removes them."""

    _folder: Path | None = None
    _made: dict[tuple[object, ...], Readable] = field(default_factory=dict)
    _cleanup: weakref.finalize[..., Copies] | None = None

    def of(self, files: Sequence[Path], source: TableSource, *, table: str) -> Readable:
        """The readable files for the files of a table; DataError unless they are of one kind."""
        found = [self._of_one(path, source) for path in files]
        made = Readable(
            tuple(path for one in found for path in one.paths),
            tuple(layout for one in found for layout in one.layouts),
            tuple(note for one in found for note in one.notes),
            next((one.sheet for one in found if one.sheet), None),
        )
        _check_one_kind(made.paths, table)
        if not made.layouts:
            return made
        _check_delimiter(made, source, table)
        return replace(made, notes=(*made.notes, *_lacking(made)))

    def close(self) -> None:
        """Removes the copies."""
        if self._cleanup is not None:
            self._cleanup()

    def _of_one(self, path: Path, source: TableSource) -> Readable:
        key = (path, source.encoding, source.delimiter, source.sheet, source.skip)
        if key not in self._made:
            self._made[key] = self._new(path, source)
        return self._made[key]

    def _new(self, path: Path, source: TableSource) -> Readable:
        name = path.name.lower()
        if name.endswith(".zip"):
            return self._unzipped(path, source)
        if is_workbook(path):
            return self._sheet(path, source)
        return self._text(path, path.name, source) if is_text(path) else Readable((path,))

    def _text(self, path: Path, name: str, source: TableSource) -> Readable:
        options = {"encoding": source.encoding, "delimiter": source.delimiter, "skip": source.skip}
        layout = text_layout(path, **options)  # type: ignore[arg-type]
        if layout.is_plain and not is_foreign(path, source.encoding):
            return Readable((path,), (layout,))
        if path.suffix.lower() == ".gz":  # its end can be checked only in a copy
            unzipped = self._place(path.with_suffix("").name)
            with opened_text(path) as stream:
                _write_bounded(stream, unzipped, most=_most(path.stat().st_size), name=name)
            layout = text_layout(unzipped, **options)  # type: ignore[arg-type]
            path = unzipped
        target = self._place(path.name)
        lines = table_lines(path, layout, source.encoding)
        codec = codec_of(source.encoding)
        if source.encoding == FOREIGN:
            lines, codec = as_text(lines, source.encoding), "utf-8"
        with (
            storage_errors(target, doing="write"),
            target.open("w", encoding=codec, newline="") as stream,
        ):
            stream.writelines(lines)
        return Readable((target,), (layout,), _left_out(name, layout.above, layout.below))

    def _unzipped(self, path: Path, source: TableSource) -> Readable:
        found: list[Readable] = []
        with _archive(path) as archive:
            for number, member in enumerate(_tables_in(archive, path), start=1):
                ending = next(e for e in TEXT if member.filename.lower().endswith(e))
                target = self._place(f"{path.stem}-{number}{ending}")
                with _member(archive, member, path) as stream:
                    _write_bounded(stream, target, most=member.file_size, name=path.name)
                found.append(self._text(target, f"{path.name}, file {number}", source))
        return Readable(
            tuple(one.paths[0] for one in found),
            tuple(one.layouts[0] for one in found),
            tuple(note for one in found for note in one.notes),
        )

    def _sheet(self, path: Path, source: TableSource) -> Readable:
        from churn.data.workbooks import write_sheet

        with _archive(path):  # it is a zip, and may be a bomb
            target = self._place(f"{path.stem}.parquet")
        with storage_errors(target, doing="write"):
            sheet, several = write_sheet(path, target, sheet=source.sheet, skip=source.skip)
        notes = _left_out(path.name, sheet.above, sheet.below)
        if several and source.sheet is None:
            notes = (f"{path.name}: sheet {sheet.name!r} is read", *notes)
        return Readable((target,), (), notes, sheet.name if several else None)

    def _place(self, name: str) -> Path:
        """A new path in the private folder; the name is generated or that of a local file."""
        if self._folder is None:
            self._folder = private_folder(PREFIX)
            self._cleanup = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        folder = self._folder / str(sum(1 for _ in self._folder.iterdir()))
        folder.mkdir()
        return folder / name


def is_text(path: Path) -> bool:
    """Whether the file's name is that of delimited text, plain or gzipped."""
    return path.name.lower().endswith(TEXT_ENDINGS)


def is_workbook(path: Path) -> bool:
    """Whether the file's name is that of an Excel workbook."""
    return path.name.lower().endswith(WORKBOOKS)


def _left_out(name: str, above: int, below: int) -> tuple[str, ...]:
    parts = [
        f"{count} {'line' if count == 1 else 'lines'} {where}"
        for count, where in ((above, "above the header"), (below, "below the rows"))
        if count
    ]
    return (f"{name}: skipped {' and '.join(parts)}",) if parts else ()


def _archive(path: Path) -> zipfile.ZipFile:
    """The opened zip; DataError if it is damaged or would unpack to far more than a table."""
    try:
        archive = zipfile.ZipFile(path)
        unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        kind = "Excel workbook" if is_workbook(path) else "zip"
        rule = f"{path.name} must be a complete, readable {kind}"
        raise DataError(
            rule, got="a damaged or different file", fix="Save it again, or as CSV."
        ) from None
    if unpacked > _most(path.stat().st_size):
        archive.close()
        raise _too_large(path.name, f"{unpacked:,} bytes from {path.stat().st_size:,}")
    return archive


def _most(packed: int) -> int:
    return max(SMALL, MOST_TIMES * packed)


def _too_large(name: str, got: str) -> DataError:
    rule = f"{name} must unpack to at most {MOST_TIMES} times its size"
    return DataError(rule, got=got, fix="Unpack it, inspect it, and name the files in it.")


def _tables_in(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    found = [
        member
        for member in archive.infolist()
        if member.filename.lower().endswith(TEXT)
        and not member.is_dir()
        and not _is_hidden(member.filename)
    ]
    if not found:
        rule = f"{path.name} must hold a .csv, .tsv or .txt file"
        got = f"{len(archive.infolist())} other files"
        raise DataError(rule, got=got, fix="Unpack it, and name its files.")
    return found


def _is_hidden(name: str) -> bool:
    return "__MACOSX/" in name or name.rpartition("/")[2].startswith((".", "~$"))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> IO[bytes]:
    try:
        return archive.open(member)
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile):
        rule = f"{path.name} must open without a password"
        raise DataError(rule, got="a protected file", fix="Unpack it first.") from None


def _write_bounded(stream: IO[bytes], target: Path, *, most: int, name: str) -> None:
    """Writes the stream's content piece by piece; DataError if it is more than `most` bytes."""
    import zlib

    written = 0
    with storage_errors(target, doing="write"), target.open("wb") as copy:
        try:
            while piece := stream.read(CHUNK):
                written += len(piece)
                if written > most:
                    raise _too_large(name, f"over {most:,} bytes")
                copy.write(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            rule = f"{name} must be a complete, readable file of its kind"
            raise DataError(rule, got="a damaged file", fix="Export it again.") from None


def _check_one_kind(paths: Sequence[Path], table: str) -> None:
    texts = sum(1 for path in paths if is_text(path))
    if texts not in (0, len(paths)):
        rule = f"the files of table {table!r} must be all text, or all Excel or Parquet"
        got = f"{texts} of {len(paths)} as text"
        raise ConfigError(rule, got=got, fix="Name files of one kind.")


def _check_delimiter(made: Readable, source: TableSource, table: str) -> None:
    first = source.delimiter or made.layouts[0].delimiter
    for path, layout in zip(made.paths, made.layouts, strict=True):
        if first and layout.delimiter not in (None, first):
            rule = f"the files of table {table!r} must have the delimiter {first!r}"
            got = f"{layout.delimiter!r} in {path.name}"
            fix = f"Set [data.{table}] delimiter, and export all of its files in the same way."
            raise DataError(rule, got=got, fix=fix)


def _lacking(made: Readable) -> Iterator[str]:
    """A note on each file that lacks a column that others have."""
    every = dict.fromkeys(name for layout in made.layouts for name in layout.header if name)
    for path, layout in zip(made.paths, made.layouts, strict=True):
        lacking = [name for name in every if name not in layout.header] if layout.header else []
        if lacking:
            shown = ", ".join(map(repr, lacking[:5])) + (" …" if len(lacking) > 5 else "")
            yield f"{path.name} has no column {shown}, which other files have"
