"""The demo from its first step to its last, and the money table that it ends in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.commands.demo.delivery import export_list, mail_server, send_mails, withdraw_one
from churn.commands.demo.money import Earned, earned, money_table, verdict
from churn.commands.demo.steps import (
    Say,
    Story,
    learn_effects,
    make_plan,
    make_shop,
    nothing,
    score_all,
    train_model,
)
from churn.commands.session import Progress, silent
from churn.results.job_result import JobResult, Line, Table, hashed

CAUTION = "SIMULATED: this shows how churn works, and says nothing about real customers"
HOW_TO_READ = (
    ("measured", "what those with an offer did more than as many of those kept without"),
    ("interval of 95 %", "the range that holds the truth in 19 of 20 such campaigns"),
    ("the truth", "the same customers with and without their offer: only a simulator knows"),
    ("net gain", "extra margin less the cost of the offers"),
)


def demo(
    out: Path,
    *,
    customers: int = 10_000,
    seed: int = 7,
    say: Say = nothing,
    progress: Progress = silent,
) -> JobResult:
    """Simulates a shop into the new folder `out`, trains, learns what offers change, scores, plans,
    exports, sends e-mails to a mail server of its own, unsubscribes one customer, lets 28 days
    pass, and measures; ends in the money, beside the truth. `say` is told the story.
    """
    story = Story(out, say, progress)
    say(f"{CAUTION}.", style="yellow")
    with mail_server() as sink:
        make_shop(story, customers=customers, seed=seed, port=sink.port)
        trained = train_model(story)
        learn_effects(story)
        score_all(story)
        make_plan(story)
        exported = export_list(story)
        sent = send_mails(story, sink)
        after = withdraw_one(story, sink, exported)
    lived = _live_on(story)
    measured = _measure(story)
    counts = {
        "customers": customers,
        "planned": exported.metrics["offered"],
        "exported": exported.metrics["exported"],
        "sent": sent.metrics["sent"],
        "received": len(sink.recipients),
        "exported_after": after.metrics["exported"],
    }
    lines = earned(measured.metrics, lived.metrics)
    return _result(story, lines, counts, measured, model_id=trained.model_id)


def _live_on(story: Story) -> JobResult:
    from churn.commands.simulate import live_on

    story.begin("28 simulated days pass")
    plan = story.path("plan.parquet")
    story.command("churn live-on . --plan plan.parquet")
    done = live_on(story.folder, plan=plan, progress=story.progress)
    story.tell(
        f"{done.rows['orders']:,} more orders came. Whoever was kept without lives on as they "
        "would have; whoever got an offer may buy because of it, or stay away."
    )
    return done


def _measure(story: Story) -> JobResult:
    from churn.commands.measure import measure

    story.begin("What did it earn? Those with an offer against those kept without")
    plan, scores, out = (story.path(f"{name}.parquet") for name in ("plan", "scores", "measured"))
    story.command(
        "churn measure --plan plan.parquet --scores scores.parquet \\\n    --out measured.parquet"
    )
    done = measure(story.config, plan=plan, scores=scores, out=out, progress=story.progress)
    money = done.metrics["money"]
    story.tell(
        f"{_bought(money, 'treated')} with an offer bought, and {_bought(money, 'kept')} who would "
        "have got one and were kept without."
    )
    story.say("")
    return done


def _bought(money: Mapping[str, Any], group: str) -> str:
    retained, customers = money[f"{group}_retained"], money[f"{group}_customers"]
    return f"{retained / max(customers, 1):.1%} of the {customers:,}"


def _result(
    story: Story,
    lines: tuple[Earned, ...],
    counts: Mapping[str, int],
    measured: JobResult,
    *,
    model_id: str | None,
) -> JobResult:
    told = measured.metrics
    held = [line.holds for line in lines if line.holds is not None]
    notes = [] if told["why_not"] is None else [str(told["why_not"])]
    return JobResult(
        command="demo",
        resolved={"days": told["horizon_days"], "simulated": True},
        rows=counts,
        model_id=model_id,
        metrics={
            "earned": {line.name: line.to_dict() for line in lines},
            "intervals": len(held),
            "intervals_that_hold_the_truth": sum(held),
            "currency": told["currency"],
            "margin_rate": told["margin_rate"],
            "measured": told,
        },
        files=hashed(story.path("measured.parquet")),
        warnings=(*notes, CAUTION),
        tables=(
            money_table(lines, days=told["horizon_days"], currency=told["currency"]),
            Table("How to read it", ("", ""), (*HOW_TO_READ, *_found(lines))),
            _where(story),
        ),
    )


def _found(lines: tuple[Earned, ...]) -> tuple[Line, ...]:
    """What may be read of it, and whether the measurement was right."""
    held = [line.holds for line in lines if line.holds is not None]
    return (
        ("so", verdict(lines)),
        ("and really", f"{sum(held)} of the {len(held)} intervals hold the truth"),
    )


def _where(story: Story) -> Table:
    rows = (
        ("churn.toml", "the settings; offers.toml beside it are the offers"),
        ("models/champion", "names the model in use; its card.md tells of it"),
        ("plan.parquet", "who gets which offer or none, and why"),
        ("one-mail.eml", "an e-mail as it arrived; open it in a mail program"),
        ("measured.parquet", "a row per customer: the table's money is their sum"),
        ("truth", "what no shop can see"),
        ("churn init orders.csv", "the same with your own orders: README.md"),
    )
    return Table(f"Where to look next, in {story.folder}", ("", ""), rows)
