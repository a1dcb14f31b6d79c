"""The list of customers as a query: filters, search, sort and place, all from the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

import numpy as np

from churn.arrays import Bools
from churn.serving.dashboard.customer_columns import (
    NUMBERS,
    CustomerColumns,
    columns_of,
)
from churn.serving.dashboard.reader import Edition
from churn.serving.dashboard.typed_amounts import amount_of, amount_text

PAGE_ROWS = 50
MAX_TEXT = 200
CHOICES = {
    "status": "status",
    "segment": "segment",
    "risk": "risk_band",
    "reason": "reason_1_code",
    "offer": "offer_id",
    "outcome": "outcome_reason",
    "outcome_is": "offer_outcome",
    "channel": "channel",
}
"""Filters by a value: the parameter of the address and the column."""

SORTS = {
    "position": "position",
    "customer": "customer_id",
    "status": "status",
    "segment": "segment",
    "recency": "recency_days",
    "orders": "frequency",
    "spend": "monetary",
    "risk": "churn_probability",
    "stake": "value_at_risk",
    "offer": "offer_id",
    "net": "expected_net",
}
LISTED = (
    *("customer_id", "status", "segment", "recency_days", "frequency", "monetary"),
    *("churn_probability", "risk_band", "value_at_risk", "reason_1", "offer_id"),
    "outcome_reason",
)
"""The columns of the list."""
EXPORTED = (
    *("customer_id", "status", "segment", "recency_days", "frequency", "monetary"),
    *("churn_probability", "risk_band", "value_at_risk", "at_risk", "reason_1", "reason_2"),
    *("reason_3", "offer_id", "offer_outcome", "outcome_reason", "channel", "expected_net"),
    "propensity",
)


@dataclass(frozen=True)
class CustomerQuery:
    """Which customers, in which order, and which page of them (from 1)."""

    chosen: Mapping[str, str] = field(default_factory=dict)
    search: str = ""
    at_risk: bool = False
    least: float | None = None
    most: float | None = None
    sort: str = "position"
    descending: bool = False
    page: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> CustomerQuery:
        """The query of an address. A sort or a page that is not understood is left out; ConfigError
        for a bound, without which there would be more customers than were asked for.
        """
        chosen = {name: parameters[name][:MAX_TEXT] for name in CHOICES if parameters.get(name, "")}
        sort = parameters.get("sort", "position")
        return cls(
            chosen=chosen,
            search=parameters.get("q", "").strip()[:MAX_TEXT],
            at_risk=parameters.get("at_risk") == "1",
            least=_bound(parameters.get("least", "")),
            most=_bound(parameters.get("most", "")),
            sort=sort if sort in SORTS else "position",
            descending=parameters.get("order") == "desc",
            page=_page(parameters.get("page")),
        )

    @property
    def is_filtered(self) -> bool:
        """Whether it leaves anyone out."""
        bounds = (self.least, self.most) != (None, None)
        return bool(self.chosen or self.search or self.at_risk or bounds)

    @property
    def order(self) -> str:
        """The direction of the sort as a word of the address."""
        return "desc" if self.descending else "asc"

    def parameters(self) -> dict[str, str]:
        """The query as the parameters of an address, without defaults."""
        found = dict(self.chosen)
        if self.search:
            found["q"] = self.search
        if self.at_risk:
            found["at_risk"] = "1"
        for name, value in (("least", self.least), ("most", self.most)):
            if value is not None:
                found[name] = amount_text(value)
        if self.sort != "position":
            found |= {"sort": self.sort, "order": self.order}
        if self.page > 1:
            found["page"] = str(self.page)
        return found

    def address(self, path: str = "/customers", **changes: Any) -> str:
        """The address of the query with changes; the first page unless one is given."""
        changed = replace(self, **({"page": 1} | changes))
        text = urlencode(changed.parameters())
        return f"{path}?{text}" if text else path

    def sorted_by(self, sort: str) -> str:
        """The address sorted by a column, the other way round if it is by that column already."""
        first_down = sort not in ("customer", "status", "segment", "offer")
        down = not self.descending if self.sort == sort else first_down
        return self.address(sort=sort, descending=down)

    def without(self, name: str) -> str:
        """The address without one filter."""
        if name in self.chosen:
            kept = {key: value for key, value in self.chosen.items() if key != name}
            return self.address(chosen=kept)
        empty: dict[str, Any] = {"q": {"search": ""}, "at_risk": {"at_risk": False}}
        return self.address(**empty.get(name, {name: None}))

    def condition(self) -> tuple[str, list[Any]]:
        """The condition in SQL, made of names of ours, and the values of its parameters."""
        parts: list[str] = []
        values: list[Any] = []
        for name, value in self.chosen.items():
            parts.append(f"{CHOICES[name]} = ?")
            values.append(value)
        if self.search:
            parts.append("contains(customer_id, ?)")
            values.append(self.search)
        if self.at_risk:
            parts.append("at_risk")
        for bound, sign in ((self.least, ">="), (self.most, "<=")):
            if bound is not None:
                parts.append(f"value_at_risk {sign} ?")
                values.append(bound)
        return " AND ".join(parts) or "true", values

    def ordering(self) -> str:
        """The ORDER BY: unknown values last, and the position among equals."""
        if self.sort == "position":
            return f"position {'DESC' if self.descending else 'ASC'}"
        name = SORTS[self.sort]
        value = f"nullif({name}, 'NaN'::DOUBLE)" if name in NUMBERS else name
        return f"{value} {'DESC' if self.descending else 'ASC'} NULLS LAST, position"


@dataclass(frozen=True)
class CustomerPage:
    """One page of the list."""

    query: CustomerQuery
    rows: Sequence[Mapping[str, Any]]
    total: int

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return max(1, -(-self.total // PAGE_ROWS))

    @property
    def first(self) -> int:
        """The number of the first customer on the page, from 1."""
        return (self.query.page - 1) * PAGE_ROWS + 1

    @property
    def last(self) -> int:
        """The number of the last customer on the page."""
        return self.first + len(self.rows) - 1


def customer_page(edition: Edition, query: CustomerQuery) -> CustomerPage:
    """The customers of a page. A page beyond the last is the last."""
    columns = columns_of(edition)
    mask = filtered(columns, query) if query.is_filtered else None
    total = len(columns) if mask is None else int(np.count_nonzero(mask))
    query = replace(query, page=min(query.page, max(1, -(-total // PAGE_ROWS))))
    places = columns.page(
        SORTS[query.sort],
        mask,
        descending=query.descending,
        start=(query.page - 1) * PAGE_ROWS,
        count=PAGE_ROWS,
    )
    return CustomerPage(query, columns.rows(places, LISTED), total)


def filtered(columns: CustomerColumns, query: CustomerQuery) -> Bools:
    """Which customers the filters leave, by position; `CustomerQuery.condition` says it in SQL."""
    mask = np.ones(len(columns), bool)
    for name, value in query.chosen.items():
        mask &= columns.texts[CHOICES[name]].equal(value)
    if query.at_risk:
        mask &= columns.at_risk
    at_stake = columns.numbers["value_at_risk"]
    if query.least is not None:
        mask &= at_stake >= query.least
    if query.most is not None:
        mask &= at_stake <= query.most
    if query.search:
        mask &= columns.ids.containing(query.search)
    return mask


def prepare_customers(edition: Edition) -> None:
    """Counts the choices and finds every sort of an edition before somebody asks for them."""
    columns = columns_of(edition)
    choices(edition)
    everyone(edition)
    for column in SORTS.values():
        for descending in (False, True):
            columns.order(column, descending=descending)


def export_sql(query: CustomerQuery) -> tuple[str, list[Any]]:
    """All customers of the query with the columns of the download, and the values."""
    condition, values = query.condition()
    names = ", ".join(EXPORTED)
    sql = (
        f"SELECT {names} FROM customers WHERE {condition} "  # noqa: S608 - names of ours
        f"ORDER BY {query.ordering()}"
    )
    return sql, values


def everyone(edition: Edition) -> int:
    """The number of customers."""
    sql = "SELECT count(*) AS customers FROM customers"
    found: int = edition.once("everyone", sql)[0]["customers"]
    return found


def choices(edition: Edition) -> dict[str, list[dict[str, Any]]]:
    """The values of each filter with their numbers of customers, most first."""
    found = {}
    for name, column in CHOICES.items():
        sql = (
            f"SELECT {column} AS value, count(*) AS customers FROM customers "  # noqa: S608
            f"WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 200"
        )
        found[name] = edition.once(("choices", name), sql)
    return found


def customer(edition: Edition, customer_id: str) -> dict[str, Any] | None:
    """Everything on one customer; None if nobody has that id."""
    position = columns_of(edition).ids.place_of(customer_id)
    if position is None:
        return None
    (row,) = edition.rows("SELECT * FROM customers WHERE position = ?", [position])
    return row


def timeline(edition: Edition, customer_id: str, *, limit: int = 200) -> list[dict[str, Any]]:
    """What happened with a customer, the latest first."""
    sql = (
        'SELECT "at", kind, what, amount FROM timeline WHERE customer_id = ? '
        'ORDER BY "at" DESC LIMIT ?'
    )
    return edition.rows(sql, [customer_id, limit])


def score_history(edition: Edition, customer_id: str) -> list[dict[str, Any]]:
    """The scores of a customer, the oldest first."""
    sql = (
        "SELECT as_of, churn_probability, risk_band, value_at_risk FROM scores_history "
        "WHERE customer_id = ? ORDER BY as_of"
    )
    return edition.rows(sql, [customer_id])


def _bound(text: str) -> float | None:
    return amount_of(text) if text.strip() else None


def _page(text: str | None) -> int:
    return (
        min(max(int(text), 1), 10**9)
        if text and text.isascii() and text.isdigit() and len(text) < 10
        else 1
    )
