"""The fixed sentences in every language, and how their numbers are written."""

from string import Formatter

import pytest

from churn.errors import ConfigError
from churn.reporting.sentences import MINUS, THIN, found_at, languages, wording


def flat(forms, above=""):
    """Every text by its key."""
    found = {}
    for name, value in forms.items():
        key = f"{above}/{name}"
        found |= flat(value, key) if isinstance(value, dict) else {key: value}
    return found


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_every_language_has_the_same_forms_with_the_same_placeholders():
    english = flat(wording("en", "EUR").forms)
    assert "de" in languages()
    for code in languages():
        own = flat(wording(code, "EUR").forms)
        assert own.keys() == english.keys(), code
        for key, text in own.items():
            assert placeholders(text) == placeholders(english[key]), (code, key)


@pytest.mark.parametrize(
    ("value", "unit", "english", "german"),
    [
        (1374.4, "money", f"1,374{THIN}€", f"1.374{THIN}€"),
        (-0.4, "money", f"0{THIN}€", f"0{THIN}€"),
        (-1170.0, "money", f"{MINUS}1,170{THIN}€", f"{MINUS}1.170{THIN}€"),
        (84.2, "cents", f"84.20{THIN}€", f"84,20{THIN}€"),
        (90.68, "percent", f"90.7{THIN}%", f"90,7{THIN}%"),
        (61.7, "rounded_percent", f"62{THIN}%", f"62{THIN}%"),
        (2126.0, "count", "2,126", "2.126"),
        (0.51, "points", "+0.5", "+0,5"),
        (-0.04, "points", "0.0", "0,0"),
    ],
)
def test_numbers_are_written_with_thin_units_and_a_true_minus(value, unit, english, german):
    assert wording("en", "EUR").written(value, unit) == english
    assert wording("de", "EUR").written(value, unit) == german


def test_a_count_chooses_the_form_of_its_number():
    words = wording("en", "USD")
    one = words.sentence("decide/unhappy", 1, n="1", value="$5")
    two = words.sentence("decide/unhappy", 2, n="2", value="$9")
    assert one.text == "1 unhappy customer with $5 at stake has had no answer."
    assert two.text == "2 unhappy customers with $9 at stake have had no answer."


def test_a_language_without_sentences_is_refused():
    with pytest.raises(ConfigError, match="language"):
        wording("xx", "EUR")


def test_a_path_that_does_not_exist_is_no_number():
    document = {"a": [{"b": "2.50"}, {"b": None}], "c": "text"}
    assert found_at(document, "a/0/b") == 2.5
    assert found_at(document, "a/*/b") == 2.5
    for path in ("a/7/b", "a/1/b", "c", "d", "a", "c/d"):
        assert found_at(document, path) is None
