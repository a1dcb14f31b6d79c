"""May this model speak? It has to beat the best simple rule, beyond chance, on later cutoffs."""

from __future__ import annotations

from dataclasses import dataclass

from churn.modeling.evaluate import Evaluation

__all__ = ["Gate", "judge"]

SUSPICIOUS_AUC = 0.9


@dataclass(frozen=True)
class Gate:
    """Whether the model beat the best baseline, which one that is, and the reasons in words."""

    open: bool
    best_baseline: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def judge(evaluation: Evaluation) -> Gate:
    """Open when the 95 % interval of the log loss difference to the best baseline is below 0."""
    best = evaluation.best_baseline
    gap = evaluation.against[best]
    model = evaluation.of("model").metrics
    passed = gap.high < 0
    verb = "beats" if passed else "does not beat"
    reason = (
        f"the model {verb} the best baseline, {best}: log loss difference "
        f"{gap.estimate:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    )
    warnings: tuple[str, ...] = ()
    auc = model["roc_auc"].estimate
    if auc > SUSPICIOUS_AUC:
        warnings = (
            f"an AUC of {auc:.3f} among eligible customers is a leak until shown not to be",
        )
    return Gate(passed, best, (reason,), warnings)
