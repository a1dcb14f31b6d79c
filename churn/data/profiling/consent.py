"""The column of an export that records consent to e-mails, such as Shopify's Accepts Marketing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from churn.data.engines.base import identifier
from churn.data.notations.flags import bare_word, flag_sql
from churn.data.profiling.files import OrdersFiles, opened

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
