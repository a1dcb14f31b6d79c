"""Signals as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from churn.analytics.changes import (
    EVERYONE,
    LEAST_EVENTS,
    MOST_SIGNALS,
    Changes,
    Look,
    Population,
)
from churn.analytics.decomposition import kitagawa
from churn.analytics.definitions import Definition, defined
from churn.analytics.periods import Period
from churn.analytics.proportions import Z_95
from churn.results.job_result import Table

DEFINITIONS = defined(
    [
        Definition("kept", "%", "active at the start and at the end, of those active at the start"),
        Definition("change", "points", "kept in this period minus kept a year before"),
        Definition(
            "signal",
            "",
            "a change that is significant over all looks at a false discovery rate of 5 %, and "
            "differs from that of everyone else; at most ten, and at least 0.1 % of the customers",
            "Benjamini and Yekutieli 2001",
        ),
        Definition("mix", "points", "the part of the change due to who was there", "Kitagawa 1955"),
        Definition("rate", "points", "the part due to what the groups did", "Kitagawa 1955"),
        Definition("purchases", "", "split: purchase days in the active days before the start"),
        Definition("spend", "", "split: fifths of the spend in the active days before the start"),
        Definition("channel", "", "split: channel of the last order in the active days before"),
        Definition(
            "category", "", "split: category of most spend in the active days before the start"
        ),
        Definition(
            "campaign",
            "",
            "split: campaign of the last contact, event or redemption that names one, in the "
            "active days before the start; none for holdouts and controls",
        ),
        Definition(
            "segment",
            "",
            "split: segment at the start, by the frozen bounds and the orders of as many days "
            "before it as the data has before the start of last year's period",
        ),
        Definition("region", "", "split: region in the customer list"),
        Definition("acquisition_source", "", "split: acquisition source in the customer list"),
    ]
)
NUMBERS = ("percent_before", "percent", "change", "half_width", "p_value")
LOOKS = pa.schema(
    [
        ("split", pa.string()),
        ("value", pa.string()),
        ("signal", pa.bool_()),
        *((name, pa.int64()) for name in ("customers_before", "kept_before", "customers", "kept")),
        *((name, pa.float64()) for name in NUMBERS),
    ]
)
PARTS = pa.schema(
    [("split", pa.string()), *((name, pa.float64()) for name in ("change", "mix", "rate"))]
)


def look_rows(changes: Changes, looks: tuple[Look, ...]) -> list[dict[str, Any]]:
    """One row per look; rates in percent, changes in points."""
    signals = {(one.split, one.value) for one in changes.signals}
    return [
        {
            "split": one.split,
            "value": one.value,
            "signal": (one.split, one.value) in signals,
            "customers_before": one.before_total,
            "kept_before": one.before_events,
            "customers": one.now_total,
            "kept": one.now_events,
            "percent_before": _percent(one.before),
            "percent": _percent(one.now),
            "change": _percent(one.change),
            "half_width": _percent(one.half_width),
            "p_value": one.p_value,
        }
        for one in looks
    ]


def part_rows(
    before: Population, now: Population, values: Mapping[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    """Mix and rate of the change by split, in points; customers without a value are a group."""
    rows = []
    for split, names in values.items():
        counts = []
        for one in (before, now):
            codes = np.where(one.groups[split] < 0, len(names), one.groups[split])
            counts += [
                np.bincount(codes, minlength=len(names) + 1).astype(np.float64),
                np.bincount(codes[one.event], minlength=len(names) + 1).astype(np.float64),
            ]
        if not counts[0].sum() or not counts[2].sum():
            continue
        found = kitagawa(*counts)
        rows.append(
            {
                "split": split,
                "change": 100 * found.change,
                "mix": float(100 * found.mix.sum()),
                "rate": float(100 * found.rate.sum()),
            }
        )
    return rows


def displays(
    changes: Changes, parts: list[dict[str, Any]], now: Period, before: Period
) -> tuple[Table, ...]:
    """The signals, or the largest changes if there are none, and the parts of the change."""
    shown = []
    header = ("group", before.label, now.label, "change", "customers")
    if changes.signals:
        lines = tuple(map(_line, changes.signals))
        shown.append(Table("Signals", header, lines))
    listed = sorted(changes.tested, key=lambda one: (one.split != EVERYONE, one.p_value or 0.0))
    title = "Share kept: everyone, and the clearest changes of groups"
    shown.append(Table(title, header, tuple(map(_line, listed[:6]))))
    if parts:
        rows = tuple(
            (one["split"], *(f"{one[name]:+.2f}" for name in ("mix", "rate", "change")))
            for one in parts
        )
        shown.append(Table("Parts of the change, points", ("split", "mix", "rate", "change"), rows))
    return tuple(shown)


def _line(look: Look) -> tuple[str, ...]:
    return (
        name_of(look),
        f"{100 * look.before:.1f} %",
        f"{100 * look.now:.1f} %",
        f"{100 * look.change:+.1f} ± {100 * look.half_width:.1f}",
        f"{look.now_total:,}",
    )


def name_of(look: Look) -> str:
    """The group as text, such as `region north`."""
    return EVERYONE if look.split == EVERYONE else f"{look.split} {look.value}"


def notes_of(changes: Changes, now: Period, before: Period) -> tuple[str, ...]:
    """The level, what moved or that nothing did, and a holiday that moved."""
    total = changes.total
    if total.p_value is None:
        least = min(_fewest(total.before_total, total.before), _fewest(total.now_total, total.now))
        return (f"Too few to say: {least:,} of {LEAST_EVENTS} needed.",)
    said = [level(total, before.label)]
    said += [moved(one, total) for one in changes.signals]
    if not changes.signals:
        said.append(nothing_moved(changes))
    if len(changes.signals) == MOST_SIGNALS:
        said.append(f"at most {MOST_SIGNALS} signals are shown")
    untested = len(changes.looks) - len(changes.tested)
    if untested:
        said.append(f"{untested:,} groups are too small to say: {LEAST_EVENTS} expected are needed")
    return (*said, *_holiday(now, before))


def level(total: Look, label: str) -> str:
    """How many were kept, and whether that is as a year before."""
    direction = "as" if abs(total.change) <= total.half_width else "up from"
    if direction != "as" and total.change < 0:
        direction = "down from"
    half = Z_95 * np.sqrt(total.now * (1 - total.now) / total.now_total)
    kept = f"{100 * total.now:.1f} % kept (± {100 * half:.1f})"
    return f"{kept}, {direction} {label}, {100 * total.before:.1f} %"


def moved(look: Look, total: Look) -> str:
    """A signal as a sentence."""
    part = 100 * look.change * look.now_total / max(total.now_total, 1)
    of_total = f"; {part:+.1f} of the {100 * total.change:+.1f} points of the total"
    return (
        f"{name_of(look)}: {100 * look.before:.1f} → {100 * look.now:.1f} % kept "
        f"(± {100 * look.half_width:.1f} points), {look.now_total:,} customers"
        + ("" if look.split == EVERYONE else of_total)
    )


def nothing_moved(changes: Changes) -> str:
    """Silence as an answer."""
    one = changes.largest
    return (
        f"Nothing moved beyond chance. {len(changes.looks):,} numbers were looked at; the largest "
        f"change: {name_of(one)}, {100 * one.before:.1f} → {100 * one.now:.1f} % kept "
        f"(± {100 * one.half_width:.1f} points)"
    )


def _fewest(total: int, rate: float) -> int:
    return int(total * min(rate, 1 - rate)) if total else 0


def _holiday(now: Period, before: Period) -> tuple[str, ...]:
    """A note if Easter is in one of the periods only."""
    for one, other, place in ((now, before, "this period"), (before, now, "last year's period")):
        if _easters(one) and not _easters(other):
            return (f"Easter is in {place} only: the two periods are not alike",)
    return ()


def _easters(period: Period) -> list[date]:
    years = {period.start.year, period.end.year}
    return [day for day in map(easter, years) if period.start <= day < period.end]


def easter(year: int) -> date:
    """Easter Sunday (Meeus 1991, Astronomical Algorithms, chapter 8).

    >>> easter(2024)
    datetime.date(2024, 3, 31)
    """
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _percent(share: float) -> float | None:
    return float(100 * share) if np.isfinite(share) else None
