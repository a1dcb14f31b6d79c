"""The first screen as a page shows it: sentences with links, small counts hidden from viewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from churn.serving.dashboard.reader import Edition
from churn.serving.dashboard.tables import LEAST_CELL

if TYPE_CHECKING:
    from churn.reporting.blocks import Block, Overview

SMALL = "< 10"
PLACES = {"plan": "/campaigns", "metrics": "#t-periods", "campaigns": "/campaigns#t-measurements"}
"""Where a number leads, by what it is of; other names are those of pages."""


@dataclass(frozen=True)
class Part:
    """A piece of a sentence; a number has a definition and may lead somewhere."""

    text: str
    definition: str = ""
    address: str = ""


def overview_for(edition: Edition, language: str) -> Overview:
    """The overview in a language; made once of each edition."""
    from churn.reporting.overview import overview_in

    key = ("overview", language)
    if key not in edition.remembered:
        edition.remembered[key] = overview_in(edition.own_reader(), language=language)
    found: Overview = edition.remembered[key]
    return found


def sentences_of(block: Block, *, viewer: bool) -> list[list[Part]]:
    """The sentences of a block as parts."""
    hidden = _hidden(block.numbers) if viewer else frozenset()
    return [[_part(part, hidden, viewer) for part in one.parts] for one in block.sentences]


def _part(part: Any, hidden: frozenset[int], viewer: bool) -> Part:
    if isinstance(part, str):
        return Part(part)
    text = SMALL if id(part) in hidden else part.text
    return Part(text, part.definition, _address(part, viewer))


def _address(number: Any, viewer: bool) -> str:
    """The address of the rows behind a number; none of customers for viewers."""
    link = str(number.link)
    if link.startswith("customers"):
        if viewer:
            return ""
        chosen: Mapping[str, Mapping[str, str]] = {
            "customers?at_risk": {"at_risk": "1"},
            "customers?offer": {"offer": str(number.name)},
        }
        values = chosen.get(link)
        return "/customers" + (f"?{urlencode(values)}" if values else "")
    return PLACES.get(link, f"/{link}") if link else ""


def _hidden(numbers: Sequence[Any]) -> frozenset[int]:
    """The counts from 1 to 9; of a single one also the next smallest, because the balance of the
    block would tell it.
    """
    counts = [one for one in numbers if one.unit == "count" and one.value]
    small = [one for one in counts if 0 < one.value < LEAST_CELL]
    others = [one for one in counts if one.value >= LEAST_CELL]
    if len(small) == 1 and others:
        small.append(min(others, key=lambda one: one.value))
    return frozenset(id(one) for one in small)
