"""The report: everything published, as one HTML file without script or network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from importlib.resources import files
from typing import Any

from churn.reporting.numbers import LEAST_CUSTOMERS
from churn.reporting.overview import overview_in
from churn.reporting.published import DOCUMENTS, Published
from churn.reporting.section import Section
from churn.reporting.sections import Sections, level_picture
from churn.reporting.sentences import Wording, wording
from churn.reporting.tables import CENTS, PERCENT, TEXT, Columns
from churn.reporting.templates import html_template

CUSTOMERS_SHOWN = 100
LISTED = f"""SELECT customer_id, value_at_risk, 100 * churn_probability AS churn_probability,
    segment, reason_1 AS why, offer_id AS offer
    FROM customers WHERE at_risk ORDER BY position LIMIT {CUSTOMERS_SHOWN}"""


def report_html(published: Published, *, ids: bool = False, language: str | None = None) -> str:
    """The report of a published file, one HTML document.

    Without `ids` it lists no customers, and counts of fewer than ten are hidden. Two reports of
    the same published file are the same.
    """
    row = published.row
    words = wording(language or row.language, row.currency)
    columns = Columns(words, 0 if ids else LEAST_CUSTOMERS)
    overview = overview_in(published, language=language, ids=ids)
    documents = {name: published.document(name) for name in DOCUMENTS if name != "overview"}
    sections = Sections(documents, words, columns, ids).all()
    if ids:
        sections = (*sections, _customers(published, words, columns))
    text = words.text
    title = f"{row.shop}: {text('report/title')}" if row.shop else text("report/title")
    as_of = words.sentence("report/as_of", None, as_of=words.day(row.as_of)).text
    names = ("customer", "stake", "risk", "why", "offer")
    labels = ("contents", "table", "notes", "definitions")
    return str(
        html_template("report.html").render(
            language=words.language.code,
            title=f"{title}, {as_of}",
            style=_style(),
            blocks=overview.blocks,
            sections=sections,
            picture=level_picture(overview, "overview"),
            made=_made(published, words),
            privacy=_privacy(words, ids=ids),
            leaving={name: text(f"leaving/{name}") for name in names},
            labels={"picture": text("level/picture")}
            | {name: text(f"report/{name}") for name in labels},
        )
    )


def customers_listed(html: str) -> Iterator[str]:
    """Every first cell of a row in a report: among them are the customers that it lists."""
    for found in re.finditer(r'<th scope="row">(.*?)</th>', html, flags=re.DOTALL):
        yield unescape(found[1])


def _made(published: Published, words: Wording) -> str:
    row = published.row
    moment = f"{words.day(row.published_at)}, {words.moment(row.published_at)}"
    return words.sentence("report/made", None, published=moment, run=row.run_id).text


def _privacy(words: Wording, *, ids: bool) -> str:
    if ids:
        return words.text("report/with_ids")
    return words.sentence("report/hidden", None, least=LEAST_CUSTOMERS).text


def _customers(published: Published, words: Wording, columns: Columns) -> Section:
    """The customers at risk with most at stake."""
    rows = published.connection.sql(LISTED).to_arrow_table().to_pylist()
    title = words.text("report/sections/customers")
    kinds = {
        "customer_id": TEXT,
        "value_at_risk": CENTS,
        "churn_probability": PERCENT,
        **dict.fromkeys(("segment", "why", "offer"), TEXT),
    }
    grid = columns.grid(title, rows, kinds)
    return Section("customers", title, open_grids=(grid,) if rows else ())


@cache
def _style() -> Any:
    from markupsafe import Markup

    css = (files("churn.reporting") / "templates" / "report.css").read_text(encoding="utf-8")
    return Markup(css)  # noqa: S704 - a file of ours
