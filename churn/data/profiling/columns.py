"""Which of a shop's columns is which of ours: by name, compared with the values; and the column
that says who agreed to marketing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from churn.data.engines.base import identifier
from churn.data.profiling.files import OrdersFiles, opened
from churn.data.profiling.names import ROLES, name_score
from churn.data.profiling.systems import System, columns_for, system_of
from churn.data.profiling.values import ColumnProfile
from churn.data.words import bare_word, flag_sql

CONVINCING = 0.45
CLOSE = 0.1
FEW_ROWS = 50
REQUIRED = ("customer_id", "ordered_at", "amount")
NUMBERS = ("amount", "refund", "unit_price", "quantity", "discount")
TEXTS = {"currency": 200, "channel": 200, "category": 10_000}

Profiles = Mapping[str, ColumnProfile]
NAMES = (
    *("acceptsmarketing", "acceptsemailmarketing", "acceptsemails", "acceptsnewsletter"),
    *("customeracceptsmarketing", "buyeracceptsmarketing", "emailmarketingconsent"),
    *("marketingconsent", "emailconsent", "marketingoptin", "emailoptin", "newsletteroptin"),
    *("optin", "optedin", "optinnewsletter", "newsletter", "newslettersubscriber"),
    *("newslettersubscribed", "subscribednewsletter", "subscribedtonewsletter", "emailsubscribed"),
    *("emailsubscriber", "marketingemails", "emailmarketing", "emailmarketingstatus"),
)
"""Bare names for consent to marketing by e-mail; earlier ones are more certain."""

LEAST_READABLE = 0.9


@dataclass(frozen=True)
class Mapped:
    """`columns` as ours → theirs (`unit_price` among ours), and doubts as full sentences.

    `unfit` lists, per role, the columns with its name but not its kind of values, `system` is the
    shop system that the header identifies.
    """

    columns: dict[str, str]
    doubts: tuple[str, ...]
    unfit: dict[str, list[str]]
    system: System | None = None


def map_columns(profiles: Profiles, given: Mapping[str, str] | None = None) -> Mapped:
    """The best column for each role; no column has two roles, and a role may remain empty.

    Columns `given`, ours → theirs, take precedence; then a shop system's known header.
    """
    system = system_of(profiles)
    known = {**_known(system, profiles), **(given or {})} if system else dict(given or {})
    scores = {
        (role, name): name_score(role, name) * _fitness(role, column)
        for role in ROLES
        for name, column in profiles.items()
    }
    columns = _best_pairs(scores, known)
    rivals = _rivals(columns, scores, known)
    doubts = (*rivals, *_price_alone(columns), *_fall_back(columns, profiles))
    return Mapped(columns, doubts, _unfit(profiles), system)


def _known(system: System, profiles: Profiles) -> dict[str, str]:
    """The system's columns per role: the first with suitable values that are mostly present."""
    found: dict[str, str] = {}
    for role, names in columns_for(system, profiles).items():
        fitting = [name for name in names if _fitness(role, profiles[name]) > 0]
        most = max((profiles[name].filled for name in fitting), default=0)
        there = [name for name in fitting if 2 * profiles[name].filled >= most]
        if there:
            found[role] = there[0]
    return found


def price_times_quantity(columns: Mapping[str, str]) -> str | None:
    """The product that replaces the amount, in their names, or None if a part is missing.

    >>> price_times_quantity({"quantity": "Qty", "unit_price": "Unit price"})
    'Qty * "Unit price"'
    """
    if not {"quantity", "unit_price"} <= columns.keys():
        return None
    return f"{term(columns['quantity'])} * {term(columns['unit_price'])}"


def term(name: str) -> str:
    """A column's name as arithmetic and conditions read it: quoted unless it is a plain word."""
    if name.isidentifier():
        return name
    return '"' + name.replace('"', '""') + '"'


def _best_pairs(
    scores: Mapping[tuple[str, str], float], known: Mapping[str, str]
) -> dict[str, str]:
    columns = dict(known)
    for (role, name), score in sorted(scores.items(), key=lambda pair: -pair[1]):
        if score >= CONVINCING and role not in columns and name not in columns.values():
            columns[role] = name
    return columns


