"""A page about a model that a person can read: what it predicts, how well, and where it is weak."""

from __future__ import annotations

from collections.abc import Mapping

from churn.modeling.bundle import REPORT
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.page import judgement_page
from churn.modeling.model import ChurnModel
from churn.modeling.training import Trained
from churn.results.figures import interval

AS_IT_CAME = (
    "The past treated some customers with campaigns; what is counted here happened then, offers "
    "included."
)
BY_LOT = (
    "A lot decided on some offers of the past, so the model is one of what customers do without "
    "them: {told}. The judgement counts each row that is left once."
)
REASONS = (
    "Reasons describe what goes along with lapsing, not what causes it: they are TreeSHAP "
    "contributions summed by family, families that measure nearly the same share their weight, "
    "and what the shop itself decides is left out of them."
)


def campaigns_in_words(counts: Mapping[str, int]) -> str:
    """What was done with the rows of a panel that offers touched.

    >>> campaigns_in_words({"treated": 1200, "kept_by_lot": 60, "by_rule": 0})
    '1,200 rows with an offer by lot left out, 60 kept without by lot stand for them'
    """
    told = (
        f"{counts['treated']:,} rows with an offer by lot left out, "
        f"{counts['kept_by_lot']:,} kept without by lot stand for them"
    )
    by_rule = f", {counts['by_rule']:,} with an offer that no lot decided stay as they came"
    return told + (by_rule if counts["by_rule"] else "")


def model_card(trained: Trained, *, model_id: str, currency: str) -> str:
    """Markdown, for the model's own folder."""
    return "\n".join(
        [
            f"# Model {model_id}",
            "",
            *_stand_in(trained.model.stand_in),
            f"{_predicts(trained.model)} Money is in {currency}.",
            "",
            f"Verdict: {trained.gate.reasons[0]}.",
            "",
            *_refused(trained),
            "The figures are those of the same recipe, fitted on what had closed before the first "
            "of these cutoffs; what ships was fitted on all.",
            "",
            *judgement_page(trained.judgement, pictures=f"{REPORT}/"),
            *_limits(trained.campaigns),
        ]
    )


def judged_again(
    judgement: Judgement,
    model: ChurnModel,
    *,
    model_id: str,
    verdict: str,
) -> str:
    """Markdown, for the folder of a later judgement."""
    return "\n".join(
        [
            f"# Model {model_id}, judged again",
            "",
            *_stand_in(model.stand_in),
            _predicts(model),
            "",
            f"Verdict: {verdict}.",
            "",
            "All cutoffs of the test come after everything that the model has learnt from.",
            "",
            *judgement_page(judgement),
            *_limits({}),
        ]
    )


def _limits(campaigns: Mapping[str, int]) -> list[str]:
    touched = any(campaigns.values())
    first = BY_LOT.format(told=campaigns_in_words(campaigns)) if touched else AS_IT_CAME
    return ["## Limits", "", f"{first} {REASONS}", ""]


def _predicts(model: ChurnModel) -> str:
    return f"{_label(model)} {_others(model)}"


def _label(model: ChurnModel) -> str:
    clock = model.clock_
    if clock.is_contractual:
        grace = model.cutoffs_.grace_days
        return (
            f"Predicts whose subscription, which expires in the {clock.horizon_days} days from "
            f"the cutoff, is not renewed within {grace} days of its expiry."
        )
    return (
        f"Predicts which customers buy nothing in the {clock.horizon_days} days from the cutoff, "
        f"among those who bought in the {clock.lookback_days} days before it."
    )


def _others(model: ChurnModel) -> str:
    """What is said of those who are not eligible."""
    lapsed = "A model of their own says who of the lapsed comes back; all others get"
    if model.win_back_["kind"] == "rate":
        lapsed = "All others get"
    return f"{lapsed} the lapse rate of their group."


def _stand_in(name: str | None) -> list[str]:
    if name is None:
        return []
    text = f"**Stand-in: the baseline `{name}` speaks in the model's place**, because the model "
    return [text + "was refused. Tables and pictures are those of the rule.", ""]


def _refused(trained: Trained) -> list[str]:
    """How good the model was that was refused, where a rule stands in."""
    if trained.model.stand_in is None:
        return []
    found = trained.evaluation.of("model").metrics
    loss, auc = found["log_loss"], found["roc_auc"]
    return [
        f"The model that was refused: log loss {interval(loss)}, AUC {interval(auc)}.",
        "",
    ]
