"""The tables of a plan, from its totals."""

import pytest

from churn.commands.summaries.plans import _money_table


def money(**changes):
    summary = {
        "currency": "EUR",
        "budget": 800.0,
        "expected_cost": 100.0,
        "explored_cost": 0.0,
        "worst_cost": 300.0,
        "expected_gain": 250.0,
        "expected_value": 150.0,
        "lambda": 0.0,
        "effect_sources": ["assumed"],
        "remaining_life": None,
    }
    return dict(_money_table(summary | changes).rows)


@pytest.mark.parametrize(
    ("sources", "label"),
    [
        (["assumed"], "expected gain in margin (assumed effects)"),
        (["assumed", "measured"], "expected gain in margin (assumed and measured effects)"),
        ([], "expected gain in margin"),
    ],
)
def test_the_gain_says_where_the_effects_of_its_offers_come_from(sources, label):
    assert money(effect_sources=sources)[label] == "250.00"


def test_the_remaining_life_follows_the_net_value_and_is_told_not_to_be_added():
    life = {"years": 3.0, "discount_rate": 0.1, "horizon_days": 28, "expected_value": 900.0}
    rows = list(money(remaining_life=life).items())
    place = [name for name, _ in rows].index("expected net value")
    assert rows[place + 1] == (
        "not on top: the same over 3 years, if the retained stay on",
        "900.00",
    )
    assert "not on top" not in " ".join(money())
