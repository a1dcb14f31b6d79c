"""Customers out of hashed audiences: their addresses are hashed again, for no id stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from churn.errors import DataError
from churn.retention.delivery.audiences import AUDIENCES

__all__ = ["AddressesUnknownError", "AudienceRows"]


class AddressesUnknownError(DataError):
    """An audience cannot be looked through, for the shop no longer knows where to reach them."""


Addresses = list[tuple[str | None, str | None]]


@dataclass(frozen=True)
class AudienceRows:
    """The e-mail and phone of each erased customer, as far as the shop's list still knows them.

    Where it does not, `addresses` is None and no audience can be looked through.
    """

    addresses: Addresses | None = field(repr=False)
    phone_region: str | None

    def matches(
        self, names: list[str], audience: object
    ) -> tuple[list[str], Callable[[pa.Table], list[bool]]] | None:
        """The hashed columns of an audience, and whether each row is of an erased customer; None
        where the file is no audience. AddressesUnknownError where there is nothing to hash.

        A row that shares one of the two with an erased customer counts as theirs.
        """
        kind = AUDIENCES.get(str(audience))
        if kind is None or [kind.email_column, kind.phone_column] != names:
            return None
        if self.addresses is None:
            rule = "to look through an audience the addresses of the erased must be known"
            fix = "Export it anew, or connect [data.customers] with their rows."
            raise AddressesUnknownError(rule, fix=fix)
        emails = {kind.hashed_email(email) for email, _ in self.addresses} - {None}
        region = self.phone_region
        phones = {kind.hashed_phone(phone, region=region) for _, phone in self.addresses} - {None}

        def theirs(rows: pa.Table) -> list[bool]:
            pairs = zip(*(rows[name].to_pylist() for name in names), strict=True)
            return [email in emails or phone in phones for email, phone in pairs]

        return names, theirs
