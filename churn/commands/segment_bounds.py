"""The frozen bounds and clusters of the segments: `segments.json` next to `churn.toml`.

The first run that needs bounds learns and freezes them. Only `churn segments --refit` replaces
them, with a crosswalk in the ledger.
"""

from __future__ import annotations

import json

from churn.analytics.segmentation import Segmentation
from churn.analytics.segments import SegmentBounds
from churn.commands.session import Session
from churn.errors import DataError
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
