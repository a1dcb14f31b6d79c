"""The demo from its first step to the final money table."""

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

CAUTION = "SIMULATED: this shows how churn works and is not evidence about real customers"
HOW_TO_READ = (
    ("measured", "customers with an offer minus the holdout, scaled to the same size"),
    ("95 % interval", "contains the truth in 19 of 20 such campaigns"),
    ("truth", "the same customers with and without their offer, from the simulator"),
    ("net result", "incremental margin minus the cost of the offers"),
)


def demo(
    out: Path,
    *,
    customers: int = 10_000,
    seed: int = 7,
    say: Say = nothing,
    progress: Progress = silent,
) -> JobResult:
    """Simulates a shop in the new folder `out`, trains, estimates the effects of offers, scores,
    plans, exports, sends e-mails to a local mail server, unsubscribes one customer, advances 28
    days, and measures; the result is shown next to the truth. `say` prints the narration.
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
    advanced = _live_on(story)
    measured = _measure(story)
    counts = {
        "customers": customers,
        "planned": exported.metrics["offered"],
        "exported": exported.metrics["exported"],
        "sent": sent.metrics["sent"],
        "received": len(sink.recipients),
        "exported_after": after.metrics["exported"],
    }
    lines = earned(measured.metrics, advanced.metrics)
    return _result(story, lines, counts, measured, model_id=trained.model_id)


def _live_on(story: Story) -> JobResult:
    from churn.commands.simulate import live_on

    story.begin("Advance the simulation by 28 days")
    plan = story.path("plan.parquet")
    story.command("churn live-on . --plan plan.parquet")
    done = live_on(story.folder, plan=plan, progress=story.progress)
    story.report(
        f"{done.rows['orders']:,} new orders. Only the customers with an offer are affected by "
        "it: it may make them buy, or keep them from buying."
    )
    return done


def _measure(story: Story) -> JobResult:
    from churn.commands.measure import measure

    story.begin("Measure the result: customers with an offer versus the holdout")
    plan, scores, out = (story.path(f"{name}.parquet") for name in ("plan", "scores", "measured"))
    story.command(
        "churn measure --plan plan.parquet --scores scores.parquet \\\n    --out measured.parquet"
    )
    done = measure(story.config, plan=plan, scores=scores, out=out, progress=story.progress)
    money = done.metrics["money"]
    story.report(
        f"Bought again: {_bought(money, 'treated')} customers with an offer, and "
        f"{_bought(money, 'kept')} in the holdout who would have got one."
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
    metrics = measured.metrics
    covered = [line.covers_truth for line in lines if line.covers_truth is not None]
    notes = [] if metrics["why_not"] is None else [str(metrics["why_not"])]
    return JobResult(
        command="demo",
        resolved={"days": metrics["horizon_days"], "simulated": True},
        rows=counts,
        model_id=model_id,
        metrics={
            "earned": {line.name: line.to_dict() for line in lines},
            "intervals": len(covered),
            "intervals_that_hold_the_truth": sum(covered),
            "currency": metrics["currency"],
            "margin_rate": metrics["margin_rate"],
            "measured": metrics,
        },
        files=hashed(story.path("measured.parquet")),
        warnings=(*notes, CAUTION),
        tables=(
            money_table(lines, days=metrics["horizon_days"], currency=metrics["currency"]),
            Table("How to read it", ("", ""), (*HOW_TO_READ, *_conclusion(lines))),
            _where(story),
        ),
    )


def _conclusion(lines: tuple[Earned, ...]) -> tuple[Line, ...]:
    """The conclusion, and whether the measurement was right."""
    covered = [line.covers_truth for line in lines if line.covers_truth is not None]
    return (
        ("conclusion", verdict(lines)),
        ("check", f"{sum(covered)} of {len(covered)} intervals contain the truth"),
    )


def _where(story: Story) -> Table:
    rows = (
        ("churn.toml", "settings; offers.toml next to it contains the offers"),
        ("models/champion", "name of the model in use, which is described in its card.md"),
        ("plan.parquet", "the offer of each customer, or none, with the reason"),
        ("one-mail.eml", "an e-mail as received; open it in a mail program"),
        ("measured.parquet", "one row per customer; the table above contains their sums"),
        ("truth", "what a real shop cannot observe"),
        ("churn init orders.csv", "start with your own orders: README.md"),
    )
    return Table(f"Where to look next, in {story.folder}", ("", ""), rows)
