"""Tables of a model's evaluation and of its promotion gate."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from churn.data.cutoffs import Cutoffs
from churn.modeling.apart import Apart
from churn.modeling.evaluate import Evaluation, Judged
from churn.modeling.expectations import JudgedAmount
from churn.modeling.gate import LEAST_CUTOFFS, Check, Gate
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.reliability import Reliability
from churn.modeling.metrics import Interval
from churn.results.figures import difference, interval, share
from churn.results.job_result import Line, Table

SHOWN = {
    "roc_auc": "AUC",
    "average_precision": "avg prec.",
    "lift_at_10_percent": "lift 10 %",
    "log_loss": "log loss",
    "brier": "Brier",
}
BY_KIND = ("roc_auc", "log_loss", "brier")
LEAST_SHARE = 0.8
"""A larger relative deviation of the predicted from the observed margin is noted."""

GIANT_SHARE = 0.02
"""From this share of the observed margin beyond the fence on, a note reports it."""

LEAST_SLICE_ROWS = 2_000
"""Smaller slices are only in the report; in the terminal their noise would obscure the rest."""

QUESTIONS = {
    "rules": "beats the baselines",
    "champion": "not inferior to the champion",
    "slices": "no slice worse",
    "leaks": "no leakage",
}


def cutoffs_in_words(cutoffs: Cutoffs) -> str:
    """How many cutoffs, and from when until when.

    >>> cutoffs_in_words(Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=3))
    '3, 2017-09-06 .. 2017-10-04'
    """
    if not cutoffs.dates:
        return "none: no label window has closed"
    return f"{len(cutoffs)}, {cutoffs.dates[0]} .. {cutoffs.dates[-1]}"


def apart_table(apart: Apart | None) -> tuple[Table, ...]:
    """The comparison on customers apart, if there is one."""
    if apart is None:
        return ()
    title = (
        f"Customers apart at {apart.cutoff}, {apart.horizon_days} days, {apart.rows:,} rows; "
        "time not tested"
    )
    line = (_decimal(apart.log_loss), _decimal(apart.bg_nbd_log_loss), difference(apart.difference))
    return (Table(title, ("log loss", "BG/NBD", "difference"), (line,)),)


def judgement_tables(
    evaluation: Evaluation, *, horizon_days: int | None = None
) -> tuple[Table, ...]:
    """The evaluation: every predictor on eligible rows, then the model on its strata. The horizon
    is stated if it is that of a trial.
    """
    shown = [
        (entry.predictor, *(_with_error(entry.metrics[key]) for key in SHOWN))
        for entry in evaluation.judged
        if entry.group == "eligible"
    ]
    strata = [entry for entry in evaluation.judged if entry.predictor == "model"]
    every = evaluation.of("model")
    title = (
        f"{every.rows:,} eligible rows at {', '.join(evaluation.cutoffs)}; "
        f"{every.base_rate:.2%} lapsed"
    )
    if horizon_days is not None:
        title = f"Forward test with a horizon of {horizon_days} days: {title}"
    amounts = [
        (
            entry.amount,
            entry.predictor,
            f"{entry.expected:,.0f}",
            f"{entry.came:,.0f}",
            *_amount_cells(entry),
        )
        for entry in evaluation.amounts
    ]
    header = ("", "", "predicted", "observed", "ratio", "mean abs. error")
    return (
        Table(title, ("", *SHOWN.values()), tuple(shown)),
        _by_kind("The model by customer group", "lapsed", strata),
        Table("Orders and margin in the horizon, all eligible customers", header, tuple(amounts)),
        *_win_back_table(evaluation),
    )


def amount_notes(evaluation: Evaluation) -> tuple[str, ...]:
    """A note if the expected margin deviates significantly from the observed one by a fifth or
    more; and one if single orders account for much of it.
    """
    margins = [
        entry
        for entry in evaluation.amounts
        if (entry.amount, entry.predictor) == ("margin", "model")
    ]
    off = tuple(
        f"the predicted margin at the test cutoffs was {entry.ratio.estimate:.0%} of the observed "
        "one: values at risk, and plans based on them, may deviate by as much. A season that "
        "occurs only once in the data has this effect"
        for entry in margins
        if entry.ratio.high < LEAST_SHARE or entry.ratio.low > 1 / LEAST_SHARE
    )
    giant = tuple(
        f"{entry.beyond_fence_share:.1%} of the observed margin at the test cutoffs lies in "
        "the parts of single orders beyond the fence up to which models learn from an order: "
        "if such orders are frequent, totals include them, but not for specific customers"
        for entry in margins
        if entry.beyond_fence_share >= GIANT_SHARE
    )
    return (*off, *giant)


def _amount_cells(entry: JudgedAmount) -> tuple[str, str]:
    return interval(entry.ratio, digits=3), f"{entry.error.estimate:,.2f}"


def _win_back_table(evaluation: Evaluation) -> tuple[Table, ...]:
    """The model of lapsed customers compared with their group rate, if it is active."""
    gap = evaluation.win_back
    if gap is None:
        return ()
    verdict = (difference(gap),)
    log_loss = [
        _with_error(evaluation.of(name, "lapsed").metrics["log_loss"])
        for name in ("model", "group_rate")
    ]
    header = ("win-back model", "group rate", "difference")
    return (Table("Log loss on lapsed customers", header, ((*log_loss, *verdict),)),)


def report_tables(judgement: Judgement) -> tuple[Table, ...]:
    """The rest of an evaluation, after the comparison with the baselines."""
    tables = (
        _by_kind("Decline model", "declined", judgement.evaluation.decline),
        _calibration(judgement),
        _lists(judgement),
        _profits(judgement),
        _ablation(judgement),
        _horizons(judgement),
    )
    return tuple(table for table in tables if table.rows)


def _by_kind(title: str, what: str, judged: Sequence[Judged]) -> Table:
    rows = tuple(
        (
            entry.group,
            f"{entry.rows:,}",
            share(entry.base_rate),
            *(_with_error(entry.metrics[key]) for key in BY_KIND),
        )
        for entry in judged
    )
    return Table(title, ("", "rows", what, *(SHOWN[key] for key in BY_KIND)), rows)


def _calibration(judgement: Judgement) -> Table:
    shown = [judgement.calibration[0], judgement.decline_calibration]
    if judgement.pooled is not None:
        everyone, *slices = judgement.pooled.calibration
        shown += [everyone, *(entry for entry in slices if entry.rows >= LEAST_SLICE_ROWS)]
    header = ("", "rows", "predicted", "observed", "error", "low", "high", "floor", "95 %")
    title = "Calibration error with its interval; noise floor: mean and 95 % quantile"
    return Table(title, header, tuple(_reliability(entry) for entry in shown))


def _reliability(entry: Reliability) -> Line:
    error, floor = entry.error, entry.floor
    shares = (share(entry.predicted), share(entry.observed))
    decimals = (error.estimate, error.low, error.high, floor.mean, floor.high)
    return (entry.group, f"{entry.rows:,}", *shares, *(_decimal(value) for value in decimals))


def _lists(judgement: Judgement) -> Table:
    names = dict.fromkeys(entry.predictor for entry in judgement.backtest)
    lists = [judgement.listed(name) for name in names]
    rows = tuple(
        (
            entry.predictor,
            f"{entry.listed:,}",
            *(_percent(value) for value in (entry.precision, entry.recall, entry.spend_caught)),
        )
        for entry in lists
    )
    header = ("ranked by", "listed", "precision", "recall", "spend captured")
    return Table("Backtest of lists at capacity", header, rows)


def _profits(judgement: Judgement) -> Table:
    rows = tuple(
        (entry.predictor, _with_error(entry.best), share(entry.best_share))
        for entry in judgement.profits
    )
    return Table("Expected maximum profit", ("", "EMPC", "contacted"), rows)


def _ablation(judgement: Judgement) -> Table:
    rows = tuple(
        (entry.family, str(entry.features), difference(entry.loss_rise), f"{entry.auc_fall:+.4f}")
        for entry in judgement.ablation
    )
    header = ("without", "features", "log loss increase", "AUC decrease")
    return Table("The recipe refitted without each feature family", header, rows)


def _horizons(judgement: Judgement) -> Table:
    rows = tuple(
        (
            f"{entry.horizon_days} days",
            f"{entry.rows:,}",
            share(entry.base_rate),
            "-" if entry.roc_auc is None else _with_error(entry.roc_auc),
            share(entry.skill),
            "-" if entry.calibration is None else _bounded(entry.calibration.error),
        )
        for entry in judgement.horizons
    )
    header = ("horizon", "rows", "lapsed", "AUC", "skill", "calibration error")
    return Table("The recipe with other horizons", header, rows)


def _with_error(value: Interval) -> str:
    """The estimate and half its 95 % interval."""
    if not isfinite(value.estimate):
        return "-"
    half = (value.high - value.low) / 2
    if value.estimate >= 1:
        return f"{value.estimate:.2f} ±{half:.1f}"
    return f"{value.estimate:.4f} ±{half:.3f}".replace(" ±0.", " ±.").removeprefix("0")


def _bounded(value: Interval) -> str:
    """The estimate and both ends of its 95 % interval."""
    return f"{_decimal(value.estimate)} [{_decimal(value.low)}, {_decimal(value.high)}]"


def _percent(value: Interval) -> str:
    if not isfinite(value.estimate):
        return "-"
    return f"{value.estimate:.1%} ±{100 * (value.high - value.low) / 2:.1f}"


def _decimal(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def gate_dict(gate: Gate, *, promoted: bool | None, stand_in: str | None = None) -> dict[str, Any]:
    """Plain JSON: the outcome, the reasons as text, and each check with its figures."""
    reasons = list(gate.reasons)
    if stand_in is not None and promoted and not gate.open:
        reasons.append(
            f"the model was rejected, and the baseline {stand_in} was promoted as fallback model: "
            "it is active until a model passes"
        )
    elif stand_in is not None and promoted:
        reasons.append(
            "BG/NBD and Gamma-Gamma predict alone: no label window has closed, or fewer than 30 "
            "customers had one of both outcomes"
        )
    elif promoted is False:
        reasons.append("the champion stays")
    checks = [check.to_dict() for check in gate.checks]
    outcome = {"promoted": promoted, "stand_in": stand_in, "reasons": reasons, "checks": checks}
    judged = "provisionally" if gate.provisional else "fully"
    return {"open": gate.open, "judged": judged, **outcome}


def gate_table(gate: Gate) -> Table:
    """One line per check: the check, whether it passed, and its figures."""
    rows = tuple((QUESTIONS[entry.name], _outcome(entry), _figures(entry)) for entry in gate.checks)
    return Table("Gate", ("", "", ""), rows)


def _outcome(check: Check) -> str:
    if not check.decides:
        return "shown"
    return "yes" if check.passed else "NO"


def _figures(check: Check) -> str:
    """A one-line summary of the figures; the reason has the details."""
    figures = check.figures
    if check.name == "champion" and not figures:
        return "it passed the full gate" if "full gate" in check.reason else "it cannot be read"
    if check.name in ("rules", "champion"):
        against = figures.get("baseline") or f"the champion, {figures['how']}"
        bounds = f"[{figures['low']:+.4f}, {figures['high']:+.4f}]"
        few = figures.get("cutoffs", LEAST_CUTOFFS) < LEAST_CUTOFFS
        caveat = "only 1 cutoff, which is too few: " if few else ""
        return f"{caveat}log loss {figures['difference']:+.4f} {bounds} to {against}"
    if check.name == "slices":
        return f"{len(figures)} slices with 100 lapsed or more"
    return ", ".join(figures) or "all features audited"
