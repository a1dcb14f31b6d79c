"""`churn simulate` and `churn live-on`: a simulated shop, and the advance of its calendar."""

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


def simulate(  # noqa: PLR0913 - the properties of a shop, each by its own name
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
    """The tables of a shop, churn.toml and a folder with the truth, in a new directory `out`.

    `lines` also writes order lines; `late_share` is the share of orders that arrive days after they
    were placed. `campaigns` is the number of past campaigns, with contacts randomised for
    `randomised_share` of the customers; the truth includes their effects. `ahead_days` are held
    back for `live_on`.
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
    """Appends `days` to the tables of a simulated shop, and reports the true effect of offers.

    The offers of `plan`, which must be as of the end of the shop's data, affect their recipients:
    the customers in `sent`, a list of `churn export`; without it, those with a sent message in the
    shop's ledger; without messages, all with an offer. Other customers are not affected.
    """
    contacts = CONTACTS.empty_table() if plan is None else _contacts(shop, plan, sent)
    advanced = advance_shop(shop, days=days, contacts=contacts, progress=progress)
    truth = _totals(advanced.effects)
    return JobResult(
        command="live-on",
        resolved={"since": str(advanced.since), "until": str(advanced.until), "days": days},
        rows=advanced.rows,
        metrics=truth,
        files=hashed(*advanced.files),
        warnings=(CAUTION,),
        tables=(_added(advanced), _truth_table(truth)),
    )


def _contacts(shop: Path, plan: Path, sent: Path | None) -> pa.Table:
    """The recipients of an offer, and the customers who were randomised to none."""
    table = read_table(plan, what="plan", command="plan")
    planned = Planned.read(table)
    _check_day(shop, planned)
    treated = offered(table)
    recipients = _recipients(shop, planned, sent)
    if recipients is not None:
        treated = treated.filter(pc.is_in(treated["customer_id"], recipients))
    none = pc.invert(pc.is_in(table["customer_id"], offered(table)["customer_id"]))
    control = table.filter(pc.and_(none, pc.less(table["propensity"], 1.0)))
    parts = (treated, control)
    return pa.concat_tables([part.select(CONTACTS.names).cast(CONTACTS) for part in parts])


def _recipients(shop: Path, planned: Planned | None, sent: Path | None) -> Any:
    """The customers who received their offer; None if that is not on record."""
    if sent is not None:
        return read_table(sent, what="list", command="export")["customer_id"]
    ledger = load_settings(shop / "churn.toml").ledger_path
    if planned is None or not ledger.exists():
        return None
    with Ledger(ledger) as records:
        messages = messages_of(records, planned.campaign_id, planned.as_of)
    contacted = sorted({m.customer_id for m in messages if m.state in CONTACTED})
    return pa.array(contacted, pa.string()) if messages else None


def _check_day(shop: Path, planned: Planned | None) -> None:
    end = end_of(shop)
    if planned is not None and planned.as_of != end:
        rule = f"the plan must be as of {end}, the end of the shop's data"
        raise ConfigError(rule, got=planned.as_of, fix="Plan again as of that date.")


def _totals(effects: pa.Table) -> dict[str, Any]:
    """Sums over the recipients of an offer, with it and without it."""
    names = ("bought_without", "bought", "orders_without", "orders")
    counts = {name: int(pc.sum(effects[name]).as_py() or 0) for name in names}
    money = {
        name: round(float(pc.sum(effects[name]).as_py() or 0.0), 2)
        for name in ("net_spend_without", "net_spend")
    }
    return {"sent": effects.num_rows, **counts, **money}


def _added(advanced: AdvancedShop) -> Table:
    rows: tuple[Line, ...] = tuple((name, f"{count:,}") for name, count in advanced.rows.items())
    title = f"Simulated: {advanced.since} to before {advanced.until}"
    return Table(title, ("table", "rows added"), rows)


def _truth_table(truth: Mapping[str, Any]) -> Table:
    labels = {"bought": "customers who bought", "orders": "orders", "net_spend": "net spend"}
    rows: tuple[Line, ...] = tuple(
        (label, *(f"{truth[name + how]:,}" for how in ("", "_without")))
        for name, label in labels.items()
        if truth["sent"]
    )
    title = f"True effect on the {truth['sent']:,} recipients of an offer"
    return Table(title, ("", "with offer", "without offer"), rows)
