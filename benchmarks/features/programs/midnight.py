"""Orders of two hundred customers around a midnight: a second before it, at it, a second after.

python midnight.py DATE OUT

Each has ordered twelve times before, once a month. Half order once more three days later, so that
what follows differs among them.
"""

import sys

import duckdb

AROUND = ["-1 second", "0 seconds", "1 second", "3 days"]
SHIFTS = [f"-{month} months" for month in range(1, 13)] + AROUND
SQL = """
SELECT 'c' || c AS customer_id, c || '-' || row_number() OVER () AS order_id,
       (TIMESTAMP '{date}' + CAST(shift AS INTERVAL)) AT TIME ZONE 'UTC' AS ordered_at,
       (1 + c % 17)::DOUBLE AS amount
FROM range(200) customers(c), unnest({shifts}) shifts(shift)
WHERE shift <> '3 days' OR c % 2 = 0
"""

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.sql(SQL.format(date=sys.argv[1], shifts=SHIFTS)).write_parquet(sys.argv[2])
