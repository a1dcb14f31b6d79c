"""What pages and reports show, read back: the cells of tables, and the numbers in a text."""

import re
from html.parser import HTMLParser
from itertools import chain

SPACES = dict.fromkeys(map(ord, " \n\t\N{NARROW NO-BREAK SPACE}\N{NO-BREAK SPACE}"))
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Tables(HTMLParser):
    """The tables of a page: rows of cells, as texts without spaces."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.text = [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables:
            self.text = ""

    def handle_data(self, data):
        if self.text is not None:
            self.text += data

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.text is not None:
            self.tables[-1][-1].append(tight(self.text))
            self.text = None


def tight(text):
    """The text without spaces of any width."""
    return text.translate(SPACES)


def numbers_in(text):
    """The numbers of a text as they are written, without their signs."""
    return NUMBER.findall(tight(text))


def leaves(document):
    """Every number of a document, and every number in one of its texts."""
    if isinstance(document, dict):
        yield from chain.from_iterable(map(leaves, document.values()))
    elif isinstance(document, list):
        yield from chain.from_iterable(map(leaves, document))
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield document


def records(document):
    """Every object of a document."""
    if isinstance(document, dict):
        yield document
    if isinstance(document, dict | list):
        inner = document.values() if isinstance(document, dict) else document
        yield from chain.from_iterable(map(records, inner))
