"""All languages have the same sentences, with the same placeholders, in their own grammar."""

import dataclasses
import re
import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.scoring.language import Language, language_codes, load_language, parts_of
from churn.scoring.sentences import TOPICS

LANGUAGES = [load_language(code) for code in language_codes()]
NUMBER_FORMS = {"whole", "decimal", "plain", "percent", "money", ""}


def templates(texts, path=()):
    """Every template with its path, except numbers, plurals and phrases, which are grammar."""
    for key, value in texts.items():
        if key in ("numbers", "plurals", "phrases"):
            continue
        if isinstance(value, dict):
            yield from templates(value, (*path, key))
        else:
            yield (*path, key), value


def placeholders(template):
    return sorted({name for _, name, _ in parts_of(template) if name})


@pytest.mark.parametrize("other", LANGUAGES, ids=lambda lang: lang.code)
def test_every_language_has_the_keys_and_placeholders_of_english(other):
    english = {path: placeholders(text) for path, text in templates(load_language("en").texts)}
    assert {path: placeholders(text) for path, text in templates(other.texts)} == english
    assert other.texts["numbers"].keys() == load_language("en").texts["numbers"].keys()
    assert other.texts["phrases"].keys() == load_language("en").texts["phrases"].keys()


@pytest.mark.parametrize("lang", LANGUAGES, ids=lambda lang: lang.code)
def test_every_topic_has_its_sentence_and_every_sentence_its_topic(lang):
    keys = {family: set(texts) - {"name"} for family, texts in lang.texts["families"].items()}
    assert keys == {family: {topic.key for topic in topics} for family, topics in TOPICS.items()}


@pytest.mark.parametrize("lang", LANGUAGES, ids=lambda lang: lang.code)
def test_every_phrase_exists_and_is_used(lang):
    forms = {form for _, text in templates(lang.texts) for _, name, form in parts_of(text)}
    assert forms - NUMBER_FORMS <= set(lang.texts["phrases"])
    assert set(lang.texts["phrases"]) <= forms, "an unused phrase"


@pytest.mark.parametrize("lang", LANGUAGES, ids=lambda lang: lang.code)
def test_every_phrase_has_a_text_for_every_number(lang):
    forms = {lang.plural(count) for count in range(1000)} | {"other"}
    for name, texts in lang.texts["phrases"].items():
        assert "other" in texts, name
        assert {form for form in texts if not form.isdigit()} <= forms, name
        assert all(lang.phrase(name, count) for count in range(30))


@pytest.mark.parametrize("lang", LANGUAGES, ids=lambda lang: lang.code)
@given(value=st.floats(0, 1e6), count=st.sampled_from([0.0, 1.0, 2.0, 31.0]))
def test_every_template_renders_for_zero_one_and_many(lang, value, count):
    for path, text in templates(lang.texts):
        for number in (value, count):
            values = {name: number if form else "so" for _, name, form in parts_of(text)}
            sentence = lang.render(text, values | {"currency": "EUR"})
            assert sentence, path
            assert "{" not in sentence, path
            assert "  " not in sentence, path
            assert "nan" not in sentence.split(), path


@pytest.mark.parametrize("lang", LANGUAGES, ids=lambda lang: lang.code)
def test_the_texts_of_families_are_sentences_without_causes(lang):
    for family, texts in lang.texts["families"].items():
        assert not texts["name"].endswith("."), family
        for key, text in texts.items():
            assert key == "name" or text.endswith("."), (family, key)
            assert re.search(r"\bbecause\b|\bweil\b|\bdeshalb\b", text) is None, (family, key)


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf")])
def test_a_template_with_an_unknown_number_is_not_rendered(unknown):
    template = "Last order {recency_days:ago}."
    assert load_language("en").render(template, {"recency_days": unknown}) is None
    assert load_language("en").render(template, {}) is None


@pytest.mark.parametrize(
    ("code", "value", "decimals", "text"),
    [
        ("en", 1234567.891, 2, "1,234,567.89"),
        ("de", 1234567.891, 2, "1.234.567,89"),
        ("en", -0.001, 1, "0.0"),
        ("en", -12.0, 0, "-12"),
    ],
)
def test_numbers_have_the_separators_of_the_language(code, value, decimals, text):
    assert load_language(code).number(value, decimals) == text


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
    assert load_language("en").money(amount, "EUR") == english
    assert load_language("de").money(amount, "EUR") == german


@given(st.floats(0, 1))
def test_only_exact_shares_are_0_or_100_percent(share):
    text = load_language("en").percent(share)
    assert (text == "0%") == (share == 0)
    assert (text == "100%") == (share == 1)


def test_dates_have_the_format_of_the_language():
    assert load_language("en").short_date(date(2017, 11, 9)) == "2017-11-09"
    assert load_language("de").short_date(date(2017, 11, 9)) == "09.11.2017"


def test_plural_rules_cover_languages_with_more_forms():
    """Polish: 1; 2 to 4 but not 12 to 14; all others."""
    few = {"form": "few", "last_digit": [2, 3, 4], "not_last_two_digits": [12, 13, 14]}
    polish = Language("pl", {"plurals": [{"form": "one", "values": [1]}, few]})
    forms = [polish.plural(count) for count in (0, 1, 2, 5, 12, 22, 112, 104)]
    assert forms == ["other", "one", "few", "other", "other", "few", "other", "few"]
    teens = dataclasses.replace(
        polish, texts={"plurals": [{"form": "teen", "last_two_digits": [11]}]}
    )
    assert [teens.plural(count) for count in (11, 111, 1)] == ["teen", "teen", "other"]


def test_an_unknown_language_is_refused_with_the_available_ones():
    with pytest.raises(ConfigError, match=r"one of \['de', 'en'\], got 'fr'\. Write e\.g\. lang"):
        load_language("fr")


def test_a_path_is_refused_as_language():
    with pytest.raises(ConfigError, match="language must be one of"):
        load_language("../languages/en")


def test_languages_are_files_of_the_package():
    import churn.scoring.language as module

    assert {"en", "de"} <= set(language_codes())
    for code in language_codes():
        text = (module._FOLDER / f"{code}.toml").read_text(encoding="utf-8")
        assert tomllib.loads(text)["name"]
