"""The sections of the report after the overview, each of one command's document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from churn.reporting.blocks import Overview
from churn.reporting.campaign_sections import CampaignSections
from churn.reporting.customer_sections import CustomerSections
from churn.reporting.pictures import line_picture
from churn.reporting.section import Picture, Section
from churn.reporting.translated import translated


class Sections(CustomerSections, CampaignSections):
    """Makes all of them from the documents."""

    def all(self) -> tuple[Section, ...]:
        """The sections in their order; one without its document says what to connect."""
        makers: dict[str, tuple[str, Callable[[Any], Section]]] = {
            "retention": ("metrics", self._retention),
            "cohorts": ("cohorts", self._cohorts),
            "segments": ("segments", self._segments),
            "journey": ("journey", self._journey),
            "signals": ("signals", self._signals),
            "feedback": ("feedback", self._feedback),
            "plan": ("plan", self._plan),
            "results": ("measurements", self._results),
            "model": ("model", self._model),
        }
        return tuple(self._made(name, *maker) for name, maker in makers.items())

    def _made(self, name: str, source: str, make: Callable[[Any], Section]) -> Section:
        document = self.documents.get(source)
        if document:
            return make(document)
        reason = (self.documents.get("missing") or {}).get(source)
        missing = translated(reason, self.words.language.code) if reason else self.text("none")
        return Section(name, self._title(name), missing=missing)


def level_picture(overview: Overview, name: str) -> Picture | None:
    """The customers kept by period; None for fewer than two periods."""
    points, sentences = overview.level.series, overview.level.sentences
    if len(points) < 2 or not sentences:
        return None
    finding = sentences[0].text
    svg = line_picture(
        name,
        finding,
        [one.period for one in points],
        [one.percent for one in points],
        lows=[one.low for one in points],
        highs=[one.high for one in points],
        earlier=[one.last_year for one in points],
    )
    return Picture(finding, svg)
