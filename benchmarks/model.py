"""How good the shipped recipe is, what it costs, and what was tried in its place.

    .venv/bin/python benchmarks/model.py [PART...]

Parts, all unless some are named:

recipe       what was tried, on forward folds before the test cutoff, beside what ships
test         the shipped recipe at the test cutoff of each shop, looked at once it was chosen
calibration  errors of the probabilities over many forward cutoffs, whole and by slice
total        50,000 simulated customers of a steady shop: the sum of probabilities and what came
speed        the fit beside a bare `lightgbm.train`, the lapse head beside a bare `predict`, reasons

Needs `make train` to have been run once, for its data, and, for Online Retail II, its file beside
the project as `../shared/data/online_retail_ii`. Prints Markdown.
"""

import argparse
import os
import sys

from features.markdown import table
from model.calibration import calibration
from model.judged import judged
from model.recipes import recipe_table
from model.shops import shops
from model.speed import speed
from model.steady import steady

PARTS = ("recipe", "test", "calibration", "total", "speed")


def say(text: str) -> None:
    """Progress, for people."""
    print(f"  {text}", file=sys.stderr, flush=True)


def recipe() -> str:
    """What was tried."""
    head = ["", "AUC", "to shipped, .0001", "log loss", "to shipped, .0001"]
    return "\n\n".join(
        f"{shop.name}, {shop.folds} folds\n\n{table(head, recipe_table(shop, say))}"
        for shop in shops()
    )


def test() -> str:
    """The figures to reach."""
    head = ["shop", "head", "customers", "rows", "AUC", "log loss"]
    return table(head, [row for shop in shops() for row in judged(shop)])


def calibrated() -> str:
    """Errors of probabilities."""
    head = ["shop", "rows", "cutoffs", "", "log loss", "ECE", "of a perfect model, mean and 95 %"]
    return table(head, [row for shop in shops() for row in calibration(shop)])


def total() -> str:
    """Sums of probabilities."""
    return table(["customers", "cutoff", "eligible", "sum", "lapsed", "ratio"], steady())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    asked = parser.parse_args().parts or PARTS
    if strange := set(asked) - set(PARTS):
        parser.error(f"parts must be among {', '.join(PARTS)}, got {', '.join(sorted(strange))}")
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load} at the start")
    made = {
        "recipe": recipe,
        "test": test,
        "calibration": calibrated,
        "total": lambda: table(
            ["customers", "cutoff", "eligible", "sum", "lapsed", "ratio"], steady()
        ),
        "speed": lambda: table(["", "ours", "bare", "ratio"], speed(shops()[0])),
    }
    for part in asked:
        say(part)
        print(f"\n`{part}`\n\n{made[part]()}", flush=True)


if __name__ == "__main__":
    main()
