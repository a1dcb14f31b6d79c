"""`churn simulate` and `churn live-on`: a simulated shop, and its next days."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import offered
from churn.campaigns.delivery.planned import Planned
from churn.commands.session import Progress, silent
from churn.config import load_settings
from churn.errors import ConfigError
from churn.results.job_result import JobResult, Line, Table, hashed
from churn.results.output import read_table
from churn.simulator.advance import CONTACTS, AdvancedShop, advance_shop
from churn.simulator.files import end_of, write_shop
from churn.simulator.settings import ShopSettings
from churn.storage.ledger import Ledger
from churn.storage.messages import CONTACTED, messages_of

CAUTION = "a simulated shop: for testing mechanics and speed, not evidence about real customers"


def simulate(  # noqa: PLR0913 - what a shop is like, each by its own name
    out: Path,
    *,
    customers: int,
    seed: int,
    days: int = 730,
    lines: bool = True,
    late_share: float = 0.0,
    campaigns: int = 0,
    randomised_share: float = 0.5,
    ahead_days: int = 0,
    progress: Progress = silent,
) -> JobResult:
    """A shop's tables, churn.toml, and the truth in a folder of its own, in a new directory `out`.

    `lines` also writes the order lines, the bulk; `late_share` is the share of orders that arrive
    days after they were placed. `campaigns` is how many campaigns went out, with a lot for
    `randomised_share` of the customers; their true effects lie beside the truth. `ahead_days` are
    held back, so that the shop can live on.
    """
    shop = ShopSettings(
        days=days,
        lines=lines,
        late_share=late_share,
        campaigns=campaigns,
        randomised_share=randomised_share,
        ahead_days=ahead_days,
    )
    written = write_shop(out, shop, customers=customers, seed=seed, progress=progress)
    shown: tuple[Line, ...] = tuple((name, f"{rows:,}") for name, rows in written.rows.items())
    return JobResult(
        command="simulate",
        resolved={
            "customers": customers,
            "seed": seed,
            "start": str(shop.start),
            "until": str(shop.until),
            "lines": lines,
            "late_share": late_share,
            "campaigns": campaigns,
            "randomised_share": randomised_share if campaigns else None,
            "ahead_days": ahead_days,
        },
        rows=written.rows,
        files=hashed(*written.files),
        warnings=(CAUTION,),
        tables=(Table("Tables", ("table", "rows"), shown),),
    )


def live_on(
    shop: Path,
    *,
    plan: Path | None = None,
    sent: Path | None = None,
    days: int = 28,
    progress: Progress = silent,
) -> JobResult:
    """The tables of a simulated shop with `days` more in them, and what offers really changed.

    The offers of `plan`, which has to be of the day on which the shop ends, act on those to whom
    they went: those in `sent`, a list of `churn export`; without it those whom the shop's ledger
    holds messages to; where it holds none, all with an offer. Those whom the plan kept without
    live on as they would have.
    """
    contacts = CONTACTS.empty_table() if plan is None else _contacts(shop, plan, sent)
    lived = advance_shop(shop, days=days, contacts=contacts, progress=progress)
    told = _told(lived.effects)
    return JobResult(
        command="live-on",
        resolved={"since": str(lived.since), "until": str(lived.until), "days": days},
        rows=lived.rows,
        metrics=told,
        files=hashed(*lived.files),
        warnings=(CAUTION,),
        tables=(_grown(lived), _truth(told)),
    )


def _contacts(shop: Path, plan: Path, sent: Path | None) -> pa.Table:
    """Who was sent an offer, and who was kept without it by a draw."""
    table = read_table(plan, what="plan", command="plan")
    planned = Planned.read(table)
    _check_day(shop, planned)
    got = offered(table)
    reached = _reached(shop, planned, sent)
    if reached is not None:
        got = got.filter(pc.is_in(got["customer_id"], reached))
    none = pc.invert(pc.is_in(table["customer_id"], offered(table)["customer_id"]))
    kept = table.filter(pc.and_(none, pc.less(table["propensity"], 1.0)))
    nothing = pa.nulls(kept.num_rows, pa.string())
    kept = kept.set_column(kept.schema.get_field_index("offer_id"), "offer_id", nothing)
    return pa.concat_tables([part.select(CONTACTS.names).cast(CONTACTS) for part in (got, kept)])


def _reached(shop: Path, planned: Planned | None, sent: Path | None) -> Any:
    """The customers to whom the offers went, as far as that is on record."""
    if sent is not None:
        return read_table(sent, what="list", command="export")["customer_id"]
    ledger = load_settings(shop / "churn.toml").ledger_path
    if planned is None or not ledger.exists():
        return None
    with Ledger(ledger) as records:
        messages = messages_of(records, planned.campaign_id, planned.as_of)
    went = sorted({one.customer_id for one in messages if one.state in CONTACTED})
    return pa.array(went, pa.string()) if messages else None


def _check_day(shop: Path, planned: Planned | None) -> None:
    ends = end_of(shop)
    if planned is not None and planned.as_of != ends:
        rule = f"the plan must be as of {ends}, the day from which the shop lives on"
        raise ConfigError(rule, got=planned.as_of, fix="Plan again at the end of its data.")


def _told(told: pa.Table) -> dict[str, Any]:
    """Sums over those who were sent an offer, as they lived and as they would have without it."""
    names = ("bought_without", "bought", "orders_without", "orders")
    counts = {name: int(pc.sum(told[name]).as_py() or 0) for name in names}
    money = {
        name: round(float(pc.sum(told[name]).as_py() or 0.0), 2)
        for name in ("net_spend_without", "net_spend")
    }
    return {"sent": told.num_rows, **counts, **money}


def _grown(lived: AdvancedShop) -> Table:
    rows: tuple[Line, ...] = tuple((name, f"{count:,}") for name, count in lived.rows.items())
    title = f"Simulated: {lived.since} to before {lived.until}"
    return Table(title, ("table", "rows added"), rows)


def _truth(told: Mapping[str, Any]) -> Table:
    labels = {"bought": "who bought", "orders": "orders", "net_spend": "net spend"}
    rows: tuple[Line, ...] = tuple(
        (label, *(f"{told[name + how]:,}" for how in ("", "_without")))
        for name, label in labels.items()
        if told["sent"]
    )
    title = f"The truth about the {told['sent']:,} who were sent an offer"
    return Table(title, ("", "with it", "without it"), rows)
