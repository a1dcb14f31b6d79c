"""Rows that restrict, at import: refusals and limits are kept whatever is wrong with them.

A row of `consents` or `preferences` that names a customer and is not clearly a yes counts as a no:
on every channel if its channel is not recognised, for marketing if its purpose is not, and at any
time if its date is unreadable. An unclear yes is dropped, or grants nothing. The unsubscriptions
among `events` get a table of their own, because a refusal needs no date.

Rows have two extra columns: `undated`, whether the date of a refusal is unknown (`day` is then the
day of its arrival, else infinite), and `everywhere`, whether it applies to all channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from churn.data.words import (
    ALL,
    CLEAN_CHANNELS,
    CLEAN_FLAGS,
    CLEAN_PURPOSES,
    EVENT_TYPES,
    MARKETING,
    Words,
    channel_sql,
    closed_channel_sql,
    event_type_sql,
    flag_word_sql,
    granted_sql,
    kind_sql,
    purpose_sql,
    read_word_sql,
    unsubscribed_sql,
)

EARLIEST = "1900-01-01"  # shops write 0001-01-01 or 1899-12-31 for an unknown date
WORDS = {
    "consents": ("channel", "purpose", "granted"),
    "preferences": ("channel", "kind", "allowed"),
    "events": ("event_type", "channel"),
}
"""The columns of each restricting table that are read as text first, and then as words."""
READ_FIRST = {
    "consents": {
        "channel": CLEAN_CHANNELS,
        "purpose": CLEAN_PURPOSES,
        "granted": CLEAN_FLAGS,
    },
    "preferences": {"channel": CLEAN_CHANNELS, "kind": frozenset[str](), "allowed": CLEAN_FLAGS},
    "events": {"event_type": frozenset(EVENT_TYPES)},
}
"""Those inspected in every row, with the words that need no normalisation."""
RAW = {"preferences": ("max_contacts", "cap_days")}
"""Limiting numbers, also read as text (`raw_…`) to see where they are not numbers."""
RAW_AS = "raw_"
SAID = "said_"
"""Prefix of columns that hold unrecognised values until these are counted."""
KEPT = "kept as a refusal, "
"""Prefix of the reason for which an unsubscription is not an event."""
INFINITE = "CAST('Infinity' AS DOUBLE)"
LONGEST_DAYS = 3650


@dataclass(frozen=True)
class Rows:
    """The rows of a restricting table during import.

    `casts` is the SQL that selects the contract's columns which the source has, words as text.
    `others` lists the columns that are neither words nor times. `unusable` is why a row could not
    be used if it did not restrict, `nobody` why it cannot be used at all; `happened` and `latest`
    are the column of its time and the present.
    """

    table: str
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
    def read(self) -> str:
        """The SQL of the rows with what is known of each word, and of their times."""
        words = [
            read_word_sql(name, f'"{name}"', known=known)
            for name, known in READ_FIRST[self.table].items()
        ]
        lacking = [
            f'CAST(NULL AS VARCHAR) AS "{name}"'
            for name in WORDS[self.table]
            if name not in self.has
        ]
        filled = f"SELECT {', '.join(['*', *lacking])} FROM ({self.casts})"
        shown = ", ".join([*words, f"{self.dated} AS dated", f"{self.arrived} AS arrived"])
        return f"SELECT *, {shown} FROM ({filled})"

    def read_flag(self, column: str) -> str:
        """The SQL of the same with the meaning of a flag's word."""
        return f"SELECT *, {flag_word_sql(column)} FROM ({self.read})"

    @property
    def dated(self) -> str:
        """Whether the time at which a row happened is readable, and not after the present."""
        return self._is_sane(self.happened)

    @property
    def arrived(self) -> str:
        """The same for the time at which it arrived; true if the table has none."""
        return self._is_sane("loaded_at") if "loaded_at" in self.has else "true"

    def _is_sane(self, time: str) -> str:
        bounds = f"isfinite({time}) AND {time} >= '{EARLIEST}'::TIMESTAMPTZ AND {time} <= "
        return f"coalesce({bounds}{self.latest}, false)"

    def times(self, restricts: str) -> list[str]:
        """The time columns; `restricts` marks the rows that do not need them."""
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

    def number(self, column: str) -> str:
        """A column of numbers, null unless they are plausible as contacts or days."""
        name = f'"{column}"'
        sane = f"isfinite({name}) AND abs({name}) <= 1e15"
        return f"CASE WHEN {sane} THEN {name} END" if column in self.has else "CAST(NULL AS DOUBLE)"

    def is_no_number(self, column: str) -> str:
        """Whether there is a value that is not a number."""
        if column not in self.has:
            return "false"
        return (
            f"({self.number(column)} IS NULL AND NOT coalesce(trim({RAW_AS}{column}) = '', true))"
        )


