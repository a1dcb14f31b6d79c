"""Rows that restrict, at the door: refusals and limits are kept whatever is wrong with them.

A row of `consents` or `preferences` that names a customer and is not clearly a yes counts as a no:
on every channel where its channel is not understood, to marketing where its purpose is not, and at
any time where its date is not readable. A yes that is not clear is dropped, or grants nothing. The
unsubscriptions among `events` go into a table of their own, for a refusal needs no date.

Rows have two columns more: `undated`, whether the date of a refusal is not known (`day` is then the
day of its arrival, else infinite), and `everywhere`, whether it holds on all channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from churn.data.notations.flags import bare_word_sql
from churn.data.words import (
    ALL,
    MARKETING,
    Words,
    channel_sql,
    closed_channel_sql,
    event_type_sql,
    granted_sql,
    is_blank_sql,
    kind_sql,
    purpose_sql,
    unsubscribed_sql,
)

__all__ = [
    "EARLIEST",
    "KEPT",
    "RAW",
    "RAW_AS",
    "SAID",
    "WORDS",
    "Rows",
    "restricting_sql",
    "unsubscriptions_sql",
]

EARLIEST = "1900-01-01"  # shops write 0001-01-01 or 1899-12-31 where they know no date
WORDS = {
    "consents": ("channel", "purpose", "granted"),
    "preferences": ("channel", "kind", "allowed"),
    "events": ("event_type", "channel"),
}
"""The columns of each restricting table that are read as text first, and then as words."""
RAW = {"preferences": ("max_contacts", "cap_days")}
"""Numbers that limit: they are read as text, too (`raw_…`), to see where they are not numbers."""
RAW_AS = "raw_"
SAID = "said_"
"""Before the names of columns that hold what was not understood, until it is counted."""
KEPT = "kept as a refusal, "
"""Before the reason for which an unsubscription is no event."""
INFINITE = "CAST('Infinity' AS DOUBLE)"
LONGEST_DAYS = 3650


@dataclass(frozen=True)
class Rows:
    """The rows of a restricting table on their way in.

    `casts` is the SQL that selects the columns of the contract which the source has, words as
    text. `others` shows the columns that are no words and no times. `unusable` tells why a row
    could not be used if it restricted nothing, `nobody` why it can be used in no case; `happened`
    and `latest` are the column of its time and the present.
    """

    casts: str
    has: frozenset[str]
    others: tuple[str, ...]
    unusable: str
    nobody: str
    happened: str
    latest: str
    local_day: str
    words: Words

    @property
    def dated(self) -> str:
        """Whether the time at which a row happened is readable, and not after the present."""
        return self._is_sane(self.happened)

    @property
    def arrived(self) -> str:
        """The same of the time at which it arrived; true where the table has none."""
        return self._is_sane("loaded_at") if "loaded_at" in self.has else "true"

    def _is_sane(self, time: str) -> str:
        bounds = f"isfinite({time}) AND {time} >= '{EARLIEST}'::TIMESTAMPTZ AND {time} <= "
        return f"coalesce({bounds}{self.latest}, false)"

    def times(self, restricts: str) -> list[str]:
        """The columns of times; `restricts` tells which rows may do without."""
        day = f"CASE WHEN dated THEN {_day(self.happened)} END"
        local = f"CASE WHEN dated THEN {self.local_day} END"
        since = f"CASE WHEN arrived THEN {_day('loaded_at')} END" if self._loads else "NULL"
        shown = [
            f"CASE WHEN {restricts} AND NOT dated THEN coalesce({since}, {INFINITE}) "
            f"ELSE {day} END AS day",
            f"{local} AS local_day",
            f"({restricts} AND NOT dated) AS undated",
        ]
        if self._loads:
            shown.append(f"coalesce({since}, {day}) AS loaded_day")
        return shown

    @property
    def _loads(self) -> bool:
        return "loaded_at" in self.has

    def text(self, column: str) -> str:
        """A column of words; null where the source has none."""
        return f'"{column}"' if column in self.has else "CAST(NULL AS VARCHAR)"

    def number(self, column: str) -> str:
        """A column of numbers, null where it holds none that could be one of contacts or days."""
        name = f'"{column}"'
        sane = f"isfinite({name}) AND abs({name}) <= 1e15"
        return f"CASE WHEN {sane} THEN {name} END" if column in self.has else "CAST(NULL AS DOUBLE)"

    def is_no_number(self, column: str) -> str:
        """Whether something stands there that is no number."""
        if column not in self.has:
            return "false"
        return f"({self.number(column)} IS NULL AND NOT {is_blank_sql(RAW_AS + column)})"


def restricting_sql(table: str, rows: Rows) -> str:
    """The SQL of the table's rows, with `unusable`: why a row is to be dropped, else null."""
    make: dict[str, Callable[[Rows], str]] = {
        "consents": _consents,
        "preferences": _preferences,
        "events": _events,
    }
    return make[table](rows)


