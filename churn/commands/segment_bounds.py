"""The frozen bounds and clusters of the segments: `segments.json` next to `churn.toml`.

The first run that needs bounds learns and freezes them. Only `churn segments --refit` replaces
them, with a crosswalk in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from churn.analytics.analysis import Analysis
from churn.analytics.segmentation import Segmentation, segment_rows
from churn.analytics.segments import SegmentBounds, learnt_bounds
from churn.commands.session import Session, resolve_clock
from churn.errors import ConfigError, DataError
from churn.storage.publish import publish_file


def frozen_segments(session: Session) -> Segmentation | None:
    """What is on file; None if there is no file yet. Raises DataError if it is damaged."""
    path = session.segments_file
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        rule, fix = f"{path.name} must be as churn wrote it", "Restore the file, or remove it."
        raise DataError(rule, got=type(failure).__name__, fix=fix) from None
    return Segmentation.from_json(found)


def frozen_bounds(session: Session) -> SegmentBounds | None:
    """The bounds on file; None if there are none yet."""
    found = frozen_segments(session)
    return None if found is None else found.bounds


def with_segments(session: Session, analyse: Callable[[Segmentation], Analysis]) -> Analysis:
    """The analysis by what is on file; without a file, by bounds learnt now. They are frozen once
    the analysis has succeeded, and a note says so.
    """
    frozen = frozen_segments(session)
    if frozen is not None:
        return analyse(frozen)
    clock = resolve_clock(session)
    (rows,), _ = segment_rows(session.tables, [session.as_of], clock)
    learnt = Segmentation(learnt_bounds(rows, session.as_of, clock))
    found = analyse(learnt)
    freeze(session, learnt)
    note = "nobody is eligible yet, so the bounds of the segments cannot be learnt"
    if customers := learnt.bounds.customers:
        note = (
            f"the bounds of the segments were learnt from {customers:,} customers as of "
            f"{session.as_of} and frozen in {session.segments_file.name}"
        )
    return replace(found, notes=(*found.notes, note))


def frozen_for_lists(session: Session) -> Segmentation:
    """What is on file; ConfigError if there is no file yet, because a list is to have the segments
    of the numbers that it belongs to.
    """
    frozen = frozen_segments(session)
    if frozen is None:
        rule = "customers can be listed once the segments are frozen"
        raise ConfigError(rule, fix="Run the command without --customers first.")
    return frozen


def freeze(session: Session, segments: Segmentation) -> None:
    """Writes the file and records it in the run.

    Bounds of nobody are not frozen: they would put every later customer into the lowest class.
    """
    if not segments.bounds.customers:
        return
    with publish_file(session.segments_file) as temporary:
        text = json.dumps(segments.to_json(), indent=2, allow_nan=False) + "\n"
        temporary.write_text(text, encoding="utf-8")
    session.facts["segments"] = segments.to_json()
