"""The first screen: blocks of fixed sentences, each number with its definition and its source.

Page, report, digest and `churn publish --json` show the same overview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churn.reporting.blocks import Overview
from churn.reporting.changes import LEAVING, Changes
from churn.reporting.level import Level
from churn.reporting.numbers import LEAST_CUSTOMERS
from churn.reporting.published import Published, PublishedRow
from churn.reporting.sentences import wording
from churn.reporting.today import Today

MOST_NUMBERS = 45
"""The most numbers that the sentences of an overview hold; the list of customers is apart."""

AT_RISK = f"SELECT * FROM customers WHERE at_risk ORDER BY position LIMIT {LEAVING}"
NEEDED = (
    *("score", "plan", "metrics", "signals", "feedback", "measurements", "monitor"),
    *("missing", "notes"),
)
"""The documents that an overview is made of."""


def overview_of(
    row: PublishedRow,
    documents: Mapping[str, Any],
    customers: Sequence[Mapping[str, Any]],
    *,
    language: str | None = None,
    least: int = 0,
) -> Overview:
    """The overview of what was published.

    `documents` are the JSON of the commands by name, with `missing` and `notes`; `customers` are
    the rows at risk with most at stake, of the table `customers`. `language` defaults to the
    shop's; reasons are in the language of the scores. Counts of fewer than `least` customers are
    hidden: pass `LEAST_CUSTOMERS` and no customers for who may not see them.
    """
    words = wording(language or row.language, row.currency)
    given = row, documents, words, least
    today, level, changes = Today(*given), Level(*given), Changes(*given)
    return Overview(
        today.trust(),
        today.decide(),
        level.level(),
        changes.moved(),
        changes.earned(),
        changes.leaving(customers),
    )


def overview_in(published: Published, *, language: str | None = None, ids: bool = True) -> Overview:
    """The overview of a published file, in the shop's language or another.

    Without `ids`, it lists no customers and hides counts of fewer than ten.
    """
    documents = {name: published.document(name) for name in NEEDED}
    found = published.connection.sql(AT_RISK).to_arrow_table().to_pylist() if ids else []
    least = 0 if ids else LEAST_CUSTOMERS
    return overview_of(published.row, documents, found, language=language, least=least)
