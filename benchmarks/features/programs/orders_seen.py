"""How many orders a table of features has counted at most for one customer.

python orders_seen.py FEATURES
"""

import json
import sys

import duckdb

sql = f"SELECT max(orders_count) AS seen FROM '{sys.argv[1]}'"
[(seen,)] = duckdb.connect().execute(sql).fetchall()
print(json.dumps({"seen": int(seen)}))
