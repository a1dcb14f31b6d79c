"""Unclear rows among those that restrict: counted and described."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from churn.data.audit import TableAudit
from churn.data.contracts import TABLES, TableContract
from churn.data.engines.base import Engine, identifier
from churn.data.losses import NOBODY
from churn.data.restricting import KEPT, RAW, SAID, WORDS, unsubscriptions_sql
from churn.data.settings import TableSource
from churn.errors import ConfigError

UNSUBSCRIPTIONS = "unsubscriptions"
"""The engine's table of the refusals among the events."""
LATER_GRANTS = "later_grants"
"""The engine's table of grants dated later than the clock: they are ignored, but on record."""

WORDS_SHOWN = 5
# What may be shown of a column of words: no address, no number, no sentence.
SHOWABLE = re.compile(r"[^\W\d_][^\W_]*([ ._/-][^\W_]+){0,6}")
LONGEST_SHOWN, MOST_DIGITS = 40, 3
_KEPT = f"(unusable IS NULL OR unusable LIKE '{KEPT}%')"
_RESTRICTS = {
    "consents": "NOT granted",
    "preferences": "(allowed = false OR max_contacts IS NOT NULL)",
    "events": "closes IS NOT NULL",
}
_COUNT_AS = {
    "consents": "count as refusals; unclear grants grant nothing",
    "preferences": 'count as "no" to everything they may mean',
    "events": "count as refusals",
}


def keep_restricting(engine: Engine, audit: TableAudit) -> TableAudit:
    """The audit with what was unclear. The engine's table keeps its usable rows, and the
    unsubscriptions of events get a table of their own.
    """
    table = audit.table
    columns = engine.columns(table)
    said = [name for name in columns if name.startswith(SAID)]
    warnings = (*audit.warnings, *_warnings(engine, audit, said))
    if table == "events":
        engine.create(UNSUBSCRIPTIONS, unsubscriptions_sql(columns))
    if table == "consents":
        engine.create(LATER_GRANTS, _LATER)
    inner = {*said, "unusable", "later_day"}
    inner |= {"closes", "undated"} if table == "events" else set()
    if audit.dropped:
        kept = ", ".join(identifier(name) for name in columns if name not in inner)
        engine.create(table, f"SELECT {kept} FROM {identifier(table)} WHERE unusable IS NULL")
    else:  # without writing a large table anew
        for name in sorted(inner & {*columns}):
            engine.drop_column(table, name)
    return replace(audit, warnings=warnings)


_LATER = (
    "SELECT customer_id, channel, later_day AS day FROM consents "
    "WHERE granted AND unusable LIKE '%later than the clock'"
)


def check_words(contract: TableContract, source: TableSource) -> None:
    """ConfigError if `words` are given for a column that does not hold words."""
    known = WORDS.get(contract.name, ("arm",) if contract.name == "contacts" else ())
    strange = sorted(set(source.words) - set(known))
    if strange:
        rule = f"[data.{contract.name}.words] maps words of {', '.join(known) or 'no column'}"
        raise ConfigError(rule, got=strange, fix="Remove the others.")


def _warnings(engine: Engine, audit: TableAudit, said: Sequence[str]) -> Iterator[str]:
    table = audit.table
    is_unclear = " OR ".join(["undated", *(f"{name} IS NOT NULL" for name in said)])
    (row,) = engine.rows(
        f"SELECT sum(CASE WHEN ({is_unclear}) AND {_KEPT} THEN 1 ELSE 0 END) AS unclear, "
        f"sum(CASE WHEN undated AND {_KEPT} THEN 1 ELSE 0 END) AS undated, "
        f"sum(CASE WHEN unusable = '{NOBODY}' AND {_RESTRICTS[table]} THEN 1 ELSE 0 END) AS nobody "
        f"FROM {identifier(table)}"
    )
    unclear, undated, nobody = (
        int(str(row[name] or 0)) for name in ("unclear", "undated", "nobody")
    )
    if unclear:
        parts = [part for name in said if (part := _words_of(engine, table, name))]
        if undated:
            parts.append(f"{TABLES[table].happened} is not a date up to now ({undated:,})")
        yield (
            f"{_rows(unclear)} unclear and {_COUNT_AS[table]}: {'; '.join(parts)}. "
            f"Map words in [data.{table}.words]"
        )
    if nobody:
        refusals = "1 refusal names" if nobody == 1 else f"{nobody:,} refusals name"
        yield f"{refusals} no customer and cannot be applied"


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _words_of(engine: Engine, table: str, name: str) -> str | None:
    """The unrecognised words of a column, each with its number of rows, most frequent first."""
    counted = engine.rows(
        f"SELECT {name} AS word, count(*) AS n FROM {identifier(table)} "
        f"WHERE {name} IS NOT NULL AND {_KEPT} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1000"
    )
    if not counted:
        return None
    column = name.removeprefix(SAID)
    if column in RAW.get(table, ()):
        return f"{column} is not a number ({sum(int(str(row['n'])) for row in counted):,})"
    words = [(_shown(str(row["word"])), int(str(row["n"]))) for row in counted]
    shown = [f"{word} ({n:,})" for word, n in words if word is not None][:WORDS_SHOWN]
    others = len(words) - len(shown)
    if others:
        shown.append("1 other word" if others == 1 else f"{others:,} other words")
    return f"{column} holds {', '.join(shown)}"


def _shown(word: str) -> str | None:
    """The word as it is shown; None for what may be a customer's value rather than a word."""
    if not word:
        return "nothing"
    digits = sum(sign.isdigit() for sign in word)
    if len(word) > LONGEST_SHOWN or digits > MOST_DIGITS or not SHOWABLE.fullmatch(word):
        return None
    return repr(word)
