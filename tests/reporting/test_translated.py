"""The catalogue of what commands say: every sentence is found, and keeps what varies."""

import re
import tomllib
from importlib.resources import files

import pytest

from churn.reporting.translated import translated

CATALOGUE = tomllib.loads((files("churn.reporting") / "catalogue/de.toml").read_text("utf-8"))
PLACE = re.compile(r"\{(\w+)(:n)?\}")


@pytest.mark.parametrize("english", CATALOGUE["sentences"])
def test_a_sentence_of_the_catalogue_is_found_and_keeps_what_varies(english):
    places = dict(PLACE.findall(english))
    german = CATALOGUE["sentences"][english]
    assert {name for name, _ in PLACE.findall(german)} == set(places)
    numbered = {
        name: f"{n + 1},234.5" if kind else f"word{n}"
        for n, (name, kind) in enumerate(places.items())
    }
    said = translated(PLACE.sub(lambda place: numbered[place[1]], english), "de")
    expected = {
        name: f"{n + 1}.234,5" if kind else f"word{n}"
        for n, (name, kind) in enumerate(places.items())
    }
    assert said == german.format(**expected)


def test_terms_in_a_sentence_are_translated_and_quotes_of_code_do_not_matter():
    note = "3 unhappy customers (value at risk: 1,017.70 EUR) have had no answer: pass the list to "
    note += "`churn plan --worklist`, and service precedes offers."
    assert translated(note, "de").startswith(
        "3 unzufriedene Kunden (gefährdeter Wert: 1.017,70 EUR) haben keine Antwort"
    )


@pytest.mark.parametrize("text", ["", "a sentence of no command", "Too few to say: many."])
def test_what_is_not_in_the_catalogue_stays(text):
    assert translated(text, "de") == text
    assert translated("Nothing calls for a refit.", "en") == "Nothing calls for a refit."
