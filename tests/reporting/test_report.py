"""The report and the digest of a small published file: one safe file, nothing that is hidden."""

import re
from html.parser import HTMLParser

import pytest
from small_documents import DOCUMENTS, EVIL, NOVEMBER, WORKLIST, YEAR_BEFORE, written_page

from churn.reporting.digest import LINES, digest_of
from churn.reporting.published import Published
from churn.reporting.report import customers_listed, report_html

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its open ones at the end."""

    VOID = frozenset(("meta", "img", "path", "rect", "circle", "polygon", "polyline"))

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path):
    with Published(written_page(tmp_path / "page.duckdb")) as opened:
        yield opened


def test_the_report_is_one_whole_file_without_script_or_network(page):
    text = report_html(page, ids=True)
    elements = Elements(text)
    assert not elements.open
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "form", "object", "base"}
    policies = [one["content"] for _, one in elements.found if one.get("http-equiv")]
    assert policies == [POLICY]
    for _, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes)
        assert not str(attributes.get("src", "data:")).startswith(("http", "//"))
        assert str(attributes.get("href", "#")).startswith("#")
    assert "url(" not in text


def test_text_of_the_shop_never_becomes_html(page):
    text = report_html(page, ids=True)
    assert EVIL not in text
    assert "&lt;script&gt;" in text
    assert "no cohorts &lt;here&gt; yet" in text
    assert EVIL not in digest_of(page).html


def test_two_reports_of_the_same_file_are_the_same(page):
    assert report_html(page) == report_html(page)


def test_ids_are_there_only_if_asked_for(page):
    assert "c0004711" not in report_html(page)
    with_ids = report_html(page, ids=True)
    assert {"c0004711", "c0000815"} <= set(customers_listed(with_ids))
    assert "c0004711" not in digest_of(page).html + digest_of(page).text


def test_counts_under_ten_are_hidden_without_ids(tmp_path):
    small = {**NOVEMBER, "new": 4, "won_back": 604}
    metrics = {**DOCUMENTS["metrics"], "periods": [YEAR_BEFORE, small]}
    feedback = {**WORKLIST, "scores": []}
    path = written_page(tmp_path / "page.duckdb", metrics=metrics, feedback=feedback)
    with Published(path) as page:
        rows = report_html(page).split("<tr>")
        row = next(one for one in rows if one.startswith('<th scope="row">2011-11<'))
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row)
        assert cells[3] == "&lt;10"
        assert cells[4] == "\N{EN DASH}"  # would tell what is hidden
        assert "Counts of fewer than 10 customers are hidden." in report_html(page)


def test_every_picture_has_its_finding_as_title(page):
    text = report_html(page)
    pictures = re.findall(r'<svg [^>]*aria-labelledby="([^"]+)"[^>]*><title id="([^"]+)">', text)
    assert len(pictures) == text.count("<svg ") >= 3
    assert all(named == own for named, own in pictures)
    assert len({own for _, own in pictures}) == len(pictures)


def test_the_report_speaks_the_language_that_is_asked_for(page):
    text = report_html(page, language="de")
    assert '<html lang="de">' in text
    assert "Kundenbindung je Zeitraum" in text
    assert "How retention stands" not in text


def test_the_digest_is_the_first_screen_in_twelve_lines(page):
    found = digest_of(page, link="https://shop.example/retention")
    assert 8 <= len(found.lines) <= LINES
    assert found.lines[0].startswith("As of 1 December 2011.")
    assert found.lines[-1] == "https://shop.example/retention"
    assert any("not yet proven" in line for line in found.lines)
    assert not any("\n" in line for line in found.lines)
    assert found.subject == "shop.example: Customer retention, as of 1 December 2011"
