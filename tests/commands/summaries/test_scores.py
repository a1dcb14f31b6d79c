"""The tables of scores add up to the scores."""

import pyarrow as pa

from churn.commands.summaries.scores import change_counts, changes_table

SCHEMA = pa.schema(
    [
        ("change", pa.string()),
        ("since", pa.string()),
        ("churn_probability", pa.float64()),
        ("probability_before", pa.float64()),
    ]
)


def scores(*rows):
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def test_changes_are_counted_in_order_with_their_mean_change():
    table = scores(
        ("unchanged", "2024-01-01", 0.2, 0.1),
        ("newly_at_risk", "2024-01-01", 0.9, 0.5),
        ("newly_at_risk", "2024-01-01", 0.7, 0.5),
        ("new", "2024-01-01", 0.3, None),
    )
    counts = change_counts(table)
    assert {name: count for name, count in counts.items() if count} == {
        "newly_at_risk": 2,
        "unchanged": 1,
        "new": 1,
    }
    ((title, _, rows),) = changes_table(table)
    assert title == "What changed since 2024-01-01"
    assert [row[:3] for row in rows] == [
        ("newly at risk", "2", "+0.300"),
        ("unchanged", "1", "+0.100"),
        ("new", "1", ""),
    ]


def test_scores_without_a_comparison_show_no_changes():
    table = scores((None, None, 0.2, None))
    assert change_counts(table) == {}
    assert changes_table(table) == ()
    assert change_counts(scores()) == {}
