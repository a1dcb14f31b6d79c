"""The model card: what a model predicts, how well, and its limits."""

from __future__ import annotations

from collections.abc import Mapping

from churn.modeling.bundle import REPORT
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.page import judgement_page
from churn.modeling.model import ChurnModel
from churn.modeling.training import Trained
from churn.results.figures import interval

AS_OBSERVED = (
    "Some customers were treated with campaigns in the past; the outcomes counted here include "
    "their effects."
)
RANDOMISED = (
    "Some past offers were randomised, so the model predicts what customers do without offers: "
    "{rows}. The evaluation counts each remaining row once."
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
            *_fallback(trained.model.stand_in),
            f"{_predicts(trained.model)} Money is in {currency}.",
            "",
            f"Verdict: {trained.gate.reasons[0]}.",
            "",
            *_rejected(trained),
            "The figures are those of the same recipe, fitted on rows whose labels had closed "
            "before the first of these cutoffs; the published model was fitted on all rows.",
            "",
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


def _fallback(name: str | None) -> list[str]:
    if name is None:
        return []
    text = f"**Fallback model: the baseline `{name}` is active instead**, because the model "
    return [text + "was rejected. Tables and charts are those of the baseline.", ""]


def _rejected(trained: Trained) -> list[str]:
    """The performance of the rejected model, if a baseline is active instead."""
    if trained.model.stand_in is None:
        return []
    found = trained.evaluation.of("model").metrics
    loss, auc = found["log_loss"], found["roc_auc"]
    return [
        f"The rejected model: log loss {interval(loss)}, AUC {interval(auc)}.",
        "",
    ]
