"""Feasibility: whether a panel allows training and evaluation, checked before any time is spent."""

from __future__ import annotations

from datetime import date
from math import isfinite

from churn.data.tables import Tables
from churn.errors import GateError
from churn.modeling.dataset import Dataset, check_classes
from churn.modeling.panel import GAP_QUANTILE, HORIZONS_DAYS, Panel, repurchase_gap_days

RARE = 0.01
"""Below this share an outcome counts as almost absent."""
FAR_HORIZON = 3
"""A horizon is unusual if it differs from the typical purchase gap by more than this factor."""


def check_feasible(dataset: Dataset, panel: Panel) -> None:
    """Raises GateError if the test cutoffs cannot evaluate a model, or the earlier cutoffs have too
    few rows of a class to train one.
    """
    check_classes(dataset.only(panel.development).eligible["lapse"])
    check_can_judge(dataset.only(panel.blocks.test))


def check_can_judge(test: Dataset) -> None:
    """Raises GateError if nobody is eligible at a cutoff of `test`, or all of them lapsed, or if
    nobody lapsed at any cutoff.
    """
    for cutoff in test.cutoffs:
        eligible, lapsed = _outcomes(test.only(test.cutoffs.only((cutoff,))))
        if not eligible:
            raise _nobody_eligible(test, cutoff)
        if lapsed == eligible:
            raise _one_outcome(test, f"at {cutoff}", f"all of {eligible:,} lapsed", "a longer")
    eligible, lapsed = _outcomes(test)
    if not lapsed:
        where = f"at {' and '.join(map(str, test.cutoffs))}"
        raise _one_outcome(test, where, f"none of {eligible:,} lapsed", "a shorter")


def _outcomes(dataset: Dataset) -> tuple[int, int]:
    """The numbers of eligible and of lapsed customers."""
    rows = dataset.eligible
    return len(rows), int(rows["lapse"].sum())


def _nobody_eligible(test: Dataset, cutoff: date) -> GateError:
    clock = test.clock
    if clock.is_contractual:
        got = f"0 subscriptions that expire in the {clock.horizon_days} days after it"
    else:
        got = f"0 customers who bought in the {clock.lookback_days} days before it"
    return GateError(
        f"there must be eligible customers at the test cutoff {cutoff}",
        got=got,
        fix="Check that no orders are missing before it, or pass an earlier --as-of.",
    )


def _one_outcome(test: Dataset, where: str, got: str, other: str) -> GateError:
    return GateError(
        f"some eligible customers {where} must have lapsed and some not",
        got=f"{got} within {test.clock.horizon_days} days",
        fix="Check that no orders are missing up to the end of the data, pass an earlier --as-of, "
        f"or {other} [churn] horizon_days.",
    )


def feasibility_notes(tables: Tables, dataset: Dataset, panel: Panel) -> tuple[str, ...]:
    """Warnings of a feasible training: almost only one outcome, or a horizon that does not fit how
    often customers buy.
    """
    return (*_rate_notes(dataset, panel), *_horizon_notes(tables, panel))


def _rate_notes(dataset: Dataset, panel: Panel) -> tuple[str, ...]:
    eligible, lapsed = _outcomes(dataset.only(panel.blocks.test))
    if RARE <= lapsed / eligible <= 1 - RARE:
        return ()
    few = "almost nobody" if lapsed < eligible / 2 else "almost everybody"
    return (
        f"{few} lapses: {lapsed:,} of {eligible:,} eligible customers at the test cutoffs, within "
        f"{panel.clock.horizon_days} days. Check that no orders are missing, and whether "
        "[churn] horizon_days fits how often customers buy",
    )


def _horizon_notes(tables: Tables, panel: Panel) -> tuple[str, ...]:
    if panel.clock.is_contractual:
        return ()
    horizon, gap = panel.clock.horizon_days, panel.gap_quantile_days
    if gap is None:
        gap = repurchase_gap_days(tables, panel.blocks.test.dates[0], q=GAP_QUANTILE)
    if not isfinite(gap) or gap / FAR_HORIZON <= horizon <= max(
        gap * FAR_HORIZON, HORIZONS_DAYS[0]
    ):
        return ()
    short = horizon < gap
    return (
        f"a horizon of {horizon} days is {'short' if short else 'long'} for this shop: "
        f"{GAP_QUANTILE:.0%} of repurchases happen within {gap:.0f} days, so "
        + ("many lapses are only pauses" if short else "lapses are noticed late"),
    )
