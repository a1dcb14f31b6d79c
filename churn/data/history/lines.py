"""The order lines that customers bought, before a cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from churn.arrays import Bools, Floats
from churn.data.history.columns import NO_TEXT, Column
from churn.data.history.segments import Pairs, Segments

LEAST_MEASURE = 1_000.0


class Lines(Segments):
    """One row per order line with an amount above zero, oldest first.

    Columns: `local_day` and `age_days` as in `Days`, `amount`; if lines have them `quantity` (NaN
    for unknown) and `discount`. `products` and `categories` are the pairs of a customer and what
    they bought; lines without a product are in no pair, lines without a category in one of their
    own.
    """

    def __init__(self, columns: Mapping[str, Column], customers: int, cutoff: int) -> None:
        super().__init__(columns["customer"], customers)
        self._columns = columns
        self.local_day = columns["local_day"]
        self.age_days = cutoff - columns["local_day"]
        self.amount = columns["amount"]

    @property
    def quantity(self) -> Floats:
        """Units bought, or a measure such as grams; NaN if unknown."""
        return self._columns["quantity"]

    @property
    def category(self) -> Column:
        """The code of each line's category; `NO_TEXT` without one."""
        return self._columns["category"]

    @cached_property
    def counted(self) -> Bools:
        """Whether a line has a quantity above zero."""
        return np.asarray(self.quantity > 0)

    @cached_property
    def units(self) -> Floats:
        """The quantity, or one if it is a measure (grams, milligallons) rather than a count; one
        where it is not above zero.
        """
        return np.where(self.counted & (self.quantity < LEAST_MEASURE), self.quantity, 1.0)

    @cached_property
    def discount(self) -> Floats:
        """The discount where it is above zero, else 0."""
        given = self._columns["discount"]
        return np.where(given > 0, given, 0.0)

    @cached_property
    def has_product(self) -> Bools:
        """Whether a line names its product."""
        return np.asarray(self._columns["product_id"] != NO_TEXT)

    @cached_property
    def products(self) -> Pairs:
        """The products that each customer bought."""
        return Pairs(self, self._columns["product_id"], self.has_product)

    @cached_property
    def categories(self) -> Pairs:
        """The categories that each customer bought from."""
        return Pairs(self, self._columns["category"])

    def within(self, days: float) -> Bools:
        """Whether a line is of the last `days` days before the cutoff."""
        return self.age_days <= days
