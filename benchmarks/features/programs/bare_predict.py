"""The least that scoring has to do: the trees of a model over its features of the eligible.

python bare_predict.py MODEL FEATURES
"""

import json
import sys

import numpy as np
import pyarrow.parquet as pq

from churn.modeling.bundle import load_bundle

ROWS_AT_ONCE = 122_880
HEADS = ("lapse", "decline", "orders", "spend")

boosters = load_bundle(sys.argv[1]).portable().boosters
names = boosters["lapse"].feature_name()
rows = trees = 0
for batch in pq.ParquetFile(sys.argv[2]).iter_batches(ROWS_AT_ONCE, columns=names):
    columns = [batch[name].to_numpy(zero_copy_only=False).astype("float32") for name in names]
    matrix = np.column_stack(columns)
    for head in HEADS:
        if head in boosters:
            boosters[head].predict(matrix)
            trees += len(matrix) * boosters[head].num_trees()
    rows += len(matrix)
print(json.dumps({"rows": rows, "trees": trees}))
