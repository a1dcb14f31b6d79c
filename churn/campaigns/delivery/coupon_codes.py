"""The coupon code of each row of a list: one for all of an offer, or one for each customer.

Each code is given once, and a repeated request returns the same one. Codes given and their holders
are stored separately in the ledger: an erased customer's code stays given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.campaigns.delivery.planned import LIST_COLUMNS, PLANNED_COLUMNS
from churn.errors import DataError
from churn.offers.catalogue import Offer, Offers
from churn.offers.rules import read_codes
from churn.storage.ledger import Ledger


def code_files(catalogue: Path) -> list[Path]:
    """The files of codes that the catalogue names."""
    named = [offer.codes for offer in Offers.load(catalogue) if offer.codes is not None]
    return [catalogue.parent / name for name in named]


def with_codes(
    rows: pa.Table, catalogue: Path, ledger: Ledger, *, dry_run: bool = False
) -> pa.Table:
    """`LIST_COLUMNS` of a plan's rows of one campaign and date; the code is null if an offer has
    none. Codes from a file are recorded as given, except in a `dry_run`.

    DataError if an offer has fewer codes than customers.
    """
    rows = rows.select(list(PLANNED_COLUMNS))
    codes: dict[tuple[str, str], str] = {}
    for offer in Offers.load(catalogue):
        codes |= _codes_of(offer, rows, catalogue.parent, ledger, dry_run=dry_run)
    pairs = zip(rows["customer_id"].to_pylist(), rows["offer_id"].to_pylist(), strict=True)
    column = pa.array([codes.get(pair) for pair in pairs], pa.string())
    return rows.append_column("code", column).select(list(LIST_COLUMNS))


def _codes_of(
    offer: Offer, rows: pa.Table, folder: Path, ledger: Ledger, *, dry_run: bool
) -> dict[tuple[str, str], str]:
    """The code of each customer of one offer."""
    if offer.code is None and offer.codes is None:
        return {}
    mine = [row for row in rows.to_pylist() if row["offer_id"] == offer.offer_id]
    customers = [row["customer_id"] for row in mine]
    if offer.code is not None:
        return {(customer, offer.offer_id): offer.code for customer in customers}
    if offer.codes is None or not mine:
        return {}
    what = CodesFor(mine[0]["campaign_id"], mine[0]["as_of"], offer.offer_id)
    pool = read_codes(folder / offer.codes)
    given = assigned_codes(ledger, what, customers, pool, dry_run=dry_run)
    return {(customer, offer.offer_id): code for customer, code in given.items()}


def known_codes(ledger: Ledger, offers: Offers) -> dict[str, str]:
    """The offer of each code of the catalogue's campaign, in the form in which codes are
    compared.
    """
    common = {folded(one.code): one.offer_id for one in offers if one.code is not None}
    return offers_of_codes(ledger, offers.campaign_id) | common


@dataclass(frozen=True)
class CodesFor:
    """The offer and plan for which codes are given."""

    campaign_id: str
    as_of: date
    offer_id: str

    def values(self) -> tuple[str, str, str]:
        """The key of both tables."""
        return self.campaign_id, self.as_of.isoformat(), self.offer_id


_KEY = "campaign_id = ? AND as_of = ? AND offer_id = ?"


def folded(code: str) -> str:
    """A code in the form in which codes are compared: stripped, in lower case."""
    return code.strip().lower()


def assigned_codes(
    ledger: Ledger, what: CodesFor, customers: Sequence[str], pool: Iterable[str], *, dry_run: bool
) -> dict[str, str]:
    """The code of each customer: the one they hold, else the next of the pool that was never given,
    which is recorded from now on, except in a `dry_run`.

    DataError if the pool has too few left; then none is given.
    """
    if dry_run:
        with ledger.reading() as connection:
            held, fresh = _held_and_fresh(connection, what, customers, pool)
        return held | fresh
    with ledger.changing() as connection:
        held, fresh = _held_and_fresh(connection, what, customers, pool)
        connection.executemany(
            "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?)",
            [(folded(code), code, *what.values(), ledger.moment()) for code in fresh.values()],
        )
        connection.executemany(
            "INSERT INTO code_holders VALUES (?, ?, ?, ?, ?)",
            [(*what.values(), customer, code) for customer, code in fresh.items()],
        )
    return held | fresh


def offers_of_codes(ledger: Ledger, campaign_id: str) -> dict[str, str]:
    """The offer of each code given in the campaign, by the code as it is compared."""
    with ledger.reading() as connection:
        found = connection.execute(
            "SELECT folded, offer_id FROM codes WHERE campaign_id = ?", (campaign_id,)
        )
        return dict(found.fetchall())


def _held_and_fresh(
    connection: Any, what: CodesFor, customers: Sequence[str], pool: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The codes that customers already hold, and those that the others would get."""
    rows = connection.execute(
        f"SELECT customer_id, code FROM code_holders WHERE {_KEY}",  # noqa: S608
        what.values(),
    )
    on_record = dict(rows.fetchall())
    held = {name: on_record[name] for name in customers if name in on_record}
    lacking = [name for name in customers if name not in on_record]
    if not lacking:
        return held, {}
    given = {one for (one,) in connection.execute("SELECT folded FROM codes")}
    free = [code for code in pool if folded(code) not in given]
    if len(free) < len(lacking):
        rule = f"offer {what.offer_id!r} must have a code for each of its customers"
        got = f"{len(lacking):,} customers without one, and {len(free):,} codes left"
        raise DataError(rule, got=got, fix="Add codes to its file. Nothing was sent.")
    return held, dict(zip(lacking, free, strict=False))
