"""A file of orders in no order.

python shuffle.py ORDERS OUT
"""

import sys

import duckdb

source, target = sys.argv[1:]
duckdb.connect().execute(
    f"COPY (FROM '{source}' ORDER BY hash(order_id)) TO '{target}' (FORMAT parquet)"
)
