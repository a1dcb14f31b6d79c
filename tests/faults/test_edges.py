"""Values at the edge: damaged files, odd ids, no rows, one class, hostile names, leap days."""

import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import FIRST_DAY, open_shop, simulated_orders
from small_documents import EVIL, written_page
from unsubscribing import service

from churn.commands.train import train
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import DataError, GateError
from churn.features.builder import sweep_features
from churn.features.clock import FeatureClock
from churn.modeling.boosting import BoosterSettings, fit_booster
from churn.reporting.published import Published
from churn.reporting.report import report_html
from churn.storage.ledger import Ledger
from churn.storage.manifests import publish_with_manifest

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)


def features(rows, cutoff, **options):
    with_ids = sweep_features(Tables.from_frames(rows, **options), [cutoff], CLOCK).table()
    return with_ids.to_pandas().set_index("customer_id")


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_row_8_a_flipped_bit_in_a_file_with_a_manifest_is_refused_wherever_it_is(data):
    rows = pd.DataFrame({"customer_id": ["a"], "ordered_at": ["2024-01-01"], "amount": [9.5]})
    content = bytearray(rows.to_parquet(index=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "orders.parquet")
        with publish_with_manifest(path, {}) as temporary:
            temporary.write_bytes(content)
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"orders\.parquet must match") as refused:
            Tables.from_settings(
                DataSettings(orders=OrdersSource(source="orders.parquet")), folder=Path(folder)
            )
    assert refused.value.exit_code == 3


IDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)
ODD = ["007", "7", "7.0", "x" * 300, "\u00e9", "e\u0301", "\u202e1", "=1", "a,b;", 'say "hi"']


@settings(max_examples=3, deadline=None)
@given(st.lists(IDS, max_size=50))
def test_row_18_ids_come_out_byte_for_byte_and_distinct(texts):
    ids = sorted({*(f"c{text}#" for text in texts), *ODD})
    rows = pd.DataFrame({"customer_id": ids, "ordered_at": "2024-01-01", "amount": 9.5})
    assert sorted(features(rows, date(2024, 1, 10)).index) == ids


def test_row_18_leading_zeros_count_and_whole_numbers_are_ids():
    numbered = pd.DataFrame({"customer_id": [7, 8], "ordered_at": "2024-01-01", "amount": 9.5})
    assert list(features(numbered, date(2024, 1, 10)).index) == ["7", "8"]
    written = numbered.assign(customer_id=["007", "7"])
    assert list(features(written, date(2024, 1, 10)).index) == ["007", "7"]


def test_row_18_an_id_with_a_nul_is_refused():
    rows = pd.DataFrame({"customer_id": ["a\0b"], "ordered_at": "2024-01-01", "amount": [9.5]})
    with pytest.raises(DataError, match="NUL"):
        features(rows, date(2024, 1, 10))


def test_row_20_an_empty_table_is_too_little_to_train_on(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(3).head(0))
    for as_of in (None, "2023-01-01"):
        with pytest.raises(GateError, match=r"a model needs orders to learn from, got 0 usable"):
            train(config, as_of=as_of)
    assert not (tmp_path / "shop" / "models" / "champion").exists()


def test_row_21_one_class_is_refused_with_its_counts_and_nothing_is_written(tmp_path):
    """Everyone comes every week, so nobody ever lapses."""
    days = pd.date_range(str(FIRST_DAY), periods=50, freq="7D")
    orders = pd.DataFrame({"ordered_at": days, "amount": 9.5}).merge(
        pd.DataFrame({"customer_id": [f"c{number}" for number in range(40)]}), how="cross"
    )
    config = open_shop(tmp_path / "shop", orders)
    with pytest.raises(GateError, match=r"got 0 lapsed and \d+ retained\. Pass a longer history"):
        train(config)
    assert not (tmp_path / "shop" / "models").exists()
    with Ledger(tmp_path / "shop" / "ledger.db") as ledger:
        (run,) = ledger.runs()
    assert (run.status, run.facts) == ("failed", {"cause": "GateError"})


def test_row_48_a_script_as_a_name_is_text_in_the_report_which_allows_none(tmp_path):
    with Published(written_page(tmp_path / "page.duckdb")) as page:
        text = report_html(page, ids=True)
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text


def test_row_50_a_get_changes_nothing_and_a_second_post_gets_the_same_answer(tmp_path):
    with service(tmp_path, "ann") as running:
        for method in ("GET", "HEAD", "GET"):
            assert running.ask(method, "/unsubscribe/token-of-ann")[0] == 200
        assert running.withdrawn() == {}
        first, second = (running.post("token-of-ann") for _ in range(2))
        assert (first[0], first[2]) == (200, second[2])
        assert running.withdrawn() == {"ann": ("email", "one-click")}


def test_row_52_the_cutoff_decides_and_neither_a_leap_day_nor_the_clock():
    """Whole days to the first of March of a leap year, whether or not the clock was turned back."""
    cutoff, before = date(2024, 3, 1), (56, 3, 2, 1, 0)
    rows = pd.DataFrame({"customer_id": [f"c{days}" for days in before], "amount": 9.5})
    rows["ordered_at"] = [str(cutoff - timedelta(days=days)) for days in before]
    now, later = (datetime(year, 3, 2, tzinfo=UTC) for year in (2024, 2025))
    found = features(rows, cutoff, clock=now)
    pd.testing.assert_frame_equal(found, features(rows, cutoff, clock=later))
    assert dict(found["recency_days"]) == {"c56": 56, "c3": 3, "c2": 2, "c1": 1}


def test_row_53_a_seed_gives_the_same_trees_on_one_thread_and_on_two():
    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(3_000, 5)).astype(np.float32)
    target = (matrix.sum(axis=1) + rng.normal(size=3_000) > 0).astype(float)
    texts = {threads: fit_booster(matrix, target, booster(threads)) for threads in (1, 2)}
    assert texts[1] == texts[2]
    asked = booster(2).parameters()
    assert {name: asked[name] for name in ("deterministic", "force_row_wise", "seed")} == {
        "deterministic": True,
        "force_row_wise": True,
        "seed": 7,
    }


def booster(threads):
    return BoosterSettings(
        objective="binary",
        feature_names=tuple("abcde"),
        rounds=20,
        num_leaves=8,
        learning_rate=0.1,
        min_rows_in_leaf=5,
        feature_share=0.8,
        row_share=0.8,
        l2=1.0,
        seed=7,
        threads=threads,
    )
