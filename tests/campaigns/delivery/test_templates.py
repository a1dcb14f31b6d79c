"""Built-in templates in every language, the shop's own, and the sandbox."""

import pytest

from churn.campaigns.delivery.templates import TEMPLATES, Templates, template_of, words_of
from churn.errors import ConfigError
from churn.scoring.language import language_codes

VALUES = {
    "shop": {"name": "Ma & Pa", "address": "1 <High> Street", "url": "https://shop.example"},
    "offer": {"name": "8 € off <today>"},
    "agreed": True,
    "expires_on": "2027-02-03",
    "code": "SPRING-10",
    "products": ["Tea & milk"],
    "link": "https://shop.example/?a=1&b=2",
    "unsubscribe_url": "https://shop.example/unsubscribe/abc",
}


@pytest.mark.parametrize("language", language_codes())
@pytest.mark.parametrize("name", TEMPLATES)
def test_built_in_templates_have_the_same_content_as_text_and_html(name, language):
    letter = Templates(language).render(name, VALUES)
    assert "8 € off <today>" in letter.subject + letter.text
    assert "8 € off &lt;today&gt;" in letter.html
    assert "Tea & milk" in letter.text
    assert "Tea &amp; milk" in letter.html
    for part in (letter.text, letter.html):
        assert VALUES["unsubscribe_url"] in part
        assert "2027-02-03" in part
        assert "SPRING-10" in part
        assert words_of(language)["letter"]["why_agreed"] in " ".join(part.split())
    assert f'<html lang="{language}">' in letter.html
    assert "<today>" not in letter.html
    assert "<img" not in letter.html
    assert len(letter.html) < 20_000
    assert max(map(len, letter.text.splitlines())) <= 80


def test_all_languages_have_the_same_phrases():
    english = words_of("en")
    for code in language_codes():
        assert {k: set(v) for k, v in words_of(code).items()} == {
            k: set(v) for k, v in english.items()
        }


def test_without_expiry_code_products_and_link_they_are_not_mentioned():
    fewer = {
        **VALUES,
        "expires_on": None,
        "code": None,
        "products": [],
        "link": None,
        "agreed": False,
    }
    letter = Templates("en").render("offer", fewer)
    for part in (letter.text, letter.html):
        assert "Valid until" not in part
        assert "Your code" not in part
        assert "Picked" not in part
        assert "Go to the shop" not in part
        assert "because you are our customer" in " ".join(part.split())


def test_a_template_of_the_shop_overrides_the_built_in_one(tmp_path):
    text = "{% extends layout %}{% block subject %}Psst{% endblock %}"
    text += "{% block headline %}Oh{% endblock %}"
    (tmp_path / "offer.j2").write_text(
        text + "{% block body %}One.\n\nTwo & {{ offer.name }}{% endblock %}"
    )
    letter = Templates("en", folder=tmp_path).render("offer", VALUES)
    assert letter.subject == "Psst"
    assert "One.\n\nTwo & 8 €" in letter.text
    assert letter.html.count("<p style") > 2
    assert Templates("en", folder=tmp_path).render("survey", VALUES).subject == "8 € off <today>"


@pytest.mark.parametrize("missing", ["subject", "headline", "body"])
def test_a_missing_block_is_reported_with_its_file(tmp_path, missing):
    names = ("subject", "headline", "body")
    blocks = [f"{{% block {name} %}}x{{% endblock %}}" for name in names]
    kept = [block for block in blocks if missing not in block]
    (tmp_path / "offer.j2").write_text("".join(["{% extends layout %}", *kept]))
    message = f"'offer' must have the block {missing}, and offer.j2 has none. Write {{% block"
    with pytest.raises(ConfigError, match=message):
        Templates("en", folder=tmp_path).render("offer", VALUES)


def test_html_and_text_files_of_the_shop_replace_the_format(tmp_path):
    (tmp_path / "offer.html").write_text("<b>{{ offer.name }}</b>")
    (tmp_path / "offer.txt").write_text("{{ offer.name }} & more")
    letter = Templates("en", folder=tmp_path).render("offer", VALUES)
    assert (letter.html, letter.text) == (
        "<b>8 € off &lt;today&gt;</b>\n",
        "8 € off <today> & more\n",
    )
    assert letter.subject == "8 € off <today>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ nobody }}", "UndefinedError: 'nobody' is undefined"),
        ("{{ offer.colour }}", "UndefinedError"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{% include '../secret.txt' %}", "there must be a template '../secret.txt'"),
    ],
)
def test_a_failing_template_is_reported_with_the_failure(tmp_path, text, message):
    (tmp_path.parent / "secret.txt").write_text("secret")
    (tmp_path / "own.j2").write_text("{% block subject %}a{% endblock %}" + text)
    with pytest.raises(ConfigError, match=message):
        Templates("en", folder=tmp_path).render("own", VALUES)


def test_a_missing_template_is_reported_with_the_built_in_ones():
    with pytest.raises(
        ConfigError, match=r"a template 'spring\.j2'\. Built in are offer, win_back"
    ):
        Templates("en").render("spring", VALUES)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="templates must be a folder, got none"):
        Templates("en", folder=tmp_path / "none")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "offer"),
        ({"kind": "points"}, "loyalty"),
        ({"kind": "greeting"}, "loyalty"),
        ({"kind": "survey"}, "survey"),
        ({"kind": "service"}, "service"),
        ({"kind": "win_back"}, "win_back"),
        ({"kind": "gift", "objective": "win_back"}, "win_back"),
        ({"kind": "gift", "birthday_within_days": 7}, "birthday"),
        ({"kind": "points", "holiday": "easter"}, "holiday"),
        ({"kind": "survey", "template": "spring"}, "spring"),
    ],
)
def test_the_template_depends_on_occasion_kind_and_objective(make_offer, changes, name):
    assert template_of(make_offer(**changes)) == name
