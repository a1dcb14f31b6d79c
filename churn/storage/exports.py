"""Exports of plans on record: one plan of a campaign and date for each audience and transport."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from churn.errors import ConfigError
from churn.storage.database import Record
from churn.storage.ledger import Ledger, check_started
from churn.storage.records import TREATED, PlanRow

NONE = "none"
_PLAN = "campaign_id = ? AND as_of = ?"
_REACHED = "state IN ('sending', 'sent', 'unknown')"
_STANDING = "replaced_by IS NULL AND rows > 0"
"""Not replaced; empty lists, which earlier releases also recorded, reached nobody."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Export(Record):
    """One list made from a plan, for one audience, as of the date `exported_on`.

    `plan_digest` is the same for plans that offer the same to the same customers, `list_digest` for
    lists of the same rows. `offer_id` is None if the list was not limited to one offer.
    """

    run_id: str
    campaign_id: str
    as_of: date
    plan_digest: str
    audience: str
    offer_id: str | None
    exported_on: date
    rows: int
    list_digest: str


def record_export(
    ledger: Ledger, export: Export, *, plan_run_id: str | None = None, replace: bool = False
) -> Export | None:
    """The latest earlier export of the same plan, audience and offer, None if it is new.

    ConfigError if another plan of the same campaign and date went to that audience before: the
    same campaign would contact twice. `replace` lets the new one take its place. DataError if the
    plan of `plan_run_id` is no longer current: another may have been made since it was read, and
    this one would start no cooldown.
    """
    with ledger.changing() as connection:
        check_started(connection, export.run_id)
        if plan_run_id is not None:
            ledger.check_planned(plan_run_id, campaign_id=export.campaign_id, as_of=export.as_of)
        earlier = _standing_exports(connection, export)
        others = _other_plans(earlier, export, replace=replace)
        connection.executemany(
            "UPDATE exports SET replaced_by = ? WHERE run_id = ?",
            [(export.run_id, other.run_id) for other in others],
        )
        connection.execute(
            f"INSERT INTO exports ({Export.columns()}, exported_at) "  # noqa: S608
            f"VALUES ({Export.marks()}, ?)",
            (*export.row(), ledger.moment()),
        )
        _keep_as_contacts(connection, export.campaign_id, export.as_of.isoformat())
    same = [one for one in earlier if one not in others and one.offer_id == export.offer_id]
    return same[-1] if same else None


def check_export(ledger: Ledger, export: Export, *, replace: bool = False) -> None:
    """Raises the ConfigError that `record_export` would raise; records nothing."""
    with ledger.reading() as connection:
        _other_plans(_standing_exports(connection, export), export, replace=replace)


def exported_to(ledger: Ledger, campaign_id: str, as_of: str) -> dict[str, str]:
    """The audiences and transports to which a campaign's plan of that date was exported or sent,
    each with its latest run.
    """
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT audience, run_id FROM exports WHERE {_PLAN} AND {_STANDING} ORDER BY number",  # noqa: S608
            (campaign_id, as_of),
        )
        return dict(found.fetchall())


def campaign_costs(ledger: Ledger, *, before: date) -> list[tuple[date, float]]:
    """The dates of plans before that date, and the expected cost of their offers to customers whom
    an export or a message reached: what campaigns cost by the ledger.
    """
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT as_of, sum(expected_cost) FROM plans WHERE {TREATED} AND as_of < ? "  # noqa: S608
            "AND (EXISTS (SELECT 1 FROM exported_plans e WHERE e.campaign_id = plans.campaign_id "
            "AND e.as_of = plans.as_of AND e.run_id = plans.run_id) "
            "OR EXISTS (SELECT 1 FROM messages m WHERE m.campaign_id = plans.campaign_id "
            f"AND m.as_of = plans.as_of AND m.customer_id = plans.customer_id AND m.{_REACHED})) "
            "GROUP BY as_of ORDER BY as_of",
            (before.isoformat(),),
        )
        return [(date.fromisoformat(day), float(cost)) for day, cost in found]


@dataclass(frozen=True)
class Delivered:
    """Whom a plan reached by the ledger: customers with a message, and the offers whose lists were
    exported, None among them for lists of all offers.
    """

    customers: frozenset[str]
    listed_offers: frozenset[str | None]

    def __bool__(self) -> bool:
        return bool(self.customers or self.listed_offers)


def delivered(ledger: Ledger, campaign_id: str, as_of: date) -> Delivered:
    """What was sent, or may have been, and exported of a campaign's plan of that date."""
    plan = (campaign_id, as_of.isoformat())
    with ledger.reading() as connection:
        reached = connection.execute(
            f"SELECT DISTINCT customer_id FROM messages WHERE {_PLAN} AND {_REACHED}",  # noqa: S608
            plan,
        ).fetchall()
        lists = connection.execute(
            f"SELECT DISTINCT offer_id FROM exports WHERE {_PLAN} AND {_STANDING}",  # noqa: S608
            plan,
        ).fetchall()
    return Delivered(
        frozenset(str(customer) for (customer,) in reached), frozenset(offer for (offer,) in lists)
    )


