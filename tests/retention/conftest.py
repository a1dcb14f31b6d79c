"""An offer to change, and what is shared with the tests of other rooms."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from churn.retention.offers import Offer

sys.path.append(str(Path(__file__).parents[1] / "shop"))


@pytest.fixture(scope="session")
def make_offer() -> Callable[..., Offer]:
    """An offer for the eligible by e-mail that costs 1 and adds 3 points, but for what is given."""

    def make(offer_id: str = "coupon", **changes: Any) -> Offer:
        terms: dict[str, Any] = {
            "name": "5 % off",
            "kind": "discount",
            "channel": "email",
            "margin_cost": 9.0,
            "contact_cost": 0.1,
            "redemption_rate": 0.1,
            "effect": 0.03,
            "effect_low": 0.01,
            "effect_high": 0.05,
            "cooldown_days": 28,
            "expires_after_days": 14,
        }
        return Offer(offer_id=offer_id, **(terms | changes))

    return make
