"""The data against what is usual."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from churn.data.tables import Tables
from churn.monitoring.feeds import feed_checks

AS_OF = date(2024, 6, 1)
FIRST = AS_OF - timedelta(days=300)


def orders(*, a_day=40, **changes):
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"day": np.repeat(np.arange(300), a_day)})
    rows["customer_id"] = rng.integers(0, 400, len(rows)).astype(str)
    rows["ordered_at"] = pd.Timestamp(FIRST) + pd.to_timedelta(rows["day"], unit="D")
    rows["amount"] = rng.lognormal(3, 0.5, len(rows)).round(2)
    rows["channel"] = rng.choice(["web", "shop"], len(rows))
    rows["discount"] = np.where(rng.random(len(rows)) < 0.1, np.nan, 1.0)
    return rows.assign(**changes)


def checks(rows, as_of=AS_OF):
    tables = Tables.from_frames(rows.drop(columns="day"))
    found = feed_checks(tables, as_of, error_after_days=3)
    return {(one.check, one.what): one for one in found}


def alarms(rows, as_of=AS_OF):
    return [key for key, one in checks(rows, as_of).items() if one.state == "alarm"]


def test_usual_data_raise_no_alarm():
    found = checks(orders())
    assert {one.state for one in found.values()} == {"ok"}
    assert found["rows a week", "orders"].text == (
        "280 rows in the last seven days; usually 280 to 280."
    )


def test_a_late_feed_is_an_alarm_with_its_date():
    rows = orders()
    found = {
        late: checks(rows, AS_OF + timedelta(days=late))["freshness", "orders"]
        for late in (0, 3, 4)
    }
    assert [one.state for one in found.values()] == ["ok", "ok", "alarm"]
    assert found[0].text == "Orders end on 2024-05-31."
    assert found[4].text == "Orders end on 2024-05-31, 4 days before the end."


def test_half_the_rows_of_a_week_missing_is_an_alarm():
    rows = orders()
    recent = rows["day"] >= 293
    lost = rows[~recent | (rows.index % 3 == 0)]
    assert alarms(lost) == [("rows a week", "orders")]


def test_values_that_begin_to_be_missing_are_an_alarm():
    rows = orders()
    gone = (rows["day"] >= 272) & (rows.index % 2 == 0)
    assert alarms(rows.assign(discount=rows["discount"].mask(gone))) == [
        ("missing values", "orders.discount")
    ]


def test_a_category_never_seen_before_is_an_alarm():
    rows = orders()
    new = (rows["day"] >= 290) & (rows.index % 5 == 0)
    found = checks(rows.assign(channel=rows["channel"].mask(new, "kiosk")))
    one = found["new categories", "orders.channel"]
    assert one.state == "alarm"
    assert "'kiosk'" in one.text
    assert one.value == pytest.approx(new.sum() / (rows["day"] >= 272).sum())


def test_a_short_history_is_too_few_to_say():
    rows = orders()
    found = checks(rows[rows["day"] >= 265])
    assert found["rows a week", "orders"].state == "too few"
