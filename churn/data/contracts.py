"""The input tables: their columns, the kind of each, and whether it is required.

Column names are ours; a shop's own names are mapped to them in `[data.<table>.columns]`.
Every table may also have `loaded_at`, the time at which the row arrived.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "code", "time", "number", "text", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a table: our name, its kind, and whether it is required.

    A code is an id typed by people, such as a coupon code: case and surrounding space are ignored,
    so it is read in lower case and stripped.
    """

    name: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True)
class TableContract:
    """One table: its columns, and the column of the time at which each row happened, if any.

    `dated` names further times whose local date is needed.
    """

    name: str
    columns: tuple[Column, ...]
    happened: str | None = None
    dated: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the required columns."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """The column with that name."""
        return next(column for column in self.columns if column.name == name)


def _table(
    name: str, happened: str | None, *, dated: tuple[str, ...] = (), **kinds: str
) -> TableContract:
    """A contract from `name="kind"`; a leading `?` marks an optional column."""
    columns = [
        Column(column, kind.lstrip("?"), required=not kind.startswith("?"))  # type: ignore[arg-type]
        for column, kind in kinds.items()
    ]
    return TableContract(name, (*columns, Column("loaded_at", "time")), happened, dated)


TABLES = {
    table.name: table
    for table in (
        _table(
            "orders",
            "ordered_at",
            customer_id="id",
            order_id="?id",
            ordered_at="time",
            amount="number",
            discount="?number",
            refund="?number",  # the refund; subtracted from the amount at import
            currency="?text",
            channel="?text",
            store="?id",
            product_id="?id",  # this and the next three if a row is a line of an order
            category="?text",
            product_name="?text",
            quantity="?number",
            unit_cost="?number",
        ),
        _table(
            "order_lines",
            None,
            order_id="id",
            product_id="id",
            category="?text",
            product_name="?text",
            quantity="number",
            amount="number",
            discount="?number",
            unit_cost="?number",
        ),
        _table(
            "customers",
            None,
            customer_id="id",
            signed_up_at="?time",
            birth_date="?time",
            region="?text",
            acquisition_source="?text",
            loyalty_tier="?text",
            email="?text",
            phone="?text",
        ),
        _table(
            "events",
            "occurred_at",
            customer_id="id",
            occurred_at="time",
            event_type="text",
            value="?number",
            ref="?id",
            channel="?text",
            campaign_id="?code",
        ),
        _table(
            "contacts",
            "contacted_at",
            customer_id="id",
            contacted_at="time",
            campaign_id="code",
            offer_id="?code",
            arm="?code",
            propensity="?number",
            lot="?text",  # contacts that were randomised over the same offers
        ),
        _table(
            "redemptions",
            "redeemed_at",
            customer_id="id",
            redeemed_at="time",
            campaign_id="?code",
            offer_id="?code",
            code="?code",  # as typed at checkout; identifies the offer if offer_id does not
        ),
        _table(
            "consents",
            "changed_at",
            customer_id="id",
            channel="text",
            purpose="text",
            granted="flag",  # empty: every channel; likewise for kinds
            changed_at="time",
        ),
        _table(
            "preferences",
            "changed_at",
            customer_id="id",
            channel="?text",  # empty: every channel; so it is with kinds
            kind="?text",
            allowed="?flag",
            max_contacts="?number",
            cap_days="?number",
            changed_at="time",
        ),
        _table(
            "costs",
            "date",
            date="time",
            category="text",
            amount="number",
            acquisition_source="?text",
        ),
        _table(
            "subscriptions",
            "started_at",
            dated=("expires_at", "cancelled_at"),
            customer_id="id",
            started_at="time",
            expires_at="time",
            cancelled_at="?time",
            amount="?number",
        ),
        _table(
            "surveys",
            "surveyed_at",
            customer_id="id",
            surveyed_at="time",
            score="?number",  # empty: asked, but no response
            scale="?text",
            wave="?text",
            answered="?flag",  # whether the shop has replied to the customer
        ),
        _table(
            "reviews",
            "reviewed_at",
            customer_id="id",
            reviewed_at="time",
            score="number",
            scale="?text",
            wave="?text",
            product_id="?id",
            answered="?flag",
        ),
    )
}
