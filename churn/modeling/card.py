"""The model card: what a model predicts, how well, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churn.modeling.blend import is_out_of_season
from churn.modeling.bundle import REPORT
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.page import judgement_page
from churn.modeling.model import ChurnModel
from churn.modeling.training import Trained
from churn.results.figures import difference, interval

AS_OBSERVED = (
    "Some customers were treated with campaigns in the past; the outcomes counted here include "
    "their effects."
)
RANDOMISED = (
    "Some past offers were randomised, so the model predicts what customers do without offers: "
    "{rows}. The evaluation weighs them in the same way."
)
REASONS = (
    "Reasons describe what is associated with lapsing, not what causes it: they are TreeSHAP "
    "contributions summed by family; families that measure nearly the same share their weight, "
    "and what the shop itself decides is excluded."
)


def campaigns_in_words(counts: Mapping[str, int]) -> str:
    """How the rows of a panel with offers in their label window were treated.

    >>> campaigns_in_words({"treated": 1200, "kept_by_lot": 60, "by_rule": 0})
    '1,200 rows with a randomised offer excluded, represented by 60 randomised controls'
    """
    text = (
        f"{counts['treated']:,} rows with a randomised offer excluded, "
        f"represented by {counts['kept_by_lot']:,} randomised controls"
    )
    by_rule = f", {counts['by_rule']:,} with a non-randomised offer kept unchanged"
    return text + (by_rule if counts["by_rule"] else "")


def model_card(trained: Trained, *, model_id: str, currency: str) -> str:
    """Markdown, for the model's own folder."""
    return "\n".join(
        [
            f"# Model {model_id}",
            "",
            *(_alone(trained) or _fallback(trained.model.stand_in)),
            f"{_predicts(trained.model)} Money is in {currency}.",
            "",
            *_recipe(trained.model),
            f"Verdict: {trained.gate.reasons[0]}.",
            "",
            *_rejected(trained),
            *_judged(trained),
            *judgement_page(trained.judgement, pictures=f"{REPORT}/"),
            *_limits(trained.campaigns),
        ]
    )


def evaluation_card(
    judgement: Judgement,
    model: ChurnModel,
    *,
    model_id: str,
    verdict: str,
) -> str:
    """Markdown, for the folder of a later evaluation."""
    return "\n".join(
        [
            f"# Model {model_id}, later evaluation",
            "",
            *_fallback(model.stand_in),
            _predicts(model),
            "",
            f"Verdict: {verdict}.",
            "",
            "All test cutoffs come after everything that the model was trained on.",
            "",
            *judgement_page(judgement),
            *_limits({}),
        ]
    )


def _limits(campaigns: Mapping[str, int]) -> list[str]:
    touched = any(campaigns.values())
    first = RANDOMISED.format(rows=campaigns_in_words(campaigns)) if touched else AS_OBSERVED
    return ["## Limits", "", f"{first} {REASONS}", ""]


def _predicts(model: ChurnModel) -> str:
    return f"{_label(model)} {_others(model)}"


def _label(model: ChurnModel) -> str:
    clock = model.clock_
    if clock.is_contractual:
        grace = model.cutoffs_.grace_days
        return (
            f"Predicts which subscriptions that expire in the {clock.horizon_days} days from "
            f"the cutoff are not renewed within {grace} days of their expiry."
        )
    return (
        f"Predicts which customers buy nothing in the {clock.horizon_days} days from the cutoff, "
        f"among those who bought in the {clock.lookback_days} days before it."
    )


def _others(model: ChurnModel) -> str:
    """What customers who are not eligible get."""
    lapsed = "A separate model predicts which lapsed customers come back; all others get"
    if model.win_back_["kind"] == "rate":
        lapsed = "All others get"
    return f"{lapsed} the lapse rate of their group."


def _judged(trained: Trained) -> list[str]:
    """What the figures are those of."""
    figures = (
        "The figures are those of the same recipe, fitted on rows whose labels had closed before "
        "the first of these cutoffs; the published model was fitted on all rows."
    )
    trial = trained.panel.trial
    if trial is None:
        return [figures, ""]
    horizon, model = trial.clock.horizon_days, trained.model.clock_.horizon_days
    lines = [
        "**Judged provisionally.** The history is too short for the gate, which needs about five "
        "and a half horizons. Two figures show what can be known; they do not decide.",
        "",
        f"- Forward test: one cutoff with a horizon of {horizon} days, the longest that allows "
        f"one; the model predicts {model} days. All tables and charts below are from this test.",
    ]
    if not trained.candidate.heads_:
        lines[-1] += " It tests BG/NBD alone, because too few outcomes were known before it."
    apart = trained.apart
    if apart is None:
        lines.append(f"- Customers apart: none, no label window of {model} days has closed.")
    else:
        lines.append(
            f"- Customers apart, time not tested: at {apart.cutoff} with {model} days, log loss "
            f"{apart.log_loss:.4f}, BG/NBD {apart.bg_nbd_log_loss:.4f}, difference "
            f"{difference(apart.difference)}."
        )
    return [*lines, "", figures, ""]


def _recipe(model: ChurnModel) -> list[str]:
    """How the probability is made: the weights, and the season."""
    blend = model.blend_
    if blend is None or model.stand_in is not None:
        return []
    simple, season = blend["weight"] / 2, blend["season"]
    level = "BG/NBD's" if season["factor"] == 1.0 else "BG/NBD's in this season"
    if is_out_of_season(blend):
        level = "halfway between BG/NBD's and the trees'"
    lines = (
        f"Weights in the log-odds: BG/NBD {simple:.0%}, logistic RFM {simple:.0%}, trees "
        f"{1 - blend['weight']:.0%}. The mean is {level}."
    )
    return [lines, "", season_in_words(season), ""]


def season_in_words(season: Mapping[str, Any]) -> str:
    """What is assumed of the season, and why.

    >>> season_in_words({"last_year": None, "factor": 1.0, "because": "a short history"})
    'Season: none assumed (a short history).'
    """
    if season["factor"] == 1.0:
        return f"Season: none assumed ({season['because']})."
    year = season["last_year"]
    return (
        f"Season: one year earlier customers bought at {year['hazard']:.2f} times the rate that "
        f"BG/NBD had expected, orders came to {year['orders']:.2f} and spend to "
        f"{year['spend']:.2f} times the expectation; BG/NBD's rate is multiplied by "
        f"{season['factor']:.2f}, and the totals follow last year's."
    )


def _fallback(name: str | None) -> list[str]:
    if name is None:
        return []
    text = f"**Fallback model: the baseline `{name}` is active instead**, because the model "
    return [text + "was rejected. Tables and charts are those of the baseline.", ""]


def _alone(trained: Trained) -> list[str]:
    """That BG/NBD predicts alone, if it was not put in place of a rejected model."""
    if trained.model.stand_in is None or trained.model.heads_:
        return []
    text = (
        "**BG/NBD and Gamma-Gamma predict alone**, from the histories known on the last day: no "
        "label window has closed, or fewer than 30 customers had one of both outcomes."
    )
    return [text, ""]


def _rejected(trained: Trained) -> list[str]:
    """The performance of the rejected model, if a baseline is active instead."""
    if trained.model.stand_in is None or _alone(trained):
        return []
    found = trained.evaluation.of("model").metrics
    loss, auc = found["log_loss"], found["roc_auc"]
    return [
        f"The rejected model: log loss {interval(loss)}, AUC {interval(auc)}.",
        "",
    ]
