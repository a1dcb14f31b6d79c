"""What is handed over in one piece, and what can come of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from churn.files.messages import Message, State

__all__ = ["Courier", "Outcome", "Outgoing", "Parcel"]


@dataclass(frozen=True)
class Outgoing:
    """A message on record with what it is made of: its row of the list, and for e-mail the address
    and what the template is given.
    """

    message: Message
    row: Mapping[str, Any]
    address: str = ""
    products: tuple[str, ...] = ()


Parcel = Sequence[Outgoing]
"""Messages that go out together, under one name; at least one."""


@dataclass(frozen=True)
class Outcome:
    """What became of a parcel: "sent", "failed" for good, "waiting" to be tried again, or "unknown"
    where it went out and no answer came. `cause` is a code or a word, never what the other side
    wrote. `stop`: the others of this run would fare no better.
    """

    state: State
    cause: str | None = None
    stop: bool = False


class Courier(Protocol):
    """Hands parcels over. An expected failure is an outcome and no exception."""

    through: str

    def deliver(self, parcel: Parcel) -> Outcome:
        """What became of the parcel."""
        ...

    def close(self) -> None:
        """Ends the conversation."""
        ...
