"""The parts of the overview: its blocks, the points of its picture, and its list of customers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from churn.reporting.sentences import Number, Sentence


@dataclass(frozen=True)
class Point:
    """A period of the picture: customers kept, %, its 95 % interval, and the same period of last
    year.
    """

    period: str
    percent: float
    low: float
    high: float
    last_year: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class LeavingRow:
    """A customer at risk: the value at stake, the risk, the first reason, and the offer."""

    customer_id: str
    value_at_risk: Number | None
    churn_probability: Number | None
    reason: str
    offer: Sentence

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        numbers = {
            "value_at_risk": self.value_at_risk,
            "churn_probability": self.churn_probability,
        }
        return {
            "customer_id": self.customer_id,
            **{name: one and one.to_dict() for name, one in numbers.items()},
            "reason": self.reason,
            "offer": self.offer.to_dict(),
        }


@dataclass(frozen=True)
class Block:
    """A block of the overview. `missing` says what to connect where a part could not be made;
    `details` are notes on it. `series` are the points of a picture, `rows` those of a list.
    """

    title: str
    sentences: tuple[Sentence, ...] = ()
    missing: str | None = None
    details: tuple[str, ...] = ()
    series: tuple[Point, ...] = ()
    rows: tuple[LeavingRow, ...] = ()
    needs_attention: bool = False

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers of its sentences."""
        return tuple(number for one in self.sentences for number in one.numbers)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "title": self.title,
            "sentences": [one.to_dict() for one in self.sentences],
            "missing": self.missing,
            "details": list(self.details),
            "series": [one.to_dict() for one in self.series],
            "rows": [one.to_dict() for one in self.rows],
            "needs_attention": self.needs_attention,
        }


@dataclass(frozen=True)
class Overview:
    """What can be trusted, what to decide, how retention stands, what moved, what was earned, and
    who is leaving.
    """

    trust: Block
    decide: Block
    level: Block
    moved: Block
    earned: Block
    leaving: Block

    @property
    def blocks(self) -> dict[str, Block]:
        """The blocks by name, in their order."""
        names = ("trust", "decide", "level", "moved", "earned", "leaving")
        return {name: getattr(self, name) for name in names}

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers of all sentences."""
        return tuple(number for block in self.blocks.values() for number in block.numbers)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: `blocks` by name."""
        return {"blocks": {name: block.to_dict() for name, block in self.blocks.items()}}
