"""The floor: one bare GROUP BY over a file of orders.

python group_by.py ORDERS
"""

import json
import sys
import time

import duckdb

SQL = """
CREATE TEMP TABLE found AS
SELECT customer_id, count(*) AS n, sum(amount) AS total, min(amount) AS low, max(amount) AS high
FROM '{}' GROUP BY customer_id
"""

connection = duckdb.connect()
connection.execute("SET enable_progress_bar = false")
begin, worked = time.perf_counter(), time.process_time()
connection.execute(SQL.format(sys.argv[1]))
seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - worked
[(rows, orders)] = connection.execute("SELECT count(*), sum(n)::BIGINT FROM found").fetchall()
facts = {"features": 4, "rows": rows, "orders": orders}
print(json.dumps({**facts, "seconds": seconds, "cpu_seconds": cpu_seconds}))
