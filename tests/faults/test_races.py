"""Two concurrent commands, one of them stopped at a certain line while the other runs."""

from datetime import timedelta

import pandas as pd
import pytest
from mailing_shop import CUSTOMERS, mailing_shop, offered, planned, states
from simulated_shop import AS_OF
from stopping import stopped

from churn.commands.export import export
from churn.commands.forget import forget
from churn.commands.plan import plan
from churn.errors import BusyError, DataError
from churn.storage.ledger import Ledger

READ = "churn.commands.session:_resolved"  # the tables and the list of the erased have been read
ASKED = {
    "send": "churn.commands.send:fill_outbox",
    "export": "churn.campaigns.delivery.consents:ConsentRecords.deliverable",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


@pytest.fixture
def shop(base, tmp_path):
    return mailing_shop(base, tmp_path / "shop", port=9)


def plan_words(shop, out):
    scores = shop.parent / "scores.parquet"
    words = ["--as-of", AS_OF, "--scores", scores, "--out", out]
    return ["plan", "--config", shop, *words]


def customers_of(path):
    return set(pd.read_parquet(path)["customer_id"])


def statuses(shop, command):
    with Ledger(shop.parent / "ledger.db") as ledger:
        return [run.status for run in ledger.runs(command)]


def test_forget_waits_for_a_run_that_has_read_the_tables_and_that_run_writes_nothing(shop):
    """Row 49. The run is on record before it reads who was erased."""
    out = shop.parent / "later.parquet"
    gone = CUSTOMERS[5]
    with stopped(READ, *plan_words(shop, out)) as running:
        with pytest.raises(BusyError, match=r"runs that began before it, got churn plan\. "):
            forget(shop, customers=[gone])
        code, message = running.go_on()
    assert (code, out.exists()) == (BusyError.exit_code, False)
    assert message.splitlines()[-1].startswith(
        "error: no customers may be erased while a result is being "
    )
    assert gone not in message
    assert forget(shop, customers=[gone]).exit_code == 0
    assert plan(shop, out=out, scores=shop.parent / "scores.parquet", as_of=str(AS_OF)).rows
    assert customers_of(out) == set(CUSTOMERS) - {gone}


def test_a_run_not_yet_on_record_reads_the_updated_list_of_erased_customers(shop):
    out = shop.parent / "later.parquet"
    with stopped("churn.commands.session:on_record", *plan_words(shop, out)) as running:
        assert forget(shop, customers=[CUSTOMERS[5]]).exit_code == 0
        assert running.go_on()[0] == 0
    assert customers_of(out) == set(CUSTOMERS) - {CUSTOMERS[5]}


@pytest.mark.parametrize("command", ["send", "export"])
def test_a_plan_replaced_while_consent_is_read_is_not_sent(shop, command):
    """Row 51: only the plan on record is sent, otherwise no cooldown would start."""
    old, few = shop.parent / "plan.parquet", CUSTOMERS[:7]
    to = ["--to", shop.parent / "list.csv"] if command == "export" else []
    words = [command, old, "--config", shop, "--date", AS_OF, *to]
    with stopped(ASKED[command], *words) as running:
        new = planned(shop, "new.parquet", customers=few)
        code, message = running.go_on()
    assert code == DataError.exit_code
    assert "the plan must be the plan on record for campaign 'spring' as of" in message
    assert states(shop) == {}
    assert not (shop.parent / "list.csv").exists()
    assert export(shop, plan=new, out=shop.parent / "new.csv", on=str(AS_OF)).rows["exported"]
    with Ledger(shop.parent / "ledger.db") as ledger:
        known = {one.customer_id for one in ledger.last_contacts(AS_OF + timedelta(days=7))}
    assert known == offered(new)


def test_a_plan_killed_before_recording_leaves_the_previous_one(shop):
    """The new file is rejected; the earlier plan remains valid and complete."""
    old = shop.parent / "plan.parquet"
    kept = shop.parent / "kept.parquet"
    for path in (old, old.with_name(f"{old.name}.manifest.json")):
        kept.with_name(path.name.replace("plan", "kept", 1)).write_bytes(path.read_bytes())
    with stopped("churn.commands.plan:_remember", *plan_words(shop, old)) as running:
        running.kill()
    assert statuses(shop, "plan")[0] == "running"
    with pytest.raises(DataError, match="must be the plan on record"):
        export(shop, plan=old, out=shop.parent / "list.csv", on=str(AS_OF))
    exported = export(shop, plan=kept, out=shop.parent / "list.csv", on=str(AS_OF))
    assert exported.rows["exported"] == len(offered(kept))
    assert statuses(shop, "plan")[0] == "failed"


def test_a_plan_killed_after_recording_can_still_be_measured(shop):
    out = shop.parent / "plan.parquet"
    with stopped("churn.storage.ledger:Ledger.finish_run", *plan_words(shop, out)) as running:
        running.kill()
    with Ledger(shop.parent / "ledger.db") as ledger:
        ledger.mark_dead_runs_failed()
        run, rows = ledger.last_plan("spring", AS_OF + timedelta(days=1))
    assert (run.status, len(rows)) == ("failed", len(CUSTOMERS))
    assert run.facts["cause"] == "its process died"
    assert run.facts["summary"]["shares"]["holdout"] == 0.1
