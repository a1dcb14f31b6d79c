"""A page about a model that a person can read: what it predicts, how well, and where it is weak."""

from __future__ import annotations

from churn.modeling.training import Trained

__all__ = ["model_card"]

NAMES = {"roc_auc": "AUC", "log_loss": "log loss", "lift_at_10_percent": "lift at 10 %"}


def model_card(trained: Trained, *, model_id: str, currency: str) -> str:
    """Markdown."""
    test = trained.evaluation.of("model")
    return "\n".join(
        [
            f"# Model {model_id}",
            "",
            *_speaks_through(trained),
            f"{_predicts(trained)} {_others(trained)} Money is in {currency}.",
            "",
            "## Judged on later cutoffs",
            f"Cutoffs {', '.join(trained.evaluation.cutoffs)}; {test.rows:,} rows of "
            f"{test.customers:,} customers, of whom {test.base_rate:.1%} lapsed. 95 % intervals "
            "resample customers.",
            "",
            *_table(trained),
            "",
            f"Verdict: {trained.gate.reasons[0]}.",
            "",
            "## Limits",
            "The past treated some customers with campaigns; the model has learnt from what "
            "happened then, offers included. Reasons describe what goes along with lapsing, not "
            "what causes it: they are TreeSHAP contributions summed by family, families that "
            "measure nearly the same share their weight, and what the shop itself decides is left "
            "out of them.",
            "",
        ]
    )


def _predicts(trained: Trained) -> str:
    clock = trained.panel.clock
    if clock.is_contractual:
        grace = trained.panel.cutoffs.grace_days
        return (
            f"Predicts whose subscription, which expires in the {clock.horizon_days} days from "
            f"the cutoff, is not renewed within {grace} days of its expiry."
        )
    return (
        f"Predicts which customers buy nothing in the {clock.horizon_days} days from the cutoff, "
        f"among those who bought in the {clock.lookback_days} days before it."
    )


def _others(trained: Trained) -> str:
    """What is said of those who are not eligible."""
    lapsed = "A model of their own says who of the lapsed comes back; all others get"
    if trained.model.win_back_["kind"] == "rate":
        lapsed = "All others get"
    return f"{lapsed} the lapse rate of their group."


def _speaks_through(trained: Trained) -> list[str]:
    stand_in = trained.model.stand_in
    if stand_in is None:
        return []
    text = (
        f"**Stand-in: the baseline `{stand_in}` speaks in the model's place**, for the model did "
        "not beat it."
    )
    return [text, ""]


def _table(trained: Trained) -> list[str]:
    lines = [f"| | {' | '.join(NAMES.values())} |", "|---" * (len(NAMES) + 1) + "|"]
    for name in ("model", *trained.evaluation.against):
        metrics = trained.evaluation.of(name).metrics
        cells = [
            f"{metrics[key].estimate:.4f} [{metrics[key].low:.4f}, {metrics[key].high:.4f}]"
            for key in NAMES
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
