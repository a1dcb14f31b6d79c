"""Retention periods: what is old goes, and what restricts never does."""

from datetime import UTC, date, datetime, timedelta

import pytest
from simulated_shop import MEMORYLESS_AS_OF, shop_with_models

from churn.commands.prune import prune
from churn.commands.score import score
from churn.errors import ConfigError
from churn.storage.ledger import Ledger
from churn.storage.publish import swap_pointer
from churn.storage.records import PlanRow
from churn.storage.withdrawals import record_withdrawal, withdrawals

END = date.fromisoformat(MEMORYLESS_AS_OF)
NOW = datetime(END.year, END.month, END.day, 3, tzinfo=UTC)
DAYS = (200, 120, 70, 20, 5)
"""Ages of the plans in days. The cooldown is 28 days, two horizons are 56."""


@pytest.fixture
def unpruned(tmp_path_factory, tmp_path):
    """A shop that keeps everything."""
    return shop_with_models(tmp_path_factory.getbasetemp(), tmp_path / "shop")


@pytest.fixture
def shop(unpruned):
    keep(unpruned, 30)
    with Ledger(unpruned.parent / "ledger.db") as ledger:
        for age in DAYS:
            record(ledger, END - timedelta(days=age))
    return unpruned


def keep(config, days):
    config.write_text(config.read_text() + f"[privacy]\nkeep_days = {days}\n")


def record(ledger, as_of):
    """A plan with a contact, a customer without an offer, and one who is held out."""
    run_id = ledger.start_run("plan")
    base = {"campaign_id": "spring", "as_of": as_of, "propensity": 0.9, "expected_cost": 0.0}
    rows = [
        PlanRow(customer_id="a", offer_id="coupon", channel="email", arm="treatment", **base),
        PlanRow(customer_id="b", offer_id="none", channel=None, arm="treatment", **base),
        PlanRow(customer_id="c", offer_id="none", channel=None, arm="holdout", **base),
    ]
    ledger.record_plan(run_id, rows)
    ledger.remember_holdout("global", [("c", True), ("a", False)], assigned_on=as_of)
    ledger.finish_run(run_id, status="done")


def plan_ages(config):
    with Ledger(config.parent / "ledger.db") as ledger, ledger.reading() as connection:
        found = connection.execute("SELECT DISTINCT as_of FROM plans ORDER BY 1").fetchall()
    return [(END - date.fromisoformat(day)).days for (day,) in found]


def test_plans_go_once_they_are_old_and_measured(shop):
    result = prune(shop, now=NOW)
    assert plan_ages(shop) == [20, 5]
    assert result.rows["plans"] == 9
    with Ledger(shop.parent / "ledger.db") as ledger:
        recorded = ledger.runs("prune")[0].facts
        assert recorded["rows"]["plans"] == 9
        assert ledger.last_plan("spring", END - timedelta(days=60)) is None


def test_a_dry_run_counts_the_same_and_removes_nothing(shop):
    looked = prune(shop, now=NOW, dry_run=True)
    assert plan_ages(shop) == sorted(DAYS, reverse=True)
    assert dict(looked.rows) == dict(prune(shop, now=NOW).rows)


def test_contacts_stay_as_long_as_a_cooldown_counts_them(shop):
    offers = shop.parent / "offers.toml"
    offers.write_text(offers.read_text().replace("cooldown_days = 28", "cooldown_days = 150"))
    prune(shop, now=NOW)
    with Ledger(shop.parent / "ledger.db") as ledger:
        contacts = list(ledger.contacts_since(date(2000, 1, 1), END, excluding=("", END)))
        assert sorted((END - one.as_of).days for one in contacts) == [5, 20, 70, 120]
        with ledger.reading() as connection:
            others = connection.execute("SELECT count(*) FROM plans WHERE customer_id <> 'a'")
            assert others.fetchone() == (4,)


def test_withdrawals_and_holdouts_are_never_removed(shop):
    with Ledger(shop.parent / "ledger.db") as ledger:
        long_ago = datetime(2001, 1, 1, tzinfo=UTC)
        record_withdrawal(ledger, "a", "email", source="page", at=long_ago)
    prune(shop, now=NOW + timedelta(days=3000))
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert [one.customer_id for one in withdrawals(ledger)] == ["a"]
        assert ledger.holdout_members("global") == {"c"}


def test_old_result_files_go_and_changed_ones_stay(shop, tmp_path):
    written, changed = shop.parent / "out" / "scores.parquet", shop.parent / "out" / "mine.csv"
    for out in (written, changed):
        score(shop, out=out, as_of=MEMORYLESS_AS_OF)
    changed.write_text("edited")
    later = datetime.now(UTC) + timedelta(days=40)
    result = prune(shop, now=later)
    assert not written.exists()
    assert not written.with_name("scores.parquet.manifest.json").exists()
    assert changed.exists()
    assert any("mine.csv was changed" in note for note in result.warnings)
    assert prune(shop, now=datetime.now(UTC)).rows["files"] == 0


def test_old_models_go_but_not_those_in_use_nor_where_a_rollback_leads(shop):
    models = shop.parent / "models"
    first, second = sorted(path.name for path in models.glob("churn-*"))
    import shutil

    spare = models / "churn-19990101t000000-aaaaaa"
    shutil.copytree(models / first, spare)
    swap_pointer(models / "champion", second)
    prune(shop, now=datetime.now(UTC) + timedelta(days=40))
    left = {path.name for path in models.iterdir() if path.is_dir()}
    assert second in left
    assert spare.name not in left
    assert not [name for name in left if name.endswith(".pruned")]


def test_without_a_period_nothing_is_removed(unpruned):
    with pytest.raises(ConfigError, match="keep_days must say how long"):
        prune(unpruned, now=NOW)
