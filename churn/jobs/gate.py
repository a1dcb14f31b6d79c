"""The verdict of the gate, for machines and for people."""

from __future__ import annotations

from typing import Any

from churn.jobs.result import ShownTable
from churn.modeling.gate import LEAST_CUTOFFS, Check, Gate

__all__ = ["gate_dict", "gate_table"]

QUESTIONS = {
    "rules": "beats the simple rules",
    "champion": "no step back from the champion",
    "slices": "no kind of customer served worse",
    "leaks": "knows nothing of the future",
}


def gate_dict(gate: Gate, *, promoted: bool | None, stand_in: str | None = None) -> dict[str, Any]:
    """Plain JSON: what became of the model, why in words, and each check with its figures."""
    reasons = list(gate.reasons)
    if stand_in is not None and promoted:
        reasons.append(
            f"the model was refused, and the rule {stand_in} was promoted in its place: it speaks "
            "until a model passes"
        )
    elif promoted is False:
        reasons.append("the champion stays")
    checks = [check.to_dict() for check in gate.checks]
    told = {"promoted": promoted, "stand_in": stand_in, "reasons": reasons, "checks": checks}
    return {"open": gate.open, **told}


def gate_table(gate: Gate) -> ShownTable:
    """A line for each check: what was asked, whether it was passed, and by what figures."""
    rows = tuple((QUESTIONS[one.name], _word(one), _figures(one)) for one in gate.checks)
    return "Gate", ("", "", ""), rows


def _word(check: Check) -> str:
    return "yes" if check.passed else "NO"


def _figures(check: Check) -> str:
    """The one line of figures that fits a table; the reason in words says the rest."""
    told = check.figures
    if check.name == "champion" and not told:
        return "it cannot be read"
    if check.name in ("rules", "champion"):
        against = told.get("baseline") or f"the champion, {told['how']}"
        bounds = f"[{told['low']:+.4f}, {told['high']:+.4f}]"
        few = told.get("cutoffs", LEAST_CUTOFFS) < LEAST_CUTOFFS
        alone = "on 1 cutoff, which is too few: " if few else ""
        return f"{alone}log loss {told['difference']:+.4f} {bounds} to {against}"
    if check.name == "slices":
        return f"{len(told)} kinds with 100 lapsed or more"
    return ", ".join(told) or "every feature audited"
