"""The evaluation report as Markdown, with charts next to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from churn.modeling.capacity import ranked_by
from churn.modeling.judgement.drawing import INSTALL, can_draw
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.pictures import capacity_in_words
from churn.modeling.judgement.reliability import Reliability
from churn.modeling.metrics import Interval
from churn.results.figures import difference, interval, share

METRICS = {"roc_auc": "AUC", "log_loss": "log loss", "brier": "Brier"}
MOST_SLICES = 12


def judgement_page(judgement: Judgement, *, pictures: str = "") -> list[str]:
    """Lines of Markdown, from the comparison with baselines to the backtest of the decision.

    `pictures` is the folder of the charts relative to the page, with its slash.
    """
    return [
        *_discrimination(judgement, pictures),
        *_kinds(judgement),
        *_calibration(judgement, pictures),
        *_decision(judgement, pictures),
        *_campaign(judgement, pictures),
        *_over_time(judgement, pictures),
        *_families(judgement, pictures),
        *_horizons(judgement),
    ]


def _discrimination(judgement: Judgement, pictures: str) -> list[str]:
    evaluation = judgement.evaluation
    test = evaluation.of("model")
    shown = METRICS | {"lift_at_10_percent": "lift at 10 %"}
    rows = [
        [judgement.named(name), *(_interval(evaluation.of(name).metrics[key]) for key in shown)]
        for name in ("model", *evaluation.against)
        if name != judgement.stand_in
    ]
    compared = "The model is compared with the baselines that it has to beat."
    if judgement.stand_in is not None:
        compared = f"The active baseline `{judgement.stand_in}` is compared with the others."
    return [
        "## Performance on later cutoffs",
        "",
        f"Cutoffs {', '.join(evaluation.cutoffs)}; {test.rows:,} rows of {test.customers:,} "
        f"customers, of whom {test.base_rate:.1%} lapsed. {compared} "
        "All 95 % intervals resample customers.",
        "",
        *_table(["", *shown.values()], rows),
        "",
        _picture(f"Gain and lift of {_who(judgement)}", pictures, "gain"),
        "",
    ]


def _who(judgement: Judgement) -> str:
    return "the model and two baselines" if judgement.stand_in is None else "the active baseline"


def _active(judgement: Judgement) -> str:
    return "the model" if judgement.stand_in is None else f"`{judgement.stand_in}`"


def _kinds(judgement: Judgement) -> list[str]:
    lapse = [one for one in judgement.evaluation.judged if one.predictor == "model"]
    header = ["", "rows", "rate", *METRICS.values()]
    rows = [
        [
            f"{what}: {one.group}",
            f"{one.rows:,}",
            share(one.base_rate),
            *(_interval(one.metrics[key]) for key in METRICS),
        ]
        for what, group in (("lapse", lapse), ("decline", judgement.evaluation.decline))
        for one in group
    ]
    return [
        "## By customer group, and decline",
        "",
        "Decline: net spend in the horizon below half of the customer's usual spend; a lapse "
        "counts as a decline.",
        "",
        *_table(header, rows),
        "",
    ]


def _calibration(judgement: Judgement, pictures: str) -> list[str]:
    shown = [judgement.calibration[0], judgement.decline_calibration]
    slices: Sequence[Reliability] = judgement.calibration[1:]
    if judgement.pooled is not None:
        shown.append(judgement.pooled.calibration[0])
        slices = judgement.pooled.calibration[1:]
    largest = sorted(slices, key=lambda one: -one.rows)[:MOST_SLICES]
    header = ["", "rows", "predicted", "observed", "error", "noise floor: mean", "95 % quantile"]
    return [
        "## Calibration",
        "",
        "The error is the mean absolute difference between predicted and observed rates in ten "
        "groups of similar probability. The noise floor is the error of a perfectly calibrated "
        "model with as many rows.",
        *_what_is_pooled(judgement),
        "",
        *_table(header, (_reliability(one) for one in (*shown, *largest))),
        "",
        _picture("Observed rate against predicted probability", pictures, "calibration"),
        "",
        _picture("Calibration error and noise floor by slice", pictures, "slices"),
        "",
    ]


def _what_is_pooled(judgement: Judgement) -> list[str]:
    if judgement.pooled is None:
        return []
    cutoffs = judgement.pooled.cutoffs
    return [
        f"{len(cutoffs)} cutoffs from {cutoffs[0]} to {cutoffs[-1]} are pooled: each was forecast "
        "by the same recipe, fitted on labels that had closed before it."
    ]


def _decision(judgement: Judgement, pictures: str) -> list[str]:
    header = ["ranked by", "listed", "precision", "recall", "usual spend caught"]
    predictors = [*(gain.predictor for gain in judgement.gains), "value_at_risk"]
    rows = [
        [
            judgement.named(name),
            f"{listed.listed:,}",
            _percent(listed.precision),
            _percent(listed.recall),
            _percent(listed.spend_caught),
        ]
        for name in predictors
        for listed in [judgement.listed(name)]
    ]
    model = judgement.listed("model")
    return [
        "## Backtest of the decision",
        "",
        "Customers who would have been listed at a capacity of "
        f"{capacity_in_words(judgement.capacity)}. Precision: share of listed customers who "
        "lapsed. Recall: share of lapsed customers who were listed. Usual spend caught: their "
        "share of the usual spend of all lapsed customers in a horizon.",
        "",
        *_table(header, rows),
        "",
        f"Recall of {_active(judgement)} minus that of the recency baseline: "
        f"{_points(model.more_caught)} percentage points. The last list is ranked by "
        f"{_active(judgement)}'s value at risk. The shop's own list is ranked by "
        f"{ranked_by(judgement.rank)}.",
        "",
        _picture("Precision, recall and usual spend of the lists", pictures, "backtest"),
        "",
    ]


def _campaign(judgement: Judgement, pictures: str) -> list[str]:
    rules = judgement.rules
    best = ", ".join(
        f"{judgement.named(one.predictor)} {_interval(one.best, digits=2)} "
        f"at {one.best_share:.0%} contacted"
        for one in judgement.profits
    )
    return [
        "## Expected maximum profit of a campaign",
        "",
        f"Expected maximum profit per customer (Verbraken, Verbeke, Baesens 2013; value "
        f"{rules.lifetime_value:g}, offer {rules.offer_cost:g}, contact {rules.contact_cost:g}, "
        f"acceptance Beta({rules.alpha:g}, {rules.beta:g})): {best}. It compares models; offers "
        "are decided on the shop's own costs and margins.",
        "",
        _picture("Profit against share of customers contacted", pictures, "profit"),
        "",
    ]


def _over_time(judgement: Judgement, pictures: str) -> list[str]:
    first, last = judgement.rates[0], judgement.rates[-1]
    return [
        "## Lapse rate over time",
        "",
        f"{first.lapse.estimate:.1%} of eligible customers lapsed after {first.cutoff}, "
        f"{last.lapse.estimate:.1%} after {last.cutoff}.",
        "",
        _picture("Lapse and decline rates by cutoff", pictures, "rates"),
        "",
    ]


def _families(judgement: Judgement, pictures: str) -> list[str]:
    if not judgement.importance:
        return _without_families(judgement, pictures)
    rows = [
        [one.family, str(one.features), share(one.gain_share), difference(one.loss_rise)]
        for one in judgement.importance
    ]
    lines = [
        "## Feature importance",
        "",
        "By feature family: the share of the total split gain, and the increase of the test log "
        "loss when the family's values are permuted among customers. Families are correlated: a "
        "small effect does not mean that a family is uninformative.",
        "",
        *_table(["family", "features", "gain", "log loss increase"], rows),
        "",
        _picture("Importance of feature families", pictures, "importance"),
        "",
    ]
    return lines + _without_families(judgement, pictures)


def _without_families(judgement: Judgement, pictures: str) -> list[str]:
    if not judgement.ablation:
        return []
    rows = [
        [one.family, difference(one.loss_rise), f"{one.auc_fall:+.4f}"]
        for one in judgement.ablation
    ]
    return [
        "The recipe refitted without each family:",
        "",
        *_table(["without", "log loss increase", "AUC decrease"], rows),
        "",
        _picture("Effect of leaving out each family", pictures, "ablation"),
        "",
    ]


def _horizons(judgement: Judgement) -> list[str]:
    if not judgement.horizons:
        return []
    header = ["horizon", "cutoffs", "rows", "lapsed", "AUC", "skill", "error", "noise floor: 95 %"]
    tried = [one for one in judgement.horizons if one.refused is None]
    rows = [
        [
            f"{one.horizon_days} days",
            ", ".join(one.cutoffs),
            f"{one.rows:,}",
            share(one.base_rate),
            _interval(one.roc_auc),
            share(one.skill),
            _interval(one.calibration.error),
            f"{one.calibration.floor.high:.4f}",
        ]
        for one in tried
        if one.roc_auc is not None and one.calibration is not None
    ]
    refused = [
        f"- {one.horizon_days} days: {one.refused}" for one in judgement.horizons if one.refused
    ]
    return [
        "## Other horizons",
        "",
        "The recipe with other horizons, for the same customers. Skill is the reduction of log "
        "loss relative to predicting the base rate.",
        "",
        *_table(header, rows),
        "",
        *refused,
        *([""] if refused else []),
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _picture(says: str, folder: str, name: str) -> str:
    """The chart, or how to get it where the extra `report` is not installed."""
    return f"![{says}]({folder}{name}.svg)" if can_draw() else f"{says}: no chart, `{INSTALL}`"


def _reliability(one: Reliability) -> list[str]:
    floors = [f"{value:.4f}" for value in (one.floor.mean, one.floor.high)]
    means = [share(one.predicted), share(one.observed)]
    return [one.group, f"{one.rows:,}", *means, _interval(one.error), *floors]


def _interval(value: Interval | None, *, digits: int = 4) -> str:
    """The estimate and its bounds; a dash if undefined."""
    if value is None or not isfinite(value.estimate):
        return "-"
    return interval(value, digits=digits)


def _percent(value: Interval) -> str:
    if not isfinite(value.estimate):
        return "-"
    return f"{value.estimate:.1%} [{value.low:.1%}, {value.high:.1%}]"


def _points(value: Interval) -> str:
    estimate, low, high = (100 * bound for bound in (value.estimate, value.low, value.high))
    return f"{estimate:+.1f} [{low:+.1f}, {high:+.1f}]" if isfinite(estimate) else "-"
