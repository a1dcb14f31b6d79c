"""Which rows of the orders count, and which ids are guests: from statuses, refunds and ids."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from churn.data.engines.base import identifier, literal
from churn.data.ids import GUEST_NUMBERS, MANY_TIMES, NUMBER, canonical
from churn.data.profiling.files import OrdersFiles
from churn.data.settings import IdRule
from churn.data.statuses import StatusColumn, counts_as_purchase, status_columns

MOST_WORDS = 40
MOST_CODES = 10
SHOWN = 6
NEARLY_ALL = 0.9
SOME_IDS = 200_000
FLAGS = frozenset(
    ("0", "1", "true", "false", "t", "f", "yes", "no", "y", "n", "ja", "nein", "oui", "non")
)
GIFT_CARDS = ("gift card", "giftcard", "geschenkgutschein", "geschenkkarte", "carte cadeau")


@dataclass(frozen=True)
class CountedRows:
    """`where` for the orders, the rule of customer ids, guest ids, the column of refunds and the
    currency kept if there are several; `seen` and `warnings` as text.
    """

    where: str | None = None
    customer_id: IdRule = "exact"
    guests: tuple[str, ...] = ()
    refund: str | None = None
    currency: str | None = None
    seen: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def guess_counted_rows(
    table: OrdersFiles, columns: Mapping[str, str], *, grain: str
) -> CountedRows:
    """The proposal for the mapping ours → theirs of a file of orders."""
    spare = [name for name in table.types if name not in columns.values()]
    parts: list[str] = []
    doubts: list[str] = []
    seen: dict[str, str] = {}
    for column in status_columns(spare):
        found = _condition(table, column)
        if found is not None:
            parts.append(found.where)
            doubts.extend(found.doubts)
            seen["where"] = "; ".join(filter(None, (seen.get("where"), found.seen)))
    currency = _one_currency(table, columns.get("currency"))
    if currency is not None:
        parts.append(currency.where)
        doubts.extend(currency.doubts)
        seen["where"] = "; ".join(filter(None, (seen.get("where"), currency.seen)))
    ids = _ids(table, columns["customer_id"])
    refund, refunded = _refund(table, spare, grain)
    return CountedRows(
        where=" and ".join(parts) or None,
        customer_id=ids.customer_id,
        guests=ids.guests,
        refund=refund,
        currency=None if currency is None else currency.code,
        seen={**seen, **ids.seen, **({"refund": refunded} if refund else {})},
        warnings=(*doubts, *ids.warnings, *_gift_cards(table, columns)),
    )


@dataclass(frozen=True)
class _Condition:
    """A part of `where`, the evidence for it, and remarks for the user."""

    where: str
    seen: str
    doubts: tuple[str, ...] = ()
    code: str | None = None


def _condition(table: OrdersFiles, column: StatusColumn) -> _Condition | None:
    """The condition implied by a column; None if it keeps all rows."""
    if column.kind == "refund":
        return None
    counts = _words(table, column.name)
    blank = counts.pop("", 0)
    if column.kind == "moment":
        filled = sum(counts.values())
        seen = f"{filled:,} rows have a {column.name!r}"
        return _Condition(f"{_term(column.name)} is null", seen) if filled else None
    if not counts or len(counts) >= MOST_WORDS:
        return None
    if column.kind == "word":
        return _of_words(column.name, counts, blank)
    if not FLAGS.issuperset(counts):
        return None
    said = _term(column.name) if column.kind == "counter_flag" else f"not {_term(column.name)}"
    shown = ", ".join(f"{n:,} {column.name} = {word}" for word, n in counts.items())
    return _Condition(_or_blank(said, column.name, blank), shown)


def _of_words(name: str, counts: Mapping[str, int], blank: int) -> _Condition | None:
    """A condition that keeps the words that mean a purchase, and unknown ones."""
    against = {word: n for word, n in counts.items() if counts_as_purchase(word) is False}
    unknown = {word: n for word, n in counts.items() if counts_as_purchase(word) is None}
    if not against or len(against) == len(counts):
        return None
    kept = ", ".join(_text(word) for word in counts if word not in against)
    left = ", ".join(f"{n:,} {word}" for word, n in list(against.items())[:SHOWN])
    seen = f"{name!r} leaves out {left}"
    doubts = []
    if unknown:
        words = ", ".join(f"{n:,} {word}" for word, n in list(unknown.items())[:SHOWN])
        doubts.append(f"do these statuses in {name!r} mean a purchase? They are counted: {words}.")
    return _Condition(_or_blank(f"{_term(name)} in ({kept})", name, blank), seen, tuple(doubts))


def _or_blank(condition: str, name: str, blank: int) -> str:
    return f"({condition} or {_term(name)} is null)" if blank else condition


def _one_currency(table: OrdersFiles, name: str | None) -> _Condition | None:
    """The currency of most rows, if there are several."""
    if name is None:
        return None
    counts = _words(table, name)
    blank = counts.pop("", 0)
    codes = [word for word in counts if len(word) == 3 and word.isalpha()]
    if not 1 < len(codes) == len(counts) <= MOST_CODES:
        return None
    most, *others = codes
    left = ", ".join(f"{counts[code]:,} {code.upper()}" for code in others)
    doubt = (
        f"the amounts are in {len(codes)} currencies: only those in {most.upper()} are kept, and "
        f"{left} are left out. Convert them in the export to keep all."
    )
    where = _or_blank(f"{_term(name)} = {_text(most.upper())}", name, blank)
    return _Condition(where, f"{counts[most]:,} {most.upper()}, {left}", (doubt,), most.upper())


def _words(table: OrdersFiles, name: str) -> dict[str, int]:
    """The values of a column in lower case with their counts, most frequent first; "" if empty."""
    text = f"coalesce(lower(trim(CAST({identifier(name)} AS VARCHAR))), '')"
    rows = table.engine.rows(
        f"SELECT {text} AS v, count(*) AS n FROM {table.relation} GROUP BY 1 "
        f"ORDER BY 2 DESC, 1 LIMIT {MOST_WORDS + 1}"
    )
    return {str(row["v"]): int(str(row["n"])) for row in rows}


def _refund(table: OrdersFiles, spare: Sequence[str], grain: str) -> tuple[str | None, str]:
    """The column of refunds, with the evidence; none if no value is a number."""
    names = [column.name for column in status_columns(spare) if column.kind == "refund"]
    for name in names:
        text = f"CAST({identifier(name)} AS VARCHAR)"
        digits = f"regexp_matches({text}, '[0-9]')"
        (row,) = table.engine.rows(
            f"SELECT count(*) AS rows, count(CASE WHEN {digits} THEN 1 END) AS filled, "
            f"count(CASE WHEN regexp_matches({text}, '[1-9]') THEN 1 END) AS refunds "
            f"FROM {table.relation}"
        )
        rows, filled, refunds = (int(str(row[fact])) for fact in ("rows", "filled", "refunds"))
        repeated = grain == "line" and filled == rows  # the order's, on each of its lines
        if filled and not repeated:
            return name, f"{refunds:,} rows with a refund"
    return None, ""


def _ids(table: OrdersFiles, name: str) -> CountedRows:
    """The rule of customer ids and the guests among them."""
    text = f"CAST({identifier(name)} AS VARCHAR)"
    rows = table.engine.rows(
        f"SELECT {text} AS v, count(*) AS n FROM {table.relation} WHERE {text} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SOME_IDS}"
    )
    counts = {str(row["v"]): int(str(row["n"])) for row in rows if str(row["v"]).strip()}
    rule, evidence = _rule(counts)
    by_id: dict[str, int] = {}
    for value, n in counts.items():
        plain = canonical(value.strip(), rule)
        by_id[plain] = by_id.get(plain, 0) + n
    guests = _guests(by_id)
    seen = {"customer_id_rule": evidence} if evidence else {}
    if guests:
        shown = ", ".join(f"{by_id[guest]:,} rows of {guest}" for guest in guests)
        seen["guests"] = shown
    return CountedRows(customer_id=rule, guests=guests, seen=seen)


def _rule(ids: Iterable[str]) -> tuple[IdRule, str]:
    """The rule, with the evidence for it."""
    listed = list(ids)
    floats = sum(re.fullmatch(r"\s*\d+\.0\s*", name) is not None for name in listed)
    numbers = sum(re.match(NUMBER, name) is not None for name in listed)
    addresses = sum("@" in name for name in listed)
    if addresses >= NEARLY_ALL * len(listed) and listed:
        return "email", f"{addresses:,} of {len(listed):,} ids are e-mail addresses"
    if numbers < NEARLY_ALL * len(listed) or not listed:
        return "exact", ""
    if floats:
        return "number", f"{floats:,} of {len(listed):,} ids are written like 13085.0"
    spaced = sum(name != name.strip() for name in listed)
    if spaced:
        return "number", f"{spaced:,} of {len(listed):,} ids have surrounding spaces"
    twice = len(listed) - len({canonical(name, "number") for name in listed})
    return ("number", f"{twice:,} ids also occur with leading zeros") if twice else ("exact", "")


def _guests(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Of 0 and -1, those that have many times the rows of the other ids."""
    others = [n for name, n in counts.items() if name not in GUEST_NUMBERS]
    if not others:
        return ()
    mean = sum(others) / len(others)
    return tuple(name for name in GUEST_NUMBERS if counts.get(name, 0) >= MANY_TIMES * mean)


def _gift_cards(table: OrdersFiles, columns: Mapping[str, str]) -> list[str]:
    """A sentence on lines that sell gift cards: they bring money, but are not a purchase yet."""
    name = columns.get("product_name") or columns.get("category")
    if name is None:
        return []
    text = f"lower(CAST({identifier(name)} AS VARCHAR))"
    tests = " OR ".join(f"contains({text}, {literal(word)})" for word in GIFT_CARDS)
    (row,) = table.engine.rows(f"SELECT count(*) AS n FROM {table.relation} WHERE {tests}")
    if not row["n"]:
        return []
    return [
        f"{row['n']:,} rows sell gift cards, which are spent again later: exclude them with "
        f"{_term(name)} not like '%gift card%' in where if each row has its own amount."
    ]


def _term(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
