"""The exports of shop systems are known, and what the customer paid is what is read."""

import pytest
from shop_exports import CUSTOMERS, EXPORTS, ORDERS, TOTAL, Export

from churn.commands.init import init
from churn.config import load_settings
from churn.data.profiling.names import name_score
from churn.data.profiling.systems import SYSTEMS, system_of
from churn.data.tables import Tables


@pytest.mark.parametrize("export", EXPORTS, ids=[export.name for export in EXPORTS])
def test_what_the_customer_paid_is_read_once_for_each_order(tmp_path, export: Export):
    path = tmp_path / "export.csv"
    path.write_text(export.text(), encoding="utf-8")
    guess = init([path], out=tmp_path / "churn.toml").guess
    assert guess.system == export.system
    assert {ours: guess.columns.get(ours) for ours in export.columns} == export.columns
    assert guess.grain == export.grain
    settings = load_settings(tmp_path / "churn.toml")
    tables = Tables.from_settings(settings.data, folder=tmp_path)
    (row,) = tables.engine.rows(
        "SELECT count(*) AS n, count(DISTINCT customer_id) AS c, sum(amount) AS s FROM orders"
    )
    tables.close()
    assert (row["n"], row["c"], round(row["s"], 2)) == (ORDERS, CUSTOMERS, TOTAL)


BY_NAME = [export for export in EXPORTS if export.name not in ("amazon", "square transactions")]


@pytest.mark.parametrize("export", BY_NAME, ids=[export.name for export in BY_NAME])
def test_no_other_column_names_the_amount_better_where_the_system_is_not_known(export: Export):
    scores = {name: name_score("amount", name) for name in export.header.split("|")}
    assert scores[export.columns["amount"]] == max(scores.values())


def test_a_header_that_no_system_has_is_no_system():
    assert system_of(["order_id", "customer_id", "order_date", "total"]) is None


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.signature[-1])
def test_each_system_says_which_columns_are_needed(system):
    assert {"customer_id", "ordered_at", "amount"} <= system.roles.keys()