@dataclass(frozen=True)
class Assigned:
    """The randomised rows of a plan of which something was delivered.

    `unsent` counts those left out because an offer of their choice set was never delivered.
    """

    rows: tuple[PlanRow, ...]
    unsent: int


def assigned_offers(ledger: Ledger, *, before: date) -> Assigned:
    """The customers of plans dated before that date whose offer, or none, was drawn at random, as
    assigned: whom a plan did not reach after all counts like everyone else (intention to treat).

    Of a plan that was exported and then made again, the exported one counts. Left out are plans of
    which nothing was sent or exported, plans of earlier releases, which do not state their choice
    sets, and choice sets with an offer of which nothing was delivered.
    """
    with ledger.reading() as connection:
        found = connection.execute(
            f"SELECT {PlanRow.columns()} FROM plans WHERE as_of < ? "  # noqa: S608
            "AND propensity > 0 AND propensity < 1 AND lot IS NOT NULL "
            "AND run_id IN (SELECT run_id FROM exported_plans e "
            "WHERE e.campaign_id = plans.campaign_id AND e.as_of = plans.as_of "
            "UNION ALL SELECT run_id FROM planned p "
            "WHERE p.campaign_id = plans.campaign_id AND p.as_of = plans.as_of AND NOT EXISTS "
            "(SELECT 1 FROM exported_plans e WHERE e.campaign_id = p.campaign_id "
            "AND e.as_of = p.as_of)) ORDER BY campaign_id, as_of, customer_id",
            (before.isoformat(),),
        )
        rows = [PlanRow.from_row(row) for row in found]
    kept: list[PlanRow] = []
    unsent = 0
    for (campaign_id, as_of), group in groupby(rows, key=lambda row: (row.campaign_id, row.as_of)):
        plan = list(group)
        reached = delivered(ledger, campaign_id, as_of)
        if reached:
            sent = _of_delivered_offers(plan, reached)
            kept += sent
            unsent += len(plan) - len(sent)
    return Assigned(tuple(kept), unsent)


def _of_delivered_offers(plan: list[PlanRow], reached: Delivered) -> list[PlanRow]:
    """The rows whose choice set holds only offers of which something was delivered."""
    if None in reached.listed_offers:
        return plan
    messaged = {row.offer_id for row in plan if row.customer_id in reached.customers}
    known = reached.listed_offers | messaged | {NONE}
    never = {row.lot for row in plan if row.offer_id not in known}
    return [row for row in plan if row.lot not in never]


def _standing_exports(connection: sqlite3.Connection, export: Export) -> list[Export]:
    """Exports of that campaign and date to that audience that were not replaced."""
    found = connection.execute(
        f"SELECT {Export.columns()} FROM exports "  # noqa: S608
        f"WHERE {_PLAN} AND audience = ? AND {_STANDING} ORDER BY number",
        (export.campaign_id, export.as_of.isoformat(), export.audience),
    )
    return [Export.from_row(row) for row in found]


def _other_plans(earlier: Iterable[Export], export: Export, *, replace: bool) -> list[Export]:
    """Those made from another plan; ConfigError if they may not be replaced."""
    others = [one for one in earlier if one.plan_digest != export.plan_digest]
    if others and not replace:
        other = others[-1]
        rule = (
            f"one plan of campaign {other.campaign_id!r} as of {other.as_of} may be exported "
            f"to {other.audience!r}"
        )
        fix = (
            "Export that plan; or pass --replace, and remove the earlier list from the campaign "
            "tool."
        )
        raise ConfigError(rule, got=f"a plan other than that of run {other.run_id}", fix=fix)
    return others


def _keep_as_contacts(connection: sqlite3.Connection, campaign_id: str, as_of: str) -> None:
    """Records that the plan on record was exported.

    Another plan of that campaign and date is deleted once no list made from it stands, except for
    customers who have, or may have, a message of the campaign.
    """
    plan = (campaign_id, as_of)
    connection.execute(
        f"INSERT OR IGNORE INTO exported_plans SELECT * FROM planned WHERE {_PLAN}",  # noqa: S608
        plan,
    )
    standing = connection.execute(
        "SELECT count(DISTINCT plan_digest) FROM exports "  # noqa: S608
        f"WHERE {_PLAN} AND replaced_by IS NULL",
        plan,
    )
    if standing.fetchone() == (1,):
        other = f"{_PLAN} AND run_id NOT IN (SELECT run_id FROM planned WHERE {_PLAN})"  # noqa: S608
        reached = f"SELECT customer_id FROM messages WHERE {_PLAN} AND {_REACHED}"  # noqa: S608
        connection.execute(
            f"DELETE FROM plans WHERE {other} AND customer_id NOT IN ({reached})",  # noqa: S608
            plan * 3,
        )
        connection.execute(f"DELETE FROM exported_plans WHERE {other}", plan * 2)  # noqa: S608
