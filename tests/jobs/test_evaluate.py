"""A model is judged again on what came after its training data, never on what it has seen."""

from datetime import timedelta

import pandas as pd
import pytest
from simulated_shop import AS_OF, DAYS, copied_shop, simulated_orders, trained_shop

from churn.errors import GateError
from churn.jobs.evaluate import evaluate


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


@pytest.fixture
def later(shop):
    """The same shop sixty days on: the same customers buy what they would have bought."""
    whole = simulated_orders(days=DAYS)
    again = whole[whole["ordered_at"] >= pd.Timestamp(AS_OF) - pd.Timedelta(days=60)]
    moved = again.assign(ordered_at=again["ordered_at"] + pd.Timedelta(days=60))
    pd.concat([whole, moved]).to_parquet(shop.parent / "orders.parquet")
    return shop


def test_cutoffs_begin_where_the_training_data_ends(later):
    result = evaluate(later)
    dates = [AS_OF + timedelta(days=14 * step) for step in range(3)]
    assert result.metrics["cutoffs"] == [str(date) for date in dates]
    assert result.resolved["cutoffs"] == result.metrics["cutoffs"]
    assert result.gate["promoted"] is None
    assert len(result.gate["reasons"]) == 1
    assert result.model_id == (later.parent / "models" / "champion").read_text().strip()
    assert result.exit_code == 0


def test_without_a_mature_label_after_the_training_there_is_nothing_to_judge(shop):
    with pytest.raises(
        GateError, match=rf"from {AS_OF} on.*got data until {AS_OF} and 28 days to a mature label"
    ):
        evaluate(shop)


def test_a_champion_is_where_it_was_after_a_judgement(later):
    before = (later.parent / "models" / "champion").read_text()
    evaluate(later, as_of=str(AS_OF + timedelta(days=28)))
    assert (later.parent / "models" / "champion").read_text() == before
