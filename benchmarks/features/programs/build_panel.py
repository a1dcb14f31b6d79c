"""Feature rows of a panel, built batch by batch through the Python interface.

python build_panel.py CONFIG END CUTOFFS
"""

import json
import sys
import time
from datetime import date, timedelta

import churn
from churn.features.builder import sweep_features
from churn.features.clock import FeatureClock

config, end, count = sys.argv[1], date.fromisoformat(sys.argv[2]), int(sys.argv[3])
clock = FeatureClock(horizon_days=56, lookback_days=112)
cutoffs = [end - timedelta(days=28 * k) for k in reversed(range(count))]

begin = time.process_time()
tables = churn.load_tables(config)
opened = time.process_time()
rows = sum(batch.num_rows for batch in sweep_features(tables, cutoffs, clock).batches())
built = time.process_time()
facts = {
    "rows": rows,
    "open_seconds": opened - begin,
    "build_seconds": built - opened,
}
tables.engine.close()
print(json.dumps(facts))
