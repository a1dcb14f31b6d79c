"""Every language says the same things, with the same numbers, in its own grammar."""

import dataclasses
import re
import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.scoring.language import Language, language, language_codes, parts_of
from churn.scoring.sentences import TOPICS

LANGUAGES = [language(code) for code in language_codes()]
NUMBER_FORMS = {"whole", "decimal", "plain", "percent", "money", ""}


def templates(texts, path=()):
    """Every template by its path; numbers, plurals and phrases are a language's own grammar."""
    for key, value in texts.items():
        if key in ("numbers", "plurals", "phrases"):
            continue
        if isinstance(value, dict):
            yield from templates(value, (*path, key))
        else:
            yield (*path, key), value


def placeholders(template):
    return sorted({name for _, name, _ in parts_of(template) if name})


@pytest.mark.parametrize("other", LANGUAGES, ids=lambda one: one.code)
def test_every_language_has_the_keys_and_placeholders_of_english(other):
    english = {path: placeholders(text) for path, text in templates(language("en").texts)}
    assert {path: placeholders(text) for path, text in templates(other.texts)} == english
    assert other.texts["numbers"].keys() == language("en").texts["numbers"].keys()
    assert other.texts["phrases"].keys() == language("en").texts["phrases"].keys()


@pytest.mark.parametrize("speech", LANGUAGES, ids=lambda one: one.code)
def test_every_topic_has_its_sentence_and_every_sentence_its_topic(speech):
    said = {family: set(texts) - {"name"} for family, texts in speech.texts["families"].items()}
    assert said == {family: {one.key for one in topics} for family, topics in TOPICS.items()}


@pytest.mark.parametrize("speech", LANGUAGES, ids=lambda one: one.code)
def test_every_form_that_a_template_asks_for_exists(speech):
    asked = {form for _, text in templates(speech.texts) for _, name, form in parts_of(text)}
    assert asked - NUMBER_FORMS <= set(speech.texts["phrases"])
    assert set(speech.texts["phrases"]) <= asked, "a phrase that nothing uses"


@pytest.mark.parametrize("speech", LANGUAGES, ids=lambda one: one.code)
def test_every_phrase_has_a_text_for_every_number(speech):
    forms = {speech.plural(count) for count in range(1000)} | {"other"}
    for phrase, texts in speech.texts["phrases"].items():
        assert "other" in texts, phrase
        assert {form for form in texts if not form.isdigit()} <= forms, phrase
        assert all(speech.counted(phrase, count) for count in range(30))


@pytest.mark.parametrize("speech", LANGUAGES, ids=lambda one: one.code)
@given(value=st.floats(0, 1e6), count=st.sampled_from([0.0, 1.0, 2.0, 31.0]))
def test_every_template_renders_for_none_one_and_many(speech, value, count):
    for path, text in templates(speech.texts):
        for number in (value, count):
            words = {name: number if form else "so" for _, name, form in parts_of(text)}
            said = speech.say(text, words | {"currency": "EUR"})
            assert said, path
            assert "{" not in said, path
            assert "  " not in said, path
            assert "nan" not in said.split(), path


@pytest.mark.parametrize("speech", LANGUAGES, ids=lambda one: one.code)
def test_what_is_said_of_families_is_a_whole_sentence(speech):
    for family, texts in speech.texts["families"].items():
        assert not texts["name"].endswith("."), family
        for key, text in texts.items():
            assert key == "name" or text.endswith("."), (family, key)
            assert re.search(r"\bbecause\b|\bweil\b|\bdeshalb\b", text) is None, (family, key)


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf")])
def test_an_unknown_number_leaves_the_sentence_unsaid(unknown):
    template = "Last order {recency_days:ago}."
    assert language("en").say(template, {"recency_days": unknown}) is None
    assert language("en").say(template, {}) is None


@pytest.mark.parametrize(
    ("code", "value", "decimals", "said"),
    [
        ("en", 1234567.891, 2, "1,234,567.89"),
        ("de", 1234567.891, 2, "1.234.567,89"),
        ("en", -0.001, 1, "0.0"),
        ("en", -12.0, 0, "-12"),
    ],
)
def test_numbers_have_the_separators_of_the_language(code, value, decimals, said):
    assert language(code).number(value, decimals) == said


@pytest.mark.parametrize(
    ("amount", "english", "german"),
    [
        (0.0, "nothing", "nichts"),
        (0.004, "nothing", "nichts"),
        (3.5, "EUR 3.50", "3,50 EUR"),
        (1999.6, "EUR 2,000", "2.000 EUR"),
        (-20.0, "-EUR 20.00", "-20,00 EUR"),
    ],
)
def test_money_has_its_currency(amount, english, german):
    assert language("en").money(amount, "EUR") == english
    assert language("de").money(amount, "EUR") == german


@given(st.floats(0, 1))
def test_a_share_is_all_or_nothing_only_where_it_is(share):
    said = language("en").percent(share)
    assert (said == "0%") == (share == 0)
    assert (said == "100%") == (share == 1)


def test_dates_are_written_as_in_the_language():
    assert language("en").day(date(2017, 11, 9)) == "2017-11-09"
    assert language("de").day(date(2017, 11, 9)) == "09.11.2017"


def test_plural_rules_are_data_and_do_for_languages_with_more_forms():
    """Polish: 1 dzien, 2 to 4 but not 12 to 14, the rest."""
    few = {"form": "few", "last_digit": [2, 3, 4], "not_last_two_digits": [12, 13, 14]}
    polish = Language("pl", {"plurals": [{"form": "one", "values": [1]}, few]})
    found = [polish.plural(count) for count in (0, 1, 2, 5, 12, 22, 112, 104)]
    assert found == ["other", "one", "few", "other", "other", "few", "other", "few"]
    teens = dataclasses.replace(
        polish, texts={"plurals": [{"form": "teen", "last_two_digits": [11]}]}
    )
    assert [teens.plural(count) for count in (11, 111, 1)] == ["teen", "teen", "other"]


def test_an_unknown_language_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"one of \['de', 'en'\], got 'fr'\. Write e\.g\. lang"):
        language("fr")


def test_a_language_is_no_path():
    with pytest.raises(ConfigError, match="language must be one of"):
        language("../languages/en")


def test_languages_are_files_of_the_package():
    import churn.scoring.language as module

    assert {"en", "de"} <= set(language_codes())
    for code in language_codes():
        text = (module._FOLDER / f"{code}.toml").read_text(encoding="utf-8")
        assert tomllib.loads(text)["name"]
