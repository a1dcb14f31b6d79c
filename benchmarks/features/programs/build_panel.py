"""Feature rows of a panel, built into the engine through the Python interface.

python build_panel.py CONFIG END CUTOFFS
"""

import json
import sys
import time
from datetime import date, timedelta

import churn
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

config, end, count = sys.argv[1], date.fromisoformat(sys.argv[2]), int(sys.argv[3])
clock = FeatureClock(horizon_days=56, lookback_days=112)
cutoffs = [end - timedelta(days=28 * k) for k in reversed(range(count))]

begin = time.process_time()
tables = churn.load_tables(config)
opened = time.process_time()
tables.engine.store(build_features(tables, cutoffs, clock), "panel")
built = time.process_time()
facts = {
    "rows": tables.engine.rows("SELECT count(*) AS n FROM panel")[0]["n"],
    "open_seconds": opened - begin,
    "build_seconds": built - opened,
}
tables.engine.close()
print(json.dumps(facts))
