"""Times as shops write them: ISO 8601 in all shapes, strptime formats, Excel and Unix numbers.

A format is a strptime pattern or one of the names in `NAMED`.

>>> formats_like("Mar 24, 2024 4:49:00 PM")
('%b %d, %Y %I:%M:%S %p',)
>>> formats_like("3/1/24"), formats_like("45352.5")
(('%d/%m/%y', '%m/%d/%y'), ('excel',))
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from churn.data.engines.base import literal
from churn.data.notations.numbers import SPACES

ISO, EXCEL = "iso", "excel"
UNIX = {  # microseconds in each
    "unix seconds": 1e6,
    "unix milliseconds": 1e3,
    "unix microseconds": 1.0,
    "unix nanoseconds": 1e-3,
}
NAMED = (ISO, EXCEL, *UNIX)
# A clock time followed by a sign or letters has its own zone, or something unreadable.
ZONED = r"\d:\d{2}.*[A-Za-z+-]"
ISO_CHANGES = (
    (r"\[[^\]]*\]$", ""),  # 2024-03-01T10:15+01:00[Europe/Berlin]
    (r"^(\d{4})[/.](\d{1,2})[/.](\d{1,2})", r"\1-\2-\3"),
    (r"^(\d{4})(\d\d)(\d\d)T(\d\d):?(\d\d):?(\d\d)?", r"\1-\2-\3T\4:\5:\6"),
    (r":(\D|$)", r"\1"),  # left over by the line above if there are no seconds
    (r"(:\d\d),(\d)", r"\1.\2"),
    (r"(:\d\d(?:\.\d+)?) ?(?:UTC|GMT)? ?([-+]\d\d):?(\d\d)$", r"\1\2:\3"),
    (r"(:\d\d(?:\.\d+)?) ([-+]\d\d)$", r"\1\2"),
    (r"([ap])\.? ?m\.?$", r"\1m"),
)
CLOCK_OF_12 = tuple(
    f"%Y-%m-%d{between}%I:%M{seconds}{space}%p"
    for between in (" ", "T")
    for seconds in ("", ":%S", ":%S.%f")
    for space in (" ", "")
)
DAY_PART = (
    (r"(?P<a>\d{1,2})(?P<s>[./-])(?P<b>\d{1,2})(?P=s)(?P<year>\d{4}|\d\d)", "numbers"),
    (
        r"\d{1,2}(?P<s>[-/ ]|\. ?)(?P<month>[A-Za-z]{3,9})(?P<t>[-/ ]|, ?)(?P<year>\d{4}|\d\d)",
        "day",
    ),
    (r"(?P<month>[A-Za-z]{3,9})(?P<s>[-/ ])\d{1,2}(?P<t>[-/ ]|, ?)(?P<year>\d{4}|\d\d)", "month"),
)
WEEKDAY = r"(?:(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?P<full>[a-z]*)(?P<w>,? ))?"
CLOCK = (
    r"(?:(?P<between>,? | at | - |T)\d{1,2}:\d\d(?P<seconds>:\d\d)?(?P<fraction>\.\d+)?"
    r"(?P<p>(?P<ps> ?)[AaPp][Mm])?(?P<zone>(?P<zs> ?)(?:[-+]\d\d:?\d\d|[A-Z]{3,4}))?)?"
)
DATES = tuple((re.compile(WEEKDAY + day + CLOCK, re.IGNORECASE), kind) for day, kind in DAY_PART)
COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
NUMBER = re.compile(r"(\d+)(?:[.,]\d+)?")
# Numbers count as times of a shop only within these years.
PLAUSIBLE = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC))


def time_sql(text: str, formats: Sequence[str], timezone: str, *, careful: bool = False) -> str:
    """The instant that a text means in the first format that reads it; else null.

    `careful` reads more shapes of ISO 8601 and ignores unusual spaces, at a cost.
    """
    if not formats:
        return "CAST(NULL AS TIMESTAMPTZ)"
    zone = literal(timezone)
    clean = f"trim(translate({text}, {literal(SPACES)}, {literal(' ' * len(SPACES))}))"
    value = clean if careful else text
    read = [_one_sql(value, each, zone, careful=careful) for each in formats]
    return read[0] if len(read) == 1 else f"coalesce({', '.join(read)})"


def _one_sql(text: str, date_format: str, zone: str, *, careful: bool) -> str:
    if date_format == ISO:
        fast = _iso_sql(text, zone)
        return f"coalesce({fast}, {_any_iso_sql(text, zone)})" if careful else fast
    if date_format == EXCEL:
        days = f"TRY_CAST(replace({text}, ',', '.') AS DOUBLE)"
        seconds = f"to_seconds(CAST(round({days} * 86400) AS BIGINT))"
        excel = f"TIMESTAMP '1899-12-30' + {seconds}"
        return f"CASE WHEN {days} BETWEEN 1 AND 2958465 THEN timezone({zone}, {excel}) END"
    if date_format in UNIX:
        micros = f"TRY_CAST(replace({text}, ',', '.') AS DOUBLE) * {UNIX[date_format]}"
        inside = f"abs({micros}) < 4e15"
        return f"CASE WHEN {inside} THEN make_timestamptz(CAST(round({micros}) AS BIGINT)) END"
    parsed = f"try_strptime({text}, {literal(date_format)})"
    return parsed if "%z" in date_format.lower() else f"timezone({zone}, {parsed})"


def _iso_sql(text: str, zone: str) -> str:
    """ISO 8601 as SQL casts it, except for 3/1/17, which it takes for a day of the year 3."""
    plain = f"TRY_CAST({text} AS TIMESTAMP)"
    return (
        f"CASE WHEN regexp_matches({text}, '{ZONED}') THEN TRY_CAST({text} AS TIMESTAMPTZ) "
        f"WHEN {plain} >= TIMESTAMP '1000-01-01' OR {text} LIKE '____-%' "
        f"THEN timezone({zone}, {plain}) END"
    )


def _any_iso_sql(text: str, zone: str) -> str:
    """ISO 8601 with slashes, a decimal comma or an offset after a space; 12-hour clocks."""
    usual = text
    for pattern, change in ISO_CHANGES:
        usual = f"regexp_replace({usual}, {literal(f'(?i){pattern}')}, {literal(change)})"
    listed = ", ".join(map(literal, CLOCK_OF_12))
    twelve = f"timezone({zone}, try_strptime({usual}, [{listed}]))"
    iso = _iso_sql(usual, zone)
    return (
        rf"CASE WHEN regexp_matches({usual}, '(?i)\d{{4}}-.*\d ?[ap]m$') THEN {twelve} "
        f"WHEN regexp_matches({text}, '^[0-9]{{4}}[-/.0-9]') THEN {iso} END"
    )


def formats_like(value: str) -> tuple[str, ...]:
    """The formats in which such a value may be written, judging by its shape; empty if none."""
    number = NUMBER.fullmatch(value.strip())
    if number is not None:
        return _number_formats(number[1], whole=number[0] == number[1])
    for pattern, kind in DATES:
        match = pattern.fullmatch(value.strip())
        if match is not None:
            before, after = _around(match)
            return tuple(before + day + after for day in _days(match, kind))
    return ()


def _number_formats(digits: str, *, whole: bool) -> tuple[str, ...]:
    lengths = {5: (EXCEL,), 9: ("unix seconds",), 10: ("unix seconds",)}
    lengths |= {12: ("unix milliseconds",), 13: ("unix milliseconds",)}
    lengths |= {15: ("unix microseconds",), 16: ("unix microseconds",)}
    lengths |= {18: ("unix nanoseconds",), 19: ("unix nanoseconds",)}
    compact = (COMPACT[len(digits)],) if whole and len(digits) in COMPACT else ()
    return (*compact, *lengths.get(len(digits), ()))


def _days(match: re.Match[str], kind: str) -> tuple[str, ...]:
    """The day of a match as formats: two if only habit distinguishes day and month."""
    year = "%Y" if len(match["year"]) == 4 else "%y"
    s = match["s"]
    if kind == "numbers":
        day_first, month_first = f"%d{s}%m{s}{year}", f"%m{s}%d{s}{year}"
        return (day_first,) if s == "." else (day_first, month_first)
    month = "%b" if len(match["month"]) == 3 else "%B"
    first, second = ("%d", month) if kind == "day" else (month, "%d")
    return (f"{first}{s}{second}{match['t']}{year}",)


def _around(match: re.Match[str]) -> tuple[str, str]:
    """What precedes and follows the day: the name of the weekday, the clock, the zone."""
    before = ""
    if match["weekday"]:
        before = ("%A" if match["full"] else "%a") + match["w"]
    if match["between"] is None:
        return before, ""
    hour = "%I" if match["p"] else "%H"
    clock = (
        f"{hour}:%M" + (":%S" if match["seconds"] else "") + (".%f" if match["fraction"] else "")
    )
    half = f"{match['ps']}%p" if match["p"] else ""
    zone = ""
    if match["zone"]:
        zone = match["zs"] + ("%z" if re.search(r"\d", match["zone"]) else "%Z")
    return before, match["between"] + clock + half + zone


def order_of(date_format: str) -> str | None:
    """Whether a numeric format puts the day or the month first; None if they cannot be confused.

    >>> order_of("%d/%m/%Y %H:%M"), order_of("%m-%d-%y"), order_of("%d %b %Y"), order_of("iso")
    ('day first', 'month first', None, None)
    """
    if date_format.startswith("%Y") or "%m" not in date_format or "%d" not in date_format:
        return None
    return "day first" if date_format.index("%d") < date_format.index("%m") else "month first"


def plausible_sql(instant: str, date_format: str) -> str:
    """The instant, null if it is implausible for a shop."""
    if date_format in (EXCEL, *UNIX):
        first, last = (literal(moment.isoformat()) for moment in PLAUSIBLE)
        inside = f"{instant} BETWEEN {first}::TIMESTAMPTZ AND {last}::TIMESTAMPTZ"
        return f"CASE WHEN {inside} THEN {instant} END"
    return f"CASE WHEN year({instant}) BETWEEN 1900 AND 2199 THEN {instant} END"
