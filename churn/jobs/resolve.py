"""What `auto` settings mean for the data at hand."""

from __future__ import annotations

from churn.errors import ConfigError, ModelError
from churn.features.clock import FeatureClock
from churn.jobs.session import Session
from churn.modeling.manifest import CHAMPION, read_manifest
from churn.modeling.panel import Panel, resolve_panel

__all__ = ["resolve_clock", "resolve_from_settings"]


def resolve_from_settings(session: Session) -> Panel:
    """The panel that the settings ask for, at the session's date."""
    settings = session.settings
    if settings.churn.mode == "contractual" and not session.tables.has("subscriptions"):
        raise ConfigError(
            '[churn] mode = "contractual" needs the table of subscriptions',
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
    """The lengths of time of the champion; without one, those that a training would resolve."""
    settings = session.settings
    try:
        champion = settings.path(settings.model.directory) / CHAMPION
        manifest = read_manifest(champion, signing_key=settings.model.signing_key)
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
