"""What the pages on the customer base show: tables made from the published documents.

Every number is taken from a document as it is; nothing is computed here but totals of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churn.serving.dashboard.pictures import Line, Picture
from churn.serving.dashboard.tables import Column, DataTable, matrix
from churn.serving.dashboard.wording import Wording

Document = Mapping[str, Any]
SHOWN_COHORTS = 13
SHOWN_PERIODS = 13


def columns(text: str) -> list[Column]:
    """Columns written as `key:kind`, apart by spaces; text without a kind. `key:kind±` has an
    interval, from `key_low` to `key_high`.

    >>> [(one.key, one.shown) for one in columns("wave score:number±")]
    [('wave', True), ('score', True), ('score_low', False), ('score_high', False)]
    """
    found = []
    for part in text.split():
        key, _, kind = part.removesuffix("±").partition(":")
        bounds = (f"{key}_low", f"{key}_high") if part.endswith("±") else None
        found.append(Column(key, kind or "text", bounds=bounds))
        found += [Column(bound, kind, shown=False) for bound in bounds or ()]
    return found


def segment_tables(document: Document, wording: Wording) -> list[DataTable]:
    """The segments, the migration between them, clusters and personas."""
    since = document.get("resolved", {}).get("since", "")
    listed = columns(
        "segment:code customers:count share:percent active:count r_score:number f_score:number "
        "m_score:number recency_days:days purchase_days:days net_spend:money spend_share:percent"
    )
    listed[0] = Column("segment", "code", link=_segment_link)
    found = [DataTable("segments", listed, document.get("segments", []))]
    moves = document.get("migration", [])
    if moves:
        moved = matrix(
            "migration",
            moves,
            across=("from_segment", "to_segment"),
            value="customers",
            shown=wording.code,
        )
        found.append(_noted(moved, wording("segments.migration_note", since=since)))
    if document.get("clusters"):
        kinds = (
            "cluster customers:count stability:number purchase_days:days net_spend:money "
            "recency_days:days"
        )
        found.append(DataTable("clusters", columns(kinds), document["clusters"]))
    if document.get("personas"):
        kinds = "group:code customers:count persona:prose"
        found.append(DataTable("personas", columns(kinds), document["personas"]))
    return found


def _segment_link(row: Mapping[str, Any]) -> str:
    from urllib.parse import urlencode

    return f"/customers?{urlencode({'segment': row['segment']})}"


def metric_tables(document: Document) -> list[DataTable]:
    """The balance of each period, purchases, and revenue retention with its costs."""
    rows = document.get("periods", [])
    everyone = [row for row in rows if row.get("split", "all") == "all"][-SHOWN_PERIODS:]
    balance = columns(
        "period active_at_start:count kept:count lost:count new:count won_back:count "
        "active_at_end:count retention_rate_percent:percent± "
        "retention_rate_last_year_percent:percent"
    )
    purchases = columns(
        "period buyers:count orders:count purchase_frequency:number average_order_value:cents "
        "gross_revenue:money refunds:money net_revenue:money repeat_purchase_rate_percent:percent"
    )
    found = [DataTable("periods", balance, everyone), DataTable("purchases", purchases, everyone)]
    if everyone and document.get("resolved", {}).get("by"):
        newest = everyone[-1]["period"]
        cells = [r for r in rows if r.get("split") != "all" and r["period"] == newest]
        found.append(DataTable("splits", columns("split:code value:code") + balance[1:], cells))
    if document.get("value"):
        kinds = "customers:count horizon_days:days realised_value:cents expected_value:cents±"
        found.append(DataTable("lifetime_value", columns(kinds), document["value"]))
    return found


def cohort_tables(document: Document, wording: Wording) -> list[DataTable]:
    """The triangles of customers and of margin, with the date on which open cells close."""
    rows = document.get("cohorts", [])
    names = list(dict.fromkeys(row["cohort"] for row in rows))[-SHOWN_COHORTS:]
    kept = [row for row in rows if row["cohort"] in names]
    shares = _triangle("cohort_customers", kept, "customers_percent", "percent", wording)
    margins = _triangle("cohort_margin", kept, "cumulative_margin_per_customer", "cents", wording)
    found = [shares, margins]
    if document.get("frequency"):
        kinds, counts = "repeat_purchase_days:whole customers:count", document["frequency"]
        most = {**counts[-1], "mark": wording("cohorts.or_more")}
        found.append(DataTable("repeat_frequency", columns(kinds), [*counts[:-1], most]))
    return found


def _triangle(
    name: str, rows: Sequence[Mapping[str, Any]], value: str, kind: str, wording: Wording
) -> DataTable:
    """One row per cohort, one column per age; a cell that is still open is empty."""
    ages = sorted({row["age"] for row in rows})[:SHOWN_COHORTS]
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        start = {"cohort": row["cohort"], "customers": row["cohort_size"], "closes_on": None}
        line = lines.setdefault(row["cohort"], start)
        if row["is_truncated"]:
            line["mark"] = wording("cohorts.truncated")
        if not row["is_open"]:
            line[f"age_{row['age']}"] = row[value]
            line[f"customers_{row['age']}"] = row["customers"]
        elif line["closes_on"] is None:
            line["closes_on"] = row["closes_on"]
    cells = [line.get(f"age_{age}") for line in lines.values() for age in ages if age]
    known = [float(cell) for cell in cells if cell is not None]
    heads = [Column("cohort"), Column("customers", "count")]
    heads += [
        Column(f"age_{age}", kind, label=str(age), shaded=age > 0, counted_by=f"customers_{age}")
        for age in ages
    ]
    if any(line["closes_on"] for line in lines.values()):
        heads.append(Column("closes_on", "date"))
    ranges = {"all": (min(known), max(known))} if known else {}
    return DataTable(name, heads, list(lines.values()), ranges=ranges)


def survival_pictures(document: Document, wording: Wording) -> list[Picture]:
    """Kaplan-Meier curves: not yet a second purchase, not yet lapsed."""
    found = []
    for name in ("second_purchase", "lapse"):
        rows = document.get(name) or []
        if len(rows) < 2:
            continue
        middle = [(0.0, 1.0)]
        for row in rows:
            middle += [(row["days"], middle[-1][1]), (row["days"], row["survival"])]
        last = int(rows[-1]["days"])
        marks = tuple((float(day), str(day)) for day in range(0, last + 1, _step(last)))
        shares = tuple((share / 4, f"{25 * share} %") for share in range(5))
        lines = (Line(_thinned(middle)),)
        found.append(
            Picture(
                name,
                wording(f"cohorts.{name}"),
                lines,
                x_label=wording("cohorts.days_since"),
                x_ticks=marks,
                y_ticks=shares,
            )
        )
    return found


def _step(last: int) -> int:
    return next(step for step in (7, 14, 30, 60, 90, 180, 365, 730, 10**6) if last / step <= 8)


def _thinned(points: list[tuple[float, float]], most: int = 160) -> list[tuple[float, float]]:
    every = -(-len(points) // most)
    return points if every == 1 else [*points[::every], points[-1]]


def journey_tables(document: Document, wording: Wording) -> list[DataTable]:
    """The ladder of stages, the matrix of transitions, leaks and frictions."""
    ladder = columns(
        "stage:code at_start:count stayed:count out:count into:count at_end:count most_go_to:code "
        "median_days:days"
    )
    stages = [
        row if row["connected"] else {**row, "most_go_to": wording("journey.not_connected")}
        for row in document.get("stages", [])
    ]
    found = [DataTable("stages", ladder, stages)]
    if document.get("transitions"):
        across = ("from_stage", "to_stage")
        found.append(
            matrix(
                "transitions",
                document["transitions"],
                across=across,
                value="customers",
                shown=wording.code,
            )
        )
    leaks = columns(
        "from_stage:code to_stage:code customers:count share:percent net_spend_year_before:money"
    )
    if document.get("leaks"):
        found.append(DataTable("leaks", leaks, document["leaks"]))
    frictions = columns(
        "friction:code exposed:count lapses:count observed:count expected:number ratio:number±"
    )
    note = wording("journey.friction_note")
    found.append(DataTable("frictions", frictions, document.get("frictions", []), note=note))
    return found


def signal_tables(document: Document) -> list[DataTable]:
    """Every look, signals first, and the parts of the change."""
    looks = sorted(
        document.get("looks", []),
        key=lambda row: (not row["signal"], row["split"] != "everyone", row["p_value"] or 1.0),
    )
    kinds = (
        "split:code value:code signal:yes percent_before:percent percent:percent change:points "
        "half_width:number customers_before:count customers:count"
    )
    found = [DataTable("looks", columns(kinds), looks)]
    if document.get("parts"):
        found.append(
            DataTable(
                "parts",
                columns("split:code change:points mix:points rate:points"),
                document["parts"],
            )
        )
    return found


def feedback_tables(document: Document) -> list[DataTable]:
    """Scores per wave with their intervals, lapse rates, and the worklist."""
    scores = columns(
        "source:code wave measure score:number± responded:count asked:count response_rate:percent"
    )
    lapses = columns("group:code customers:count lapsed:count lapse_rate:percent±")
    todo = columns(
        "customer_id:customer value:cents source:code scale score:number wave responded_on:date"
    )
    return [
        DataTable("worklist", todo, document.get("worklist", []), personal=True),
        DataTable("scores", scores, document.get("scores", [])),
        DataTable("lapses", lapses, document.get("lapses", [])),
    ]


def _noted(table: DataTable, note: str) -> DataTable:
    from dataclasses import replace

    return replace(table, note=note)
