"""The recipe on Online Retail II, out of time: 90 days from 2011-09-10, and what came of them.

    .venv/bin/python benchmarks/online_retail.py [--pooled]

Reads `../shared/data/online_retail_ii` (UCI, CC BY 4.0), which is no part of the project; without
it, it says so and ends. Customers are eligible who bought in the last 180 days. The recipe learns
from cutoffs whose 90 days had closed by 2011-09-10. `--pooled` also forecasts these, in order.
Prints Markdown; each figure with its 95 % interval over customers.
"""

import sys
from datetime import date
from pathlib import Path

import churn
from churn.data.cutoffs import Cutoffs
from churn.modeling.evaluate import evaluate
from churn.modeling.judgement.judgement import judge_run
from churn.modeling.judgement.page import judgement_page
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.panel import resolve_panel

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data/online_retail_ii/online_retail_ii.parquet"
CUTOFF = date(2011, 9, 10)
HORIZON_DAYS = 90


def main() -> None:
    """Print the judgement."""
    if not DATA.exists():
        sys.exit("skipped: there is no ../shared/data/online_retail_ii beside the project")
    tables = churn.load_tables(Path(__file__).with_suffix(".toml"))
    panel = resolve_panel(tables, CUTOFF, horizon_days=HORIZON_DAYS)
    every = Cutoffs((*panel.cutoffs.dates, CUTOFF), HORIZON_DAYS, tables.end())
    dataset = churn.build_dataset(tables, every, panel.clock)
    tables.close()
    learnt, test = dataset.only(panel.cutoffs), dataset.only(every.since(CUTOFF))
    model = churn.ChurnModel(seed=7).fit(learnt)
    evaluation = evaluate(model, test, seed=7)
    forecasts = forward_forecasts(model, learnt) if "--pooled" in sys.argv else None
    judgement = judge_run(model, test, evaluation, history=learnt, forecasts=forecasts, seed=7)
    lines = judgement_page(judgement)
    print("\n".join(line for line in lines if not line.startswith("![")))


if __name__ == "__main__":
    main()
