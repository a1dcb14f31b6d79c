"""The layout of a text file: lines above its header and below its rows, and its line endings."""

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from churn.errors import DataError

FOREIGN = "cp1252"
WINDOW = 65_536
SAMPLED = 64  # windows over a large file
MOST_BELOW = 10
DELIMITERS = ",;\t|"
LINE_END = re.compile(r"\r\n|\n|\r")
SEPARATOR = re.compile(r'\W{0,3}"?sep=(.)"?\s*', re.IGNORECASE)
SUMMARY = re.compile(
    r"\W*((grand|report|page|over)\s*)?(sub)?(totals?|totaal|totale|totaux|totalt|tot|sum|summe|"
    r"gesamt|gesamtsumme|suma|summa|somme|razem|итого)\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class TextLayout:
    """`above` and `below` count the lines outside the table. `header` holds its names, `separator`
    what a first line `sep=;` declares, `delimiter` the sign between values, and `mixed` is whether
    lines end in more than one way.
    """

    header: tuple[str, ...] = ()
    delimiter: str | None = None
    separator: str | None = None
    above: int = 0
    below: int = 0
    mixed: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the file can be read as it is."""
        return not (self.above or self.below or self.mixed)


def text_layout(
    path: Path, *, encoding: str, delimiter: str | None = None, skip: int | None = None
) -> TextLayout:
    """The layout of a text file, plain or gzipped; `skip` is the number of lines above its header,
    if known.

    Of a gzipped file only the beginning is inspected.
    """
    head, whole = _head(path, encoding)
    lines = LINE_END.split(head)
    lines = lines if whole else lines[:-1]
    said = SEPARATOR.fullmatch(lines[0]) if lines else None
    separator = said[1] if said else None
    first = 1 if said else 0
    found = _read_best(lines[first:], separator, delimiter)
    if found is None:
        return TextLayout(separator=separator, above=skip or first)
    between, rows = found
    above = first + _lines_above(rows) if skip is None else skip
    header = next((cells for start, cells in rows if start + first >= above), [])
    names = tuple(_named(name, encoding) for name in header)
    if path.suffix.lower() == ".gz":
        return TextLayout(names, between, separator, above)
    below = _lines_below(_tail(path, encoding), between, len(header))
    return TextLayout(names, between, separator, above, below, _mixed(path, encoding))


def table_lines(path: Path, layout: TextLayout, encoding: str) -> Iterator[str]:
    """The lines of the table only, each ended by a line feed, as texts that `codec_of` writes."""
    held: list[str] = []
    with opened_text(path) as stream:
        for number, line in enumerate(_texts(stream, encoding)):
            if number < layout.above:
                continue
            held.append(line)
            if len(held) > layout.below:
                yield held.pop(0)


def is_foreign(path: Path, encoding: str) -> bool:
    """Whether DuckDB cannot read that encoding: cp1252, and UTF-16 of the other endianness."""
    if encoding != "utf-16":
        return encoding == FOREIGN
    try:
        with opened_text(path) as stream:
            return stream.read(2) == b"\xfe\xff"
    except (OSError, EOFError):  # DuckDB reports what is wrong with it
        return False


def read_as(encoding: str) -> str:
    """The encoding in which DuckDB reads the file, or the copy, of a text in that encoding."""
    return "utf-8" if encoding == FOREIGN else encoding


def as_text(lines: Iterator[str], encoding: str) -> Iterator[str]:
    """Lines of bytes as `codec_of` keeps them, as text of that encoding."""
    try:
        for line in lines:
            yield line.encode("latin-1").decode(encoding)
    except UnicodeError:
        raise DataError("a text file must match its encoding", got="undecodable bytes") from None


def codec_of(encoding: str) -> str:
    """The codec that preserves every byte of a file; UTF-16 has to be decoded."""
    return "utf-16" if encoding == "utf-16" else "latin-1"


def looks_like_data(name: str) -> bool:
    """Whether a column's name looks like its first value: an address, a number or a date.

    >>> [looks_like_data(name) for name in ("anna@example.com", "19.90", "2024-01-01", "q4_2024")]
    [True, True, True, False]
    """
    return "@" in name or re.fullmatch(r"[-+\d.,:/ TZ]*\d[-+\d.,:/ TZ]*", name) is not None


def opened_text(path: Path) -> IO[bytes]:
    """The bytes of a text file, decompressed if its name ends in .gz."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _texts(stream: IO[bytes], encoding: str) -> Iterator[str]:
    mark = b"" if encoding == "utf-16" else b"\xef\xbb\xbf"
    begin = stream.read(len(mark))
    if begin != mark:
        stream.seek(0)
    try:
        with io.TextIOWrapper(stream, encoding=codec_of(encoding), newline=None) as text:
            yield from text
    except UnicodeError:
        raise DataError("a text file must match its encoding", got="undecodable bytes") from None


def _head(path: Path, encoding: str) -> tuple[str, bool]:
    """The text at the beginning of a file, and whether that is all of it."""
    try:
        with opened_text(path) as stream:
            read = stream.read(WINDOW)
            whole = not stream.read(1)
    except (OSError, EOFError):  # DuckDB reports what is wrong with it
        return "", True
    text = read.decode(codec_of(encoding), errors="ignore")
    return text.removeprefix("\xef\xbb\xbf"), whole


def _named(name: str, encoding: str) -> str:
    if encoding == "utf-16":
        return name.strip()
    return name.encode("latin-1").decode(encoding, errors="replace").strip()


def _read_best(
    lines: Sequence[str], separator: str | None, delimiter: str | None
) -> tuple[str, list[tuple[int, list[str]]]] | None:
    """The table by the separator declared in the file, else by `delimiter` if the header has it."""
    found = _table_in(lines, separator)
    if separator or not delimiter or found is None or found[0] == delimiter:
        return found
    header = lines[_lines_above(found[1])]
    return _table_in(lines, delimiter) if delimiter in header else found


def _table_in(
    lines: Sequence[str], delimiter: str | None
) -> tuple[str, list[tuple[int, list[str]]]] | None:
    """The delimiter that gives the most lines the same width, and the rows with the lines on which
    they begin; None if no line has two values.
    """
    best: tuple[float, int, str, list[tuple[int, list[str]]]] | None = None
    for each in [delimiter] if delimiter else DELIMITERS:
        rows = _rows(lines, each)
        width, share = _usual_width([cells for _, cells in rows])
        if width >= 2 and (best is None or (share, width) > best[:2]):
            best = (share, width, each, rows)
    return None if best is None else (best[2], best[3])


def _rows(lines: Sequence[str], delimiter: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    rows, start = [], 0
    try:
        for cells in reader:
            rows.append((start, cells))
            start = reader.line_num
    except csv.Error:
        return rows
    return rows


def _usual_width(rows: Sequence[list[str]]) -> tuple[int, float]:
    """The most frequent number of values, and the share of non-empty rows that have it."""
    widths = Counter(len(cells) for cells in rows if len(cells) > 1)
    if not widths:
        return 0, 0.0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    return width, count / sum(1 for cells in rows if any(cells))


def _lines_above(rows: Sequence[tuple[int, list[str]]]) -> int:
    """The number of lines above the header: the first row that is as wide as the table, mostly
    filled, and holds names. Rows may have one more value if each ends in a delimiter.
    """
    width, _ = _usual_width([cells for _, cells in rows])
    likely = [(start, cells) for start, cells in rows if _is_header(cells, width - 1)]
    if likely and likely[0][0] == 0:
        return 0
    whole = [start for start, cells in likely if len(cells) >= width]
    return next(iter([*whole, *(start for start, _ in likely)]), 0)


def _is_header(cells: Sequence[str], least: int) -> bool:
    wide = len(cells) >= max(2, least) and 2 * _filled(cells) > len(cells)
    return wide and not any(looks_like_data(cell) for cell in cells)


def _filled(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _tail(path: Path, encoding: str) -> list[str]:
    """The last lines of a file, the first of them complete."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        mark = stream.read(2)
        start = max(0, (size - WINDOW) // 2 * 2)
        stream.seek(start)
        read = stream.read()
    codec = "latin-1"
    if encoding == "utf-16":
        codec = "utf-16-be" if mark == b"\xfe\xff" else "utf-16-le"
    lines = LINE_END.split(read.decode(codec, errors="ignore"))
    return lines[1:] if start else lines


def _lines_below(lines: Sequence[str], delimiter: str, width: int) -> int:
    """The number of lines at the end that are not rows: texts, blanks and a row of totals."""
    lines = lines[:-1] if lines and not lines[-1] else lines
    found = 0
    for number, line in enumerate(reversed(lines[1:]), start=1):
        if not line.strip(f"{delimiter} \t"):
            continue
        if not _is_below(line, delimiter, width):
            return found
        if number > MOST_BELOW:
            return 0
        found = number
    return found


def _is_below(line: str, delimiter: str, width: int) -> bool:
    cells = next(csv.reader([line], delimiter=delimiter), [])
    if len(cells) < width and '"' not in line:
        return 2 * _filled(cells) <= max(width, 2)
    return is_summary(cells)


def is_summary(cells: Sequence[object]) -> bool:
    """Whether a row holds totals rather than an order: it begins with such a word and has gaps.

    >>> is_summary(["Total", "", "876.00"]), is_summary(["1001", "Total", "876.00"])
    (True, False)
    """
    filled = [cell for cell in cells if cell not in ("", None)]
    first = filled[0] if filled else None
    named = isinstance(first, str) and SUMMARY.fullmatch(first) is not None
    return named and len(filled) < len(cells)


def _mixed(path: Path, encoding: str) -> bool:
    """Whether some lines end in CR LF and others in only one of the two."""
    if encoding == "utf-16":
        return False
    size = path.stat().st_size
    feeds = returns = 0
    with path.open("rb") as stream:
        for place in range(0, size, max(WINDOW, size // SAMPLED)):
            stream.seek(place)
            block = stream.read(WINDOW)
            feeds += block.count(b"\n")
            returns += block.count(b"\r")
    cut = SAMPLED if size > WINDOW * SAMPLED else 0  # a window may split CR from LF
    return feeds > 0 and returns > 0 and abs(feeds - returns) > cut