def _day(time: str) -> str:
    return f"epoch_us({time}) / 86400e6"


def _said(text: str, understood: str, column: str) -> str:
    """What was not understood, "" for nothing at all."""
    said = f"CASE WHEN {understood} THEN NULL WHEN {is_blank_sql(text)} THEN '' ELSE trim({text})"
    return f"{said} END AS {SAID}{column}"


def _consents(rows: Rows) -> str:
    granted, channel, purpose = map(rows.text, ("granted", "channel", "purpose"))
    said = granted_sql(granted, rows.words)
    read = f"SELECT *, {said} AS said, {_sane(rows)} FROM ({rows.casts})"
    named = (
        f"SELECT *, coalesce(said, false) AS yes, "
        f"{_by_answer(channel_sql, channel, rows.words)} AS on_channel, "
        f"{_by_answer(purpose_sql, purpose, rows.words)} AS to_purpose FROM ({read})"
    )
    shown = [
        *rows.others,
        f"coalesce(on_channel, {_bare(channel)}) AS channel",
        f"CASE WHEN to_purpose = 'other' THEN coalesce(nullif({_bare(purpose)}, ''), 'other') "
        f"WHEN NOT yes THEN coalesce(to_purpose, '{MARKETING}') "
        f"WHEN to_purpose = '{ALL}' THEN 'everything' "
        f"ELSE coalesce(to_purpose, {_bare(purpose)}) END AS purpose",
        "yes AS granted",
        *rows.times("NOT yes"),
        f"{_day(rows.happened)} AS later_day",
        f"(NOT yes AND coalesce(on_channel = '{ALL}', true)) AS everywhere",
        _said(granted, "said IS NOT NULL", "granted"),
        _said(channel, _is_named("on_channel"), "channel"),
        _said(purpose, _is_named("to_purpose"), "purpose"),
        f"CASE WHEN yes THEN {rows.unusable} ELSE {rows.nobody} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({named})"


def _by_answer(naming: Callable[..., str], text: str, words: Words) -> str:
    """What a text names, in a grant or in a refusal."""
    granted, refused = (naming(text, words, refused=refused) for refused in (False, True))
    return f"CASE WHEN said THEN {granted} ELSE {refused} END"


def _is_named(column: str) -> str:
    """Whether it was understood; a grant of all channels or purposes names none."""
    return f"{column} IS NOT NULL AND NOT (yes AND {column} = '{ALL}')"


def _bare(text: str) -> str:
    return f"coalesce({bare_word_sql(text)}, '')"


def _preferences(rows: Rows) -> str:
    channel, kind, allowed = map(rows.text, WORDS["preferences"])
    most, days = (rows.number(name) for name in RAW["preferences"])
    no_number = {name: rows.is_no_number(name) for name in RAW["preferences"]}
    said = granted_sql(allowed, rows.words, "allowed")
    read = (
        f"SELECT *, {said} AS said, {_sane(rows)}, {is_blank_sql(allowed)} AS silent, "
        f"{channel_sql(channel, rows.words, refused=True)} AS on_channel, "
        f"{kind_sql(kind, rows.words)} AS of_kind FROM ({rows.casts})"
    )
    no = f"(NOT silent AND NOT coalesce(said, false)) OR coalesce({most} < 1, false)"
    refusing = f"SELECT *, ({no} OR {no_number['max_contacts']}) AS refuses FROM ({read})"
    limiting = f"SELECT *, (refuses OR {most} IS NOT NULL) AS restricts FROM ({refusing})"
    named = " AND ".join(
        f"({column} IS NOT NULL OR {is_blank_sql(text)})"
        for column, text in (("on_channel", channel), ("of_kind", kind))
    )
    shown = [
        *rows.others,
        *(
            f"CASE WHEN {ours} = '{ALL}' THEN '' WHEN restricts THEN coalesce({ours}, '') "
            f"ELSE coalesce({ours}, {_bare(text)}) END AS {name}"
            for ours, text, name in (("on_channel", channel, "channel"), ("of_kind", kind, "kind"))
        ),
        f"CASE WHEN refuses THEN false WHEN said AND dated AND ({named} OR NOT restricts) "
        "THEN true END AS allowed",
        f"CASE WHEN {most} >= 1 THEN {most} END AS max_contacts",
        f"CASE WHEN {no_number['cap_days']} THEN {LONGEST_DAYS} ELSE {days} END AS cap_days",
        *rows.times("restricts"),
        _said(allowed, "silent OR said IS NOT NULL", "allowed"),
        _said(channel, f"on_channel IS NOT NULL OR {is_blank_sql(channel)}", "channel"),
        _said(kind, f"of_kind IS NOT NULL OR {is_blank_sql(kind)}", "kind"),
        *(f"CASE WHEN {no_number[name]} THEN '' END AS {SAID}{name}" for name in no_number),
        f"CASE WHEN restricts THEN {rows.nobody} ELSE {rows.unusable} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({limiting})"


def _events(rows: Rows) -> str:
    event_type, channel = map(rows.text, WORDS["events"])
    read = (
        f"SELECT *, {event_type_sql(event_type, rows.words)} AS known_type, {_sane(rows)} "
        f"FROM ({rows.casts})"
    )
    looks = f"known_type IS NULL AND {unsubscribed_sql(event_type)}"
    of_campaign = "campaign_id IS NOT NULL" if "campaign_id" in rows.has else "false"
    seen = f"SELECT *, coalesce({looks}, false) AS looks_so FROM ({read})"
    leaving = (
        f"SELECT *, (looks_so OR coalesce(known_type IN ('unsubscribe', 'bounce') OR "
        f"known_type = 'complaint' AND {of_campaign}, false)) AS leaves FROM ({seen})"
    )
    named = channel_sql(channel, rows.words, refused=True)
    blank = is_blank_sql(channel)
    closed = f"CASE WHEN {blank} THEN {closed_channel_sql(event_type)} ELSE {named} END"
    shown = [
        *rows.others,
        f"CASE WHEN looks_so THEN 'unsubscribe' ELSE coalesce(known_type, {event_type}) END "
        "AS event_type",
        *([channel] if "channel" in rows.has else []),
        *rows.times("leaves"),
        f"CASE WHEN leaves THEN coalesce({closed}, '{ALL}') END AS closes",
        _said(event_type, "NOT looks_so", "event_type"),
        _said(channel, f"NOT leaves OR {blank} OR {named} IS NOT NULL", "channel"),
        f"CASE WHEN leaves THEN coalesce({rows.nobody}, '{KEPT}' || ({rows.unusable})) "
        f"ELSE {rows.unusable} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({leaving})"


def _sane(rows: Rows) -> str:
    return f"{rows.dated} AS dated, {rows.arrived} AS arrived"


def unsubscriptions_sql(columns: Sequence[str]) -> str:
    """The SQL of the refusals among the events: customer_id, channel, everywhere, and times."""
    loaded = ", loaded_day" if "loaded_day" in columns else ""
    usable = f"unusable IS NULL OR unusable LIKE '{KEPT}%'"
    return (
        f"SELECT customer_id, closes AS channel, closes = '{ALL}' AS everywhere, day, undated"
        f"{loaded} FROM events WHERE closes IS NOT NULL AND ({usable})"
    )
