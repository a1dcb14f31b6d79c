"""What customers said reads the same on every engine: consents, unsubscriptions, preferences."""

from datetime import UTC, datetime

import pandas as pd

from churn.data.consent import (
    consent_to_send,
    objectors,
    preferences_to_send,
    withdrawal_statements,
)
from churn.data.tables import Tables
from churn.data.terms import share_renewed
from churn.storage.withdrawals import Withdrawal

DAYS = pd.to_datetime(["2024-04-20", "2024-04-25", "2024-04-25", "2024-05-02"], utc=True)
NAMES = ["ann", "bob", "ann", "cid"]
TABLES = {
    "consents": pd.DataFrame({"customer_id": NAMES, "channel": ["email", "Sms ", "web", "email"]})
    .assign(purpose=["marketing", "Marketing", "profiling", "marketing"], changed_at=DAYS)
    .assign(granted=[True, True, False, True], loaded_at=DAYS),
    "events": pd.DataFrame({"customer_id": NAMES, "channel": [None, " SMS", "", "email"]}).assign(
        event_type=["unsubscribe", "unsubscribe", "visit", "Unsubscribe"], occurred_at=DAYS
    ),
    "preferences": pd.DataFrame({"customer_id": NAMES, "kind": ["gift", None, "Survey", "gift"]})
    .assign(allowed=[False, None, True, None], max_contacts=[None, 1.5, 0, 2.0])
    .assign(cap_days=[None, None, 9.5, 1e6], changed_at=DAYS),
    "subscriptions": pd.DataFrame({"customer_id": NAMES, "started_at": DAYS, "expires_at": DAYS}),
}


def said(engine):
    orders = pd.DataFrame({"customer_id": NAMES, "ordered_at": DAYS, "amount": 1.0})
    tables = Tables.from_frames(orders, engine=engine, **TABLES)
    snapshot = tables.as_of("2024-05-01")
    at = datetime(2024, 4, 30, tzinfo=UTC)
    told = {"channel": "email", "source": "form", "withdrawn_at": at, "again_at": at}
    gone = withdrawal_statements([Withdrawal(customer_id="bob", **told)])
    rows = consent_to_send(snapshot, withdrawn=gone).to_pylist()
    wishes = [table.to_pylist() for table in preferences_to_send(snapshot)]
    found = rows, wishes, objectors(snapshot), share_renewed(tables)
    tables.engine.close()
    return found


def test_every_engine_hears_the_same(other):
    expected = said("duckdb")
    assert [len(part) for part in expected[:3]] == [13, 3, 1]
    assert said(other) == expected
