"""The panel and horizon that a command uses, and warnings of tables changed in place."""

from __future__ import annotations

from churn.commands.session import Session
from churn.data.terms import share_renewed
from churn.errors import ConfigError, ModelError
from churn.features.clock import FeatureClock
from churn.modeling.manifest import CHAMPION, read_manifest
from churn.modeling.panel import Panel, resolve_panel

_LEAST_RENEWED = 0.05


def resolve_from_settings(session: Session) -> Panel:
    """The configured panel at the session's date."""
    settings = session.settings
    if settings.churn.mode == "contractual" and not session.tables.has("subscriptions"):
        raise ConfigError(
            '[churn] mode = "contractual" requires the table of subscriptions',
            got="no [data.subscriptions]",
            fix='Connect it, or set mode = "purchases".',
        )
    return resolve_panel(
        session.tables,
        session.as_of,
        horizon_days=settings.churn.horizon_days,
        lookback_days=settings.churn.lookback_days,
        min_tenure_days=settings.churn.min_tenure_days,
        lead_days=settings.churn.lead_days,
        every_days=settings.panel.every_days,
        count=settings.panel.cutoffs,
        mode=settings.churn.mode,
        grace_days=settings.churn.grace_days,
    )


def resolve_clock(session: Session) -> FeatureClock:
    """The horizon and lookback of the champion; without one, those that training would use."""
    settings = session.settings
    try:
        champion = settings.path(settings.model.directory) / CHAMPION
        manifest = read_manifest(champion, signing_key=session.signing_key)
    except ModelError:
        stated = settings.churn
        if stated.horizon_days == "auto" or stated.lookback_days == "auto":
            return resolve_from_settings(session).clock
        return FeatureClock(
            horizon_days=stated.horizon_days,
            lookback_days=stated.lookback_days,
            min_tenure_days=stated.min_tenure_days,
            lead_days=stated.lead_days,
            mode=stated.mode,
        )
    return FeatureClock(**manifest["clock"])


def in_place_notes(session: Session) -> tuple[str, ...]:
    """A warning if hardly any subscription follows another and there is no `loaded_at` to separate
    versions: then renewals may have changed the expiry in place, which leaks the future.
    """
    tables = session.tables
    if not tables.has("subscriptions") or "loaded_day" in tables.columns("subscriptions"):
        return ()
    share = share_renewed(tables)
    if share is None or share >= _LEAST_RENEWED:
        return ()
    return (
        f"subscriptions: only {share:.1%} of the customers have a second one. If a renewal changes "
        "expires_at in the same row, the model learns from the future: write one row per term, or "
        "keep each version with its loaded_at",
    )
