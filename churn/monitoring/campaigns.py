"""The effect of campaigns over time, from the measurements on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def campaign_row(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The effect of one measured plan on the share retained, and its net result, from the facts
    that `churn measure` records; None where the measurement could not state them.
    """
    retained = (facts.get("effects") or {}).get("retained") or {}
    effect = retained.get("plain") or {}
    money = facts.get("money") or {}
    return {
        "campaign_id": str(facts.get("campaign_id")),
        "plan_as_of": str(facts.get("plan_as_of")),
        "closes": str(facts.get("closes")),
        "closed": bool(facts.get("closed")),
        "effect": _number(effect.get("estimate")),
        "effect_low": _number(effect.get("low")),
        "effect_high": _number(effect.get("high")),
        "net": _number(money.get("net")),
        "net_low": _number(money.get("net_low")),
        "net_high": _number(money.get("net_high")),
    }


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