def restricting_sql(rows: Rows) -> str:
    """The SQL of the table's rows, with `unusable`: why a row is dropped, else null."""
    make: dict[str, Callable[[Rows], str]] = {
        "consents": _consents,
        "preferences": _preferences,
        "events": _events,
    }
    return make[rows.table](rows)


def _day(time: str) -> str:
    return f"epoch_us({time}) / 86400e6"


def _said(column: str, understood: str) -> str:
    """The unrecognised value, "" if it is empty."""
    return (
        f"""CASE WHEN {understood} THEN NULL WHEN blank_{column} THEN '' ELSE trim("{column}") """
        f"END AS {SAID}{column}"
    )


def _consents(rows: Rows) -> str:
    words = rows.words
    named = (
        f"SELECT *, coalesce(said, false) AS yes, "
        f"{channel_sql('channel', words, granted='said')} AS on_channel, "
        f"{purpose_sql('purpose', words, granted='said')} AS to_purpose FROM "
        f"(SELECT *, {granted_sql('granted', words)} AS said FROM ({rows.read_flag('granted')}))"
    )
    shown = [
        *rows.others,
        "coalesce(on_channel, bare_channel) AS channel",
        "CASE WHEN to_purpose = 'other' THEN coalesce(nullif(bare_purpose, ''), 'other') "
        f"WHEN NOT yes THEN coalesce(to_purpose, '{MARKETING}') "
        f"WHEN to_purpose = '{ALL}' THEN 'everything' "
        "ELSE coalesce(to_purpose, bare_purpose) END AS purpose",
        "yes AS granted",
        *rows.times("NOT yes"),
        f"{_day(rows.happened)} AS later_day",
        f"(NOT yes AND coalesce(on_channel = '{ALL}', true)) AS everywhere",
        _said("granted", "said IS NOT NULL"),
        _said("channel", _is_named("on_channel")),
        _said("purpose", _is_named("to_purpose")),
        f"CASE WHEN yes THEN {rows.unusable} ELSE {rows.nobody} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({named})"


def _is_named(column: str) -> str:
    """Whether it was recognised; a grant of all channels or purposes names none."""
    return f"{column} IS NOT NULL AND NOT (yes AND {column} = '{ALL}')"


def _preferences(rows: Rows) -> str:
    most, days = (rows.number(name) for name in RAW["preferences"])
    strange = {name: rows.is_no_number(name) for name in RAW["preferences"]}
    words = rows.words
    read = (
        f"SELECT *, {granted_sql('allowed', words)} AS said, "
        f"{channel_sql('channel', words)} AS on_channel, "
        f"{kind_sql('kind', words)} AS of_kind FROM ({rows.read_flag('allowed')})"
    )
    no = f"(NOT blank_allowed AND NOT coalesce(said, false)) OR coalesce({most} < 1, false)"
    refusing = f"SELECT *, ({no} OR {strange['max_contacts']}) AS refuses FROM ({read})"
    limiting = f"SELECT *, (refuses OR {most} IS NOT NULL) AS restricts FROM ({refusing})"
    places = {"channel": "on_channel", "kind": "of_kind"}
    named = " AND ".join(f"({ours} IS NOT NULL OR blank_{name})" for name, ours in places.items())
    shown = [
        *rows.others,
        *(
            f"CASE WHEN {ours} = '{ALL}' THEN '' WHEN restricts THEN coalesce({ours}, '') "
            f"ELSE coalesce({ours}, bare_{name}) END AS {name}"
            for name, ours in places.items()
        ),
        f"CASE WHEN refuses THEN false WHEN said AND dated AND ({named} OR NOT restricts) "
        "THEN true END AS allowed",
        f"CASE WHEN {most} >= 1 THEN {most} END AS max_contacts",
        f"CASE WHEN {strange['cap_days']} THEN {LONGEST_DAYS} ELSE {days} END AS cap_days",
        *rows.times("restricts"),
        _said("allowed", "blank_allowed OR said IS NOT NULL"),
        *(_said(name, f"{ours} IS NOT NULL OR blank_{name}") for name, ours in places.items()),
        *(f"CASE WHEN {test} THEN '' END AS {SAID}{name}" for name, test in strange.items()),
        f"CASE WHEN restricts THEN {rows.nobody} ELSE {rows.unusable} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({limiting})"


def _events(rows: Rows) -> str:
    known = f"SELECT *, {event_type_sql('event_type', rows.words)} AS known_type FROM ({rows.read})"
    looks = f"known_type IS NULL AND {unsubscribed_sql('event_type')}"
    of_campaign = "campaign_id IS NOT NULL" if "campaign_id" in rows.has else "false"
    seen = f"SELECT *, coalesce({looks}, false) AS looks_so FROM ({known})"
    leaving = (
        f"SELECT *, (looks_so OR coalesce(known_type IN ('unsubscribe', 'bounce') OR "
        f"known_type = 'complaint' AND {of_campaign}, false)) AS leaves FROM ({seen})"
    )
    text = 'CASE WHEN leaves THEN "channel" END'
    words = read_word_sql("channel", text, known=CLEAN_CHANNELS)
    reading = f"SELECT *, {words} FROM ({leaving})"
    closing = (
        f"SELECT *, CASE WHEN leaves AND NOT blank_channel THEN "
        f"{channel_sql('channel', rows.words)} END AS on_channel FROM ({reading})"
    )
    closed = f"CASE WHEN blank_channel THEN {closed_channel_sql('event_type')} ELSE on_channel END"
    customer, *others = rows.others
    shown = [
        customer,
        *rows.times("leaves"),
        """CASE WHEN looks_so THEN 'unsubscribe' ELSE coalesce(known_type, "event_type") END """
        "AS event_type",
        *others,
        *(["channel"] if "channel" in rows.has else []),
        f"CASE WHEN leaves THEN coalesce({closed}, '{ALL}') END AS closes",
        _said("event_type", "NOT looks_so"),
        _said("channel", "NOT leaves OR blank_channel OR on_channel IS NOT NULL"),
        f"CASE WHEN leaves THEN coalesce({rows.nobody}, '{KEPT}' || ({rows.unusable})) "
        f"ELSE {rows.unusable} END AS unusable",
    ]
    return f"SELECT {', '.join(shown)} FROM ({closing})"


def unsubscriptions_sql(columns: Sequence[str]) -> str:
    """The SQL of the refusals among the events: customer_id, channel, everywhere, and times."""
    loaded = ", loaded_day" if "loaded_day" in columns else ""
    usable = f"unusable IS NULL OR unusable LIKE '{KEPT}%'"
    return (
        f"SELECT customer_id, closes AS channel, closes = '{ALL}' AS everywhere, day, undated"
        f"{loaded} FROM events WHERE closes IS NOT NULL AND ({usable})"
    )
