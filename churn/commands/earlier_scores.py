"""Files that `churn score` reads: earlier scores to compare with, and customers to explain."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from churn.commands.layouts import SCORES
from churn.errors import ChurnError, ConfigError, DataError
from churn.results.output import read_result
from churn.results.spreadsheets import unguarded
from churn.scoring.changes import EarlierScores
from churn.scoring.score import Explained
from churn.storage.manifests import sidecar_of
from churn.storage.postgres.address import Place
from churn.storage.postgres.target import has_run

NEEDED = {
    *("customer_id", "as_of", "horizon_days", "status"),
    *("churn_probability", "at_risk", "model_id"),
}
WORDS: dict[str, Explained] = {"at-risk": "at_risk", "all": "all", "none": "none"}


def earlier_scores(
    out: Place, since: Place | None, *, as_of: date
) -> tuple[EarlierScores | None, tuple[str, ...]]:
    """The scores of an earlier date in `since`, otherwise in `out`, and warnings.

    If `out` contains scores of this date, the scores that those were compared with are used, so
    that a run can be repeated. Scores that cannot be compared are an error only in `since`.
    """
    if since is not None:
        return _earlier(since, as_of), ()
    if not (out.is_file() if isinstance(out, Path) else has_run(out)):
        return None, ()
    if isinstance(out, Path) and out.suffix != ".parquet":
        return None, (
            f"{out.name} has no column types to compare with: pass a .parquet with --since",
        )
    try:
        return _earlier(out, as_of), ()
    except ChurnError as failure:
        return None, (f"not compared with {_name(out)}: {failure}",)


def whom_to_explain(words: str) -> Explained:
    """`at-risk`, `all`, `none`, or the customers in a file: a .parquet or .csv with a column
    customer_id, or any other file with one customer per line.
    """
    if words in WORDS:
        return WORDS[words]
    path = Path(words)
    if not path.is_file():
        rule = f"--explain must be one of {', '.join(WORDS)} or a file of customers"
        raise ConfigError(rule, got=path.name, fix="Pass e.g. --explain at-risk.")
    try:
        return customers_in(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        rule = f"{path.name} must be a readable file of customers"
        raise DataError(rule, fix="Write one customer per line, or a column customer_id.") from None


def _name(place: Place) -> str:
    return place.name if isinstance(place, Path) else str(place)


def _earlier(place: Place, as_of: date) -> EarlierScores | None:
    scores, facts = read_result(place, SCORES)
    missing = NEEDED - set(scores.schema.names)
    if missing:
        rule = f"{_name(place)} must contain scores of `churn score`"
        raise DataError(rule, got=f"no column {sorted(missing)}", fix="Pass another file.")
    earlier = EarlierScores.of(scores, facts)
    if earlier is None or earlier.as_of < as_of:
        return earlier
    if earlier.as_of == as_of:
        return EarlierScores.behind(scores, facts or {})
    rule = f"scores to compare with must have a date before {as_of}"
    raise ConfigError(rule, got=earlier.as_of, fix="Pass earlier scores.")


def customers_in(path: Path) -> set[str]:
    """The customers in a file: the column customer_id of a .parquet or .csv, else one per line."""
    if path.suffix not in (".parquet", ".csv"):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return {line for line in lines if line}
    table = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    if "customer_id" not in table.schema.names:
        rule = f"{path.name} must have a column customer_id"
        raise DataError(rule, fix="Rename the column, or write one customer per line in a .txt.")
    return {str(name) for name in table.column("customer_id").to_pylist() if name is not None}


def _parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _csv(path: Path) -> pa.Table:
    texts = pa_csv.ConvertOptions(column_types={"customer_id": pa.string()})
    lines = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(path, parse_options=lines, convert_options=texts)
    if "customer_id" not in table.schema.names or not sidecar_of(path).exists():
        return table
    return table.select(["customer_id"]).set_column(
        0, "customer_id", unguarded(table["customer_id"])
    )
