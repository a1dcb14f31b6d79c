"""How often `churn measure` finds an effect where nothing was done, on real customers.

python benchmarks/measure_nothing.py CONFIG SCORES AS_OF

SCORES are of a date a horizon and more before AS_OF. Their eligible customers are divided by lot,
2,000 times, a tenth kept; no campaign took place, so every effect that is called clear is false.
"""

import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from churn.campaigns.measurement.analysis import OUTCOMES, Analysis, analyse
from churn.campaigns.measurement.rows import Measured, measured_rows
from churn.commands.session import open_session, silent
from churn.offers.arms import hash_position

DRAWS, SHARE, HORIZON_DAYS = 2_000, 0.1, 28


def nothing_done(config: Path, scores: Path, as_of: str) -> Measured:
    """What came of a plan that gave nobody anything."""
    known = pd.read_parquet(scores).query("status == 'eligible'")
    planned = known[["customer_id", "as_of"]].assign(
        campaign_id="nothing", offer_id="none", arm="treatment", propensity=0.9, expected_cost=0.0
    )
    with open_session("measure", config, as_of=as_of, progress=silent) as session:
        settings = session.settings
        return measured_rows(
            planned,
            session.snapshot,
            session.offers,
            horizon_days=HORIZON_DAYS,
            margin_rate=settings.value.margin_rate,
            probability=dict(zip(known["customer_id"], known["churn_probability"], strict=True)),
        )


def drawn(measured: Measured, number: int) -> Analysis:
    """The reading of one draw."""
    kept = hash_position(measured.frame["customer_id"], salt=f"draw {number}") < SHARE
    return analyse(replace(measured, frame=measured.frame.assign(kept=kept)), {"holdout": SHARE})


def main() -> None:
    """Prints, by outcome: false effects without and with CUPED, and how much narrower it is."""
    config, scores, as_of = sys.argv[1:]
    measured = nothing_done(Path(config), Path(scores), as_of)
    readings = [drawn(measured, number) for number in range(DRAWS)]
    read_ones = [reading for reading in readings if reading.effects]
    print(f"{len(measured.frame):,} customers; the guard refused {DRAWS - len(read_ones)} draws")
    for name in OUTCOMES:
        effects = [reading.effects[name] for reading in read_ones]
        plain = sum(effect.plain.is_clear() for effect in effects) / len(effects)
        adjusted = sum(effect.best.is_clear() for effect in effects) / len(effects)
        width = sum(e.best.error / e.plain.error for e in effects) / len(effects)
        print(f"{name}: false {plain:.3f}, with CUPED {adjusted:.3f}; width x {width:.3f}")


if __name__ == "__main__":
    main()
