"""The coupon code of each row of a list: one for all of an offer, or one for each customer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from churn.campaigns.delivery.planned import LIST_COLUMNS, PLANNED_COLUMNS
from churn.offers.catalogue import Offer, Offers
from churn.offers.rules import read_codes
from churn.storage.coupon_codes import CodesFor, assigned_codes, folded, offers_of_codes
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
