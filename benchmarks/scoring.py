"""What `churn score` costs beside building features and bare predictions of the eligible customers.

    .venv/bin/python benchmarks/scoring.py [--copies N] [--rounds N] [--keep DIR]

Online Retail II (UCI, CC BY 4.0; `../shared/data`, no part of the project; without it, this says so
and ends) is repeated until there are enough customers, each copy of a customer up to two weeks
earlier and with amounts between .7 and 1.3 of the original. The model is trained on the first copy.
Whole processes, taken in turn: reading, writing and imports are in all of them. `churn features`
writes the eligible customers, `churn score` scores the lapsed ones, too. Prints Markdown.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
from features.markdown import table
from features.measure import Run, interleaved, own_program

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared/data/online_retail_ii/online_retail_ii.parquet"
HORIZON_DAYS = 90
REPEATED = """
COPY (
    WITH orders AS (
        SELECT CustomerID AS customer, InvoiceNo AS invoice, min(InvoiceDate) AS moment,
            sum(Quantity * UnitPrice) AS amount
        FROM '{data}' WHERE CustomerID IS NOT NULL
        GROUP BY ALL HAVING sum(Quantity * UnitPrice) > 0
    )
    SELECT customer || '-' || copy AS customer_id, invoice || '-' || copy AS order_id,
        moment - to_days((hash(customer || copy) % 15)::INT) AS ordered_at,
        round(amount * (.7 + .6 * (hash(copy || customer) % 1000) / 1000), 2) AS amount
    FROM orders, range({copies}) AS copies(copy)
) TO '{file}' (COMPRESSION zstd)
"""
CONFIG = """
[data]
currency = "GBP"
[data.orders]
source = "{file}"
[churn]
horizon_days = {horizon_days}
"""
HEADS = ("", "seconds", "CPU s", "peak MiB", "of features + predictions")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--copies", type=int, default=165, help="of 5,878 customers; 165: 970,000")
    parser.add_argument("--rounds", type=int, default=3, help="runs that a median is of")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep shop and model, use kept")
    asked = parser.parse_args()
    if not DATA.exists():
        sys.exit("skipped: there is no ../shared/data/online_retail_ii beside the project")
    with tempfile.TemporaryDirectory() as temporary:
        work = (asked.keep or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        print(measured_scoring(work, asked.copies, asked.rounds))


def measured_scoring(work: Path, copies: int, rounds: int) -> str:
    """The table of one run."""
    model, shop = trained(work), repeated(work, copies)
    features, scores = work / "features.parquet", work / "scores.parquet"
    score = churn("score", shop, "--model", str(model), "--out", str(scores))
    runs = interleaved(
        {
            "churn features": churn("features", shop, "--out", str(features)),
            "bare predictions": own_program("bare_predict.py", model, features),
            "churn score": score,
            "churn score --explain none": [*score, "--explain", "none"],
        },
        rounds,
    )
    floor = runs["churn features"].cpu_seconds + runs["bare predictions"].cpu_seconds
    facts = runs["bare predictions"].facts
    scored = runs["churn score"].facts["rows"]["scores"]
    told = f"{scored:,} customers, {facts['rows']:,} of them eligible\n\n"
    return told + table(HEADS, [row(name, run, floor) for name, run in runs.items()])


def trained(work: Path) -> Path:
    """A champion of the first copy."""
    models = work / "models"
    if not (models / "champion").exists():
        subprocess.run(churn("train", repeated(work, 1), "--models", str(models)), check=True)
    return models / "champion"


def repeated(work: Path, copies: int) -> Path:
    """The configuration of a shop of that many copies."""
    file, config = work / f"orders_{copies}.parquet", work / f"churn_{copies}.toml"
    if not file.exists():
        duckdb.execute(REPEATED.format(data=DATA, copies=copies, file=file))
    config.write_text(CONFIG.format(file=file, horizon_days=HORIZON_DAYS), encoding="utf-8")
    return config


def churn(name: str, config: Path, *options: str) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "churn", name, "--config", str(config), "--json", *options]


def row(name: str, run: Run, floor: float) -> tuple[str, ...]:
    """A line of the table."""
    times = f"{run.seconds:.1f}", f"{run.cpu_seconds:.1f}", f"{run.peak_mib:,.0f}"
    return name, *times, f"{run.cpu_seconds / floor:.2f}"


if __name__ == "__main__":
    main()
