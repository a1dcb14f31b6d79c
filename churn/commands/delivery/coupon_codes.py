"""The coupon code of each row of a list: one for all of an offer, or each customer their own."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from churn.campaigns.delivery.planned import LIST_COLUMNS, PLANNED_COLUMNS
from churn.commands.session import Session
from churn.config import Settings
from churn.offers.catalogue import Offer, Offers
from churn.offers.rules import read_codes
from churn.storage.coupon_codes import CodesFor, assigned_codes, folded, offers_of_codes


def code_files(settings: Settings) -> list[Path]:
    """The files of codes that the catalogue names."""
    catalogue = settings.path(settings.offers.catalogue)
    named = [offer.codes for offer in Offers.load(catalogue) if offer.codes is not None]
    return [catalogue.parent / name for name in named]


def with_codes(session: Session, rows: pa.Table, *, dry_run: bool = False) -> pa.Table:
    """`LIST_COLUMNS` of a plan's rows of one campaign and date, the code null where an offer has
    none. Codes from a file are on record from now on, but in a `dry_run`.

    DataError where an offer has fewer codes than customers.
    """
    folder = session.settings.path(session.settings.offers.catalogue).parent
    rows = rows.select(list(PLANNED_COLUMNS))
    codes: dict[tuple[str, str], str] = {}
    for offer in session.offers:
        codes |= _codes_of(session, offer, rows, folder, dry_run=dry_run)
    pairs = zip(rows["customer_id"].to_pylist(), rows["offer_id"].to_pylist(), strict=True)
    column = pa.array([codes.get(pair) for pair in pairs], pa.string())
    return rows.append_column("code", column).select(list(LIST_COLUMNS))


def _codes_of(
    session: Session, offer: Offer, rows: pa.Table, folder: Path, *, dry_run: bool
) -> dict[tuple[str, str], str]:
    """The code of each customer of one offer."""
    mine = [row for row in rows.to_pylist() if row["offer_id"] == offer.offer_id]
    customers = [row["customer_id"] for row in mine]
    if offer.code is not None:
        return {(customer, offer.offer_id): offer.code for customer in customers}
    if offer.codes is None or not mine:
        return {}
    what = CodesFor(mine[0]["campaign_id"], mine[0]["as_of"], offer.offer_id)
    pool = read_codes(folder / offer.codes)
    given = assigned_codes(session.ledger, what, customers, pool, dry_run=dry_run)
    return {(customer, offer.offer_id): code for customer, code in given.items()}


def known_codes(session: Session, offers: Offers) -> dict[str, str]:
    """The offer of each code, as it is compared, of a catalogue's campaign."""
    common = {folded(one.code): one.offer_id for one in offers if one.code is not None}
    return offers_of_codes(session.ledger, offers.campaign_id) | common
