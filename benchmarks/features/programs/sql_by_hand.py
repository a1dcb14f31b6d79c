"""31 features in SQL written by hand, from a file to a file.

python sql_by_hand.py ORDERS CUTOFF OUT
"""

import json
import sys
from datetime import UTC, date, datetime

import duckdb
from lengths import HALF_LIVES_DAYS, WINDOWS_DAYS

DAYS = """
CREATE TEMP TABLE days AS
WITH daily AS (
  SELECT customer_id, (epoch_us(ordered_at) // 86400000000)::INTEGER AS day,
         count(*) FILTER (amount > 0) AS orders,
         coalesce(sum(amount) FILTER (amount > 0), 0) AS spend, sum(amount) AS net
  FROM '{orders}' WHERE ordered_at < '{midnight}'::TIMESTAMPTZ GROUP BY ALL
)
SELECT *, orders > 0 AS bought, {cutoff} - day AS age,
       CASE WHEN bought THEN day - lag(day) OVER (PARTITION BY customer_id, bought ORDER BY day)
       END AS gap
FROM daily
"""
PLAIN = """
min(age) FILTER (bought) AS recency_days,
count(*) FILTER (bought) AS purchase_days,
sum(orders) AS orders_count,
max(age) FILTER (bought) AS tenure_days,
sum(net) AS net_spend,
sum(net) / count(*) FILTER (bought) AS average_basket,
arg_max(spend, day) FILTER (bought) * count(*) FILTER (bought) / sum(spend)
  AS last_basket_over_average,
avg(gap) AS mean_gap_days,
stddev_samp(gap) AS gap_deviation_days,
min(age) FILTER (bought) / max(gap) AS recency_over_longest_gap,
arg_max(gap, day) FILTER (bought) / avg(gap) AS last_gap_over_mean
"""


def windows() -> list[str]:
    """Purchase days and net spend in each window."""
    return [
        f"count(*) FILTER (bought AND age <= {days}) AS purchase_days_{days}d, "
        f"coalesce(sum(net) FILTER (age <= {days}), 0) AS net_spend_{days}d"
        for days in WINDOWS_DAYS
    ]


def fading() -> list[str]:
    """Purchase days and net spend, halved for every half-life of their age."""
    return [
        f"coalesce(sum(pow(2, -age / {half})) FILTER (bought), 0) AS decayed_days_{speed}, "
        f"sum(net * pow(2, -age / {half})) AS decayed_spend_{speed}"
        for speed, half in HALF_LIVES_DAYS.items()
    ]


def main(orders: str, cutoff: date, out: str) -> None:
    """Write the table."""
    midnight = datetime(cutoff.year, cutoff.month, cutoff.day, tzinfo=UTC)
    day = (cutoff - date(1970, 1, 1)).days
    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(DAYS.format(orders=orders, midnight=midnight, cutoff=day))
    columns = ", ".join([PLAIN, *windows(), *fading()])
    rows = connection.sql(f"SELECT customer_id, {columns} FROM days GROUP BY customer_id")
    features = len(rows.columns) - 1
    rows.write_parquet(out)
    print(json.dumps({"features": features}))


if __name__ == "__main__":
    main(sys.argv[1], date.fromisoformat(sys.argv[2]), sys.argv[3])
