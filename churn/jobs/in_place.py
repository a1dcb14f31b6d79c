"""What a person should know of tables whose rows seem to be changed in place."""

from __future__ import annotations

from churn.data.terms import share_renewed
from churn.jobs.session import Session

__all__ = ["in_place_notes"]

_LEAST_RENEWED = 0.05


def in_place_notes(session: Session) -> tuple[str, ...]:
    """A warning where hardly any subscription follows another and no `loaded_at` tells versions
    apart: then a renewal may have moved the expiry, and the past knows of it.
    """
    tables = session.tables
    if not tables.has("subscriptions") or "loaded_day" in tables.columns("subscriptions"):
        return ()
    share = share_renewed(tables)
    if share is None or share >= _LEAST_RENEWED:
        return ()
    return (
        f"subscriptions: only {share:.1%} of the customers began a second one. If a renewal moves "
        "expires_at in its row, a model learns from what nobody could know yet: write a row for "
        "each term, or keep each version with its loaded_at",
    )
