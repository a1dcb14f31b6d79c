"""The digest: the first screen as at most twelve lines of text, and as HTML for a mail."""

from __future__ import annotations

from dataclasses import dataclass

from churn.reporting.blocks import Block, Overview
from churn.reporting.overview import overview_in
from churn.reporting.published import Published
from churn.reporting.sentences import Sentence, wording
from churn.reporting.templates import html_template

LINES = 12


@dataclass(frozen=True)
class Digest:
    """The digest of a published file: its subject, lines of text, HTML, and overview."""

    subject: str
    lines: tuple[str, ...]
    html: str
    overview: Overview

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines) + "\n"


def digest_of(
    published: Published, *, link: str | None = None, language: str | None = None
) -> Digest:
    """The digest of a published file; it names no customer, and hides counts of fewer than ten.

    `link` is the address of the pages, which the message ends with.
    """
    row = published.row
    words = wording(language or row.language, row.currency)
    overview = overview_in(published, language=language, ids=False)
    title = words.text("report/title")
    subject = f"{row.shop}: {title}" if row.shop else title
    as_of = words.sentence("report/as_of", None, as_of=words.day(row.as_of)).text
    subject = f"{subject}, {as_of}"
    lines = digest_lines(overview, link=link)
    html = html_template("digest.html").render(
        language=words.language.code,
        subject=subject,
        blocks=overview.blocks,
        link=link,
    )
    return Digest(subject, lines, str(html), overview)


def digest_lines(overview: Overview, *, link: str | None = None) -> tuple[str, ...]:
    """At most twelve lines: one or more of each block, the balance in one."""
    lines = [" ".join(one.text for one in overview.trust.sentences)]
    lines += _texts(overview.decide)
    lines += _level(overview.level)
    for block in (overview.moved, overview.earned, overview.leaving):
        lines += _texts(block)[:2]
    room = LINES - (1 if link else 0)
    return (*lines[:room], *([link] if link else []))


def _texts(block: Block) -> list[str]:
    """The sentences of a block; what is missing, up to its first full stop."""
    missing = [] if block.missing is None else [_short(block.missing)]
    return [*(one.text for one in block.sentences), *missing]


def _short(text: str) -> str:
    first = text.split(". ", maxsplit=1)[0]
    return first if first.endswith(".") else f"{first}."


def _level(block: Block) -> list[str]:
    """The rate, and the balance in one line with the definition of active customers."""
    if len(block.sentences) < 3:
        return _texts(block)
    first, *balance, active = block.sentences
    return [first.text, f"{_joined(balance)}. {active.text}"]


def _joined(sentences: list[Sentence]) -> str:
    return " · ".join(one.text for one in sentences)