def _fitness(role: str, column: ColumnProfile) -> float:
    """How well the values suit the role, from 0 (not at all) to 1."""
    if column.filled == 0:
        return 0.0
    if role == "ordered_at":
        return float(column.may_be_time)
    if role in NUMBERS:
        return float(column.is_number and not (column.is_date and role != "quantity"))
    if role == "product_name":
        return float(not column.is_number and not column.is_date)
    if role in TEXTS:
        return float(column.distinct <= TEXTS[role] and not column.is_date)
    return _id_fitness(role, column)


def _id_fitness(role: str, column: ColumnProfile) -> float:
    fractional = column.is_number and not column.is_floated
    if fractional or (column.is_date and not column.is_whole):
        return 0.0
    never_again = column.filled >= FEW_ROWS and column.distinct > 0.95 * column.filled
    if role == "customer_id" and never_again:
        return 0.85
    return 1.0


def _price_alone(columns: dict[str, str]) -> list[str]:
    """Uses a price as the amount if there is neither an amount nor a quantity."""
    if {"amount", "quantity"} & columns.keys() or "unit_price" not in columns:
        return []
    columns["amount"] = columns.pop("unit_price")
    return [f"{columns['amount']!r} is taken as the amount: there is no quantity."]


def _fall_back(columns: dict[str, str], profiles: Profiles) -> list[str]:
    """Fills the time and the amount by their values alone, if only one column is possible."""
    doubts = []
    spare = {name: c for name, c in profiles.items() if name not in columns.values()}
    dates = [name for name, c in spare.items() if c.is_date and not c.is_number]
    moneys = [name for name, c in spare.items() if c.is_number and not c.is_whole]
    if "ordered_at" not in columns and len(dates) == 1:
        columns["ordered_at"] = dates[0]
        doubts.append(
            f"{dates[0]!r} is taken as the time of the order: no other column holds times."
        )
    if "amount" not in columns and not price_times_quantity(columns) and len(moneys) == 1:
        columns["amount"] = moneys[0]
        doubts.append(f"{moneys[0]!r} is taken as the amount: no other column holds fractions.")
    return doubts


def _rivals(
    columns: Mapping[str, str],
    scores: Mapping[tuple[str, str], float],
    known: Mapping[str, str],
) -> list[str]:
    """A doubt for each required role that another column would suit as well by name."""
    doubts = []
    for role in REQUIRED:
        chosen = columns.get(role)
        if chosen is None or role in known:
            continue
        least = max(scores[role, chosen] - CLOSE, CONVINCING)
        others = [
            repr(name)
            for (scored, name), score in scores.items()
            if scored == role and score >= least and name not in columns.values()
        ]
        if others:
            doubts.append(f"{chosen!r} is taken as {role}; {', '.join(others)} would fit too.")
    return doubts


def _unfit(profiles: Profiles) -> dict[str, list[str]]:
    return {
        role: [
            name
            for name, column in profiles.items()
            if name_score(role, name) >= CONVINCING and _fitness(role, column) == 0
        ]
        for role in REQUIRED
    }


@dataclass(frozen=True)
class ConsentColumn:
    """The column, and how many of its rows are yes, no and unreadable."""

    name: str
    yes: int
    no: int
    unread: int


def consent_column(paths: Sequence[Path]) -> ConsentColumn | None:
    """The column of consent to e-mails in the files; None if no column has such a name, or if less
    than 90 % of its values read as yes or no.
    """
    with opened(paths) as table:
        named = {bare_word(name): name for name in reversed(list(table.types))}
        for word in NAMES:
            if word in named:
                found = _counted(table, named[word])
                if found.yes + found.no >= LEAST_READABLE * _filled(table, named[word]) > 0:
                    return found
    return None


def _counted(table: OrdersFiles, name: str) -> ConsentColumn:
    flag = flag_sql(f"CAST({identifier(name)} AS VARCHAR)")
    (row,) = table.engine.rows(
        f"SELECT count(*) FILTER (WHERE {flag}) AS yes, count(*) FILTER (WHERE NOT {flag}) AS no, "
        f"count(*) AS rows FROM {table.relation}"
    )
    yes, no, rows = (int(str(row[key])) for key in ("yes", "no", "rows"))
    return ConsentColumn(name, yes, no, rows - yes - no)


def _filled(table: OrdersFiles, name: str) -> int:
    text = f"trim(CAST({identifier(name)} AS VARCHAR))"
    (row,) = table.engine.rows(
        f"SELECT count(*) FILTER (WHERE {text} <> '') AS n FROM {table.relation}"
    )
    return int(str(row["n"]))
