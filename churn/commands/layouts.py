"""How scores, plans and lists lie in a database: one row a customer, of many runs or of one."""

from __future__ import annotations

from churn.campaigns.delivery.planned import LIST_SCHEMA
from churn.offers.plan_table import PLAN_SCHEMA
from churn.scoring.score import SCORE_SCHEMA
from churn.storage.postgres.layout import Layout

_RUN = ("run_id", "customer_id")

SCORES = Layout(SCORE_SCHEMA, key=_RUN, replaces={"run_id": "run_id"}, keeps_runs=True)
PLANS = Layout(PLAN_SCHEMA, key=_RUN, replaces={"run_id": "run_id"}, keeps_runs=True)
LISTS = Layout(
    LIST_SCHEMA,
    key=("campaign_id", "as_of", "customer_id"),
    replaces={"campaign_id": "campaign_id", "as_of": "plan_as_of"},
    keeps_runs=False,
)
"""A list takes the place of the one before of the same campaign and date, as in a file."""
