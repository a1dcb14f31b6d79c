"""Customer and order ids: when two are the same, and which of them stand for guests."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from churn.data.engines.base import Engine, literal
from churn.data.settings import DataSettings, IdRule

GUEST_WORDS = (
    *("null", "(null)", "none", "nil", "nan", "na", "n/a", "#n/a", "<na>", "nat", "undefined"),
    *("guest", "anonymous", "-"),
)
"""What systems write in place of a customer; compared in lower case and stripped."""
GUEST_NUMBERS = ("0", "-1", "0.0", "-1.0")
"""Numbers that may stand for guests, or for the first customer of a list."""

SPACE = " \t\r\n\u00a0"
NUMBER = r"^\s*0*([0-9]+?)(?:\.0*)?\s*$"  # read alike by DuckDB, Spark and Python

GUEST = "of guests"
"""The reason in an audit for rows of guests."""
MANY_TIMES = 5
FEW_OTHERS = 5


def id_hashes(ids: Iterable[str], *, key: bytes = b"", person: bytes = b"") -> NDArray[np.uint64]:
    """A hash of each id, uniform over 64 bits. Another `key` or `person` gives unrelated hashes."""
    empty = blake2b(digest_size=8, key=key, person=person)

    def digest(one: str) -> bytes:
        hashed = empty.copy()  # faster than another one with the same key
        hashed.update(one.encode("utf-8", "surrogatepass"))
        return hashed.digest()

    return np.frombuffer(b"".join(map(digest, ids)), dtype=">u8").astype(np.uint64)


def canonical_sql(text: str, rule: IdRule) -> str:
    """The SQL for the form in which ids are compared; null stays null.

    `number`: without leading zeros, trailing `.0` and surrounding space if that leaves a whole
    number, else unchanged. `email`: in lower case and stripped. `exact`: unchanged.
    """
    if rule == "number":
        return f"coalesce(nullif(regexp_extract({text}, {literal(NUMBER)}, 1), ''), {text})"
    if rule == "email":
        return f"lower(trim({text}, {literal(SPACE)}))"
    return text


def canonical(name: str, rule: IdRule) -> str:
    """The same of one id.

    >>> [canonical(name, "number") for name in ("0013085", " 13085.0", "13085.5", "A7")]
    ['13085', '13085', '13085.5', 'A7']
    """
    if rule == "number":
        match = re.match(NUMBER, name, re.ASCII)
        return match[1] if match else name
    return name.strip(SPACE).lower() if rule == "email" else name


def guest_sql(text: str, guests: Sequence[str]) -> str:
    """The SQL for whether an id is blank or one of the guests."""
    plain = f"lower(trim({text}, {literal(SPACE)}))"
    listed = ", ".join(literal(guest.strip(SPACE).lower()) for guest in ("", *guests))
    return f"{plain} IN ({listed})"


@dataclass(frozen=True)
class Guests:
    """The ids of guests: words that can mean nothing else and those listed in `[data] guests`, or,
    if none are listed, 0 and -1 if one of them has many times the orders of a customer.

    An empty list means that no id is a guest.
    """

    settings: DataSettings
    numbers: list[str] = field(default_factory=list)

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them."""
        listed = self.settings.guests
        if listed is not None and not listed:
            return ()
        return (*GUEST_WORDS, *(listed or ()), *self.numbers)

    def sql(self, name: str) -> str:
        """The SQL for whether an id is a guest's."""
        return guest_sql(name, self.ids)

    def leave_out_numbers(self, engine: Engine) -> tuple[int, tuple[str, ...]]:
        """How many orders of 0 and -1 were left out as guest orders, and a warning about them.

        Nothing is left out if `[data] guests` is set.
        """
        if self.settings.guests is not None:
            return 0, ()
        listed = ", ".join(
            literal(f"{number}{end}") for number in GUEST_NUMBERS for end in ("", ".0")
        )
        found = engine.rows(
            f"SELECT customer_id AS c, count(*) AS n FROM orders WHERE customer_id IN ({listed}) "
            "GROUP BY 1 ORDER BY 1"
        )
        if not found:
            return 0, ()
        mean = _mean_of_others(engine, listed)
        odd = {str(row["c"]): int(str(row["n"])) for row in found}
        odd = {number: n for number, n in odd.items() if n >= MANY_TIMES * mean}
        if not odd:
            return 0, ()
        self.numbers.extend(odd)
        kept = ", ".join(map(literal, odd))
        engine.create("orders", f"SELECT * FROM orders WHERE customer_id NOT IN ({kept})")
        return sum(odd.values()), tuple(_warning(number, n, mean) for number, n in odd.items())


def _mean_of_others(engine: Engine, listed: str) -> float:
    """Rows per customer; infinite if there are too few customers to decide."""
    (row,) = engine.rows(
        "SELECT count(*) AS n, count(DISTINCT customer_id) AS customers FROM orders "
        f"WHERE customer_id NOT IN ({listed})"
    )
    customers = int(str(row["customers"]))
    return int(str(row["n"])) / customers if customers >= FEW_OTHERS else math.inf


def _warning(number: str, rows: int, mean: float) -> str:
    return (
        f"{rows:,} rows of customer {number} are left out as guest orders, because other customers "
        f'have {mean:.1f} each; set [data] guests = ["{number}"], or guests = [] to keep them'
    )
