"""The shop's clock: busy seasons, weekdays and hours, as one time transformation.

A Poisson process of rate λ s(t) is one of constant rate λ in the time S(t) = ∫ s(u) du. All
purchases are therefore drawn in this shop time and mapped back to the calendar.
"""

from __future__ import annotations

import numpy as np

from churn.arrays import Floats
from churn.data.days import day_number
from churn.simulator.settings import ShopSettings

YEARLY_SWING = 0.25
BUSIEST_DAY_OF_YEAR = 350
MONDAY_TO_SUNDAY = (0.85, 0.85, 0.9, 1.0, 1.2, 1.35, 0.85)
BY_HOUR = (*(0.1,) * 7, 0.4, 0.8, *(1.4,) * 3, *(1.2,) * 4, *(2.0,) * 4, *(1.6,) * 2, *(0.6,) * 2)


class Seasons:
    """Shop time and calendar time, both in days since the start, including the days ahead."""

    def __init__(self, shop: ShopSettings) -> None:
        day = np.arange(shop.all_days)
        number = day_number(shop.start) + day
        yearly = np.cos(2 * np.pi * (number % 365.25 - BUSIEST_DAY_OF_YEAR) / 365.25)
        week = np.array(MONDAY_TO_SUNDAY) / np.mean(MONDAY_TO_SUNDAY)
        daily = (1 + YEARLY_SWING * yearly) * week[(number + 3) % 7]  # 1970-01-01 was a Thursday
        hourly = np.array(BY_HOUR) / np.sum(BY_HOUR)
        busy = (daily[:, None] * hourly).ravel()
        self._shop = np.concatenate([[0.0], np.cumsum(busy)])
        self._calendar = np.linspace(0.0, shop.all_days, busy.size + 1)

    @property
    def days(self) -> float:
        """The total length in calendar days."""
        return float(self._calendar[-1])

    @property
    def span(self) -> float:
        """The total length in shop time."""
        return float(self._shop[-1])

    def shop_time(self, calendar: Floats) -> Floats:
        """S(t) of calendar days."""
        return np.asarray(np.interp(calendar, self._calendar, self._shop))

    def calendar(self, shop_time: Floats) -> Floats:
        """The calendar days of shop time, in whole seconds inside the simulated days."""
        days = np.interp(shop_time, self._shop, self._calendar)
        return whole_seconds(np.minimum(days, self.days - 1 / 86_400))


def whole_seconds(days: Floats) -> Floats:
    """The same times at the nearest second."""
    return np.asarray(np.rint(days * 86_400) / 86_400)
