import re
from pathlib import Path

import numpy as np
import pytest

from churn.errors import ConfigError
from churn.offers.catalogue import Offers

PAGE = Path(__file__).parents[2] / "docs" / "offers.md"
EXAMPLE = Path(__file__).parents[2] / "examples" / "offers.toml"
CATALOGUE = """
[campaign]
id = "spring"

[[offers]]
offer_id = "coupon"
name = "5 % off"
kind = "discount"
channel = "email"
margin_cost = 2
contact_cost = 0.01
redemption_rate = 0.1
effect = 0.03
effect_low = 0.01
effect_high = 0.05
cooldown_days = 28
expires_after_days = 14
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "offers.toml"
        path.write_text(text, encoding="utf-8")
        return Offers.load(path)

    return load


def test_the_example_catalogue_can_be_loaded():
    offers = Offers.load(EXAMPLE)
    assert len(offers) == 8
    assert {status for offer in offers for status in offer.statuses} == {"eligible", "lapsed"}


def test_an_offer_is_for_the_eligible_unless_it_says_otherwise(load):
    (offer,) = load(CATALOGUE)
    assert offer.statuses == ("eligible",)
    assert load(CATALOGUE + 'statuses = ["new", "eligible"]').offers[0].statuses == (
        "new",
        "eligible",
    )


def test_the_expected_cost_is_redemptions_plus_contact(make_offer):
    offer = make_offer(margin_cost=4.0, redemption_rate=0.25, contact_cost=0.5)
    assert offer.expected_cost(np.zeros(1))[0] == 1.5


@pytest.mark.parametrize("text", ["10%", "10 %", " 10.0 %", "10,0%"])
def test_a_cost_in_percent_is_a_share_of_the_order(make_offer, text):
    offer = make_offer(margin_cost=text, redemption_rate=0.25, contact_cost=0.5)
    orders = np.array([40.0, 0.0, -8.0])
    np.testing.assert_allclose(offer.redemption_cost(orders), [4.0, 0.0, 0.0])
    np.testing.assert_allclose(offer.expected_cost(orders), [1.5, 0.5, 0.5])
    np.testing.assert_allclose(offer.worst_cost(orders), [4.5, 0.5, 0.5])
    assert offer.gives_margin


def test_a_subject_may_be_one_for_all_or_one_for_each_language(make_offer):
    assert make_offer().subject_in("de") is None
    assert make_offer(subject="Hello").subject_in("de") == "Hello"
    each = make_offer(subject={"en": "Hello", "de": "Hallo"})
    assert each.subject_in("de") == "Hallo"
    with pytest.raises(ConfigError, match=r"got \['de', 'en'\]. Write subject.fr"):
        each.subject_in("fr")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": "TEN OFF"}, "code must be a code without white space"),
        ({"code": "TEN", "codes": "codes.csv"}, "one code for all or a file of codes"),
        ({"subject": "two\nlines"}, "subject must be one line of text"),
        ({"subject": {}}, "subject must be one line of text"),
    ],
)
def test_codes_and_subjects_that_no_message_can_hold_are_refused(make_offer, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_offer(**changes)


def test_a_code_tells_which_offer_is_redeemed(make_offer):
    offers = (make_offer("a", code="TEN"), make_offer("b", code="ten"))
    with pytest.raises(ConfigError, match=r"every code must belong to one offer.*\['ten'\]"):
        Offers(offers, "spring")


@pytest.mark.parametrize("text", ["101%", "-5%", "10", "%", "1e1%", "ten %", "10%%", ""])
def test_what_is_no_percentage_is_no_cost(make_offer, text):
    with pytest.raises(ConfigError, match=r"margin_cost must be a number >= 0, or a share.*10 %"):
        make_offer(margin_cost=text)


@pytest.mark.parametrize(
    ("line", "wrong", "message"),
    [
        ("margin_cost = 2", 'margin_cost = "2"', r"'coupon': margin_cost must be a number >= 0"),
        ("margin_cost = 2", "margin_cost = -2", r"margin_cost must .* got -2\. Write money"),
        ("margin_cost = 2", "margin_cost = nan", r"margin_cost must .* got nan\. Write money"),
        ("margin_cost = 2", "margin_cost = true", r"margin_cost must .* got True\. Write money"),
        ("redemption_rate = 0.1", "redemption_rate = 15", r"Write 15 % as 0\.15"),
        ("effect = 0.03", "effect = 3", r"Write three percentage points as 0\.03"),
        ("effect = 0.03", "effect = 0.3", r"Widen the interval"),
        ("cooldown_days = 28", "cooldown_days = 28.5", r"whole days from 0 .* Write e\.g\. 28"),
        ("expires_after_days = 14", "expires_after_days = 0", r"whole days from 1 .* 14"),
        ("expires_after_days = 14", "expires_after_days = 9999999", r"to 3650"),
        ('kind = "discount"', 'kind = "coupon"', r'Use "other" if none fits'),
        ('kind = "discount"', 'kind = ["discount"]', r'Use "other" if none fits'),
        ('name = "5 % off"', 'name = " "', r"name must be a non-empty text"),
        ('channel = "email"', 'channel = "E-Mail"', r"offer 'coupon': channel must be 1 to 64"),
        ('offer_id = "coupon"', 'offer_id = "../x"', r"offer_id must be 1 to 64"),
        ('offer_id = "coupon"', 'offer_id = "none"', r"Choose another name"),
        ('offer_id = "coupon"', "", r"offer 1 lacks \['offer_id'\]\. Add them"),
        ("effect = 0.03", "efect = 0.03", r"'coupon' has an unknown key.*Did you mean 'effect'"),
        ("effect = 0.03", "", r"'coupon' lacks \['effect'\]"),
        ("effect = 0.03", 'effect = 0.03\nstatuses = ["churned"]', r"one or more of \['eligible'"),
        ("effect = 0.03", "effect = 0.03\nstatuses = [[1]]", r'Write e\.g\. \["eligible"\]'),
        ('id = "spring"', "id = 7", r"\[campaign\] id must be a non-empty text"),
        ('id = "spring"', 'id = "Spring 1"', r"campaign id must be 1 to 64"),
        ('id = "spring"', 'id = "holdout"', r"the reserved id of the global holdout.*Choose"),
        ("[campaign]", "[campain]", r"unknown key.*Did you mean 'campaign'"),
        ('[campaign]\nid = "spring"', "campaign = 7", r"Write \[campaign\] id"),
        ("[[offers]]", "[offers]", r"Head each with \[\[offers\]\]"),
        ("[[offers]]", "[[offers]", r"not valid TOML.*Fix that line"),
    ],
)
def test_a_wrong_entry_is_one_clear_line(load, line, wrong, message):
    assert line in CATALOGUE
    with pytest.raises(ConfigError, match=message) as caught:
        load(CATALOGUE.replace(line, wrong, 1))
    assert "\n" not in str(caught.value)


def test_the_objective_follows_from_the_kind_unless_it_is_said(make_offer):
    assert make_offer().aim == "retain"
    assert make_offer(kind="service").aim == "service"
    assert make_offer(kind="greeting").aim == "engage"
    assert make_offer(kind="other", objective="welcome").aim == "welcome"


def test_a_holiday_may_be_a_day_of_every_year_or_dates(load):
    days = '[holidays]\nchristmas = "12-25"\neaster = ["2026-04-05", "2027-03-28"]\n'
    offers = load(CATALOGUE + 'holiday = "easter"\n' + days)
    assert offers.holidays == {"christmas": ("12-25",), "easter": ("2026-04-05", "2027-03-28")}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('holiday = "xmas"', r"that an offer refers to must be in \[holidays\], got \['xmas'\]"),
        ('[holidays]\nxmas = "25.12."', r"\[holidays\] xmas must be a yearly day.*Write \"12-25\""),
        ("[holidays]\nxmas = 7", r"\[holidays\] xmas must be a yearly day"),
        ("capacity = -1", r"capacity must be a whole number >= 0.*Write e\.g\. 500"),
        ("capacity = 1.5", r"capacity must be a whole number"),
        ('template = "../x"', r"offer 'coupon': template must be 1 to 64"),
        ("template = 7", r"template must be a non-empty text"),
        ('link = "http://shop.example"', r"link must be an address that starts with https://"),
        ('link = "https://shop.example/a b"', r"link must be an address that starts with"),
        ('segments = "loyal"', r"segments must be a list of \['best', 'loyal'"),
        ('segments = ["champions"]', r"segments must be a list of \['best', 'loyal'"),
        ("birthday_within_days = 400", r"whole days from 0 to 366"),
        ('objective = "sell"', r"objective must be one of \['retain'"),
        ('statuses = ["lapsed"]', r'must have the objective "win_back".*a separate offer'),
    ],
)
def test_a_wrong_addition_is_one_clear_line(load, more, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(CATALOGUE + more)
    assert "\n" not in str(caught.value)


def test_a_misspelt_channel_is_refused_and_an_unknown_one_is_not(make_offer):
    with pytest.raises(ConfigError, match=r"a misspelling of 'email', got 'emial'\. Channels"):
        make_offer(channel="emial")
    assert make_offer(channel="whatsapp").channel == "whatsapp"


def test_an_offer_that_is_no_table_is_refused(load):
    with pytest.raises(ConfigError, match=r"offer 1 must be a table.*\[\[offers\]\]"):
        load('offers = [7]\n[campaign]\nid = "spring"')


def test_one_offer_id_twice_is_refused(load):
    twice = CATALOGUE + "[[offers]]" + CATALOGUE.split("[[offers]]")[1]
    with pytest.raises(ConfigError, match=r"\['coupon'\] again\. Rename or merge them"):
        load(twice)


def test_a_catalogue_without_offers_is_refused(load):
    with pytest.raises(ConfigError, match=r"Add an \[\[offers\]\] table"):
        load('offers = []\n[campaign]\nid = "spring"')


def test_a_catalogue_that_is_not_there_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigError, match="Give the path of a TOML file"):
        Offers.load(tmp_path / "none.toml")


def test_a_catalogue_that_is_not_text_is_a_wrong_setting(tmp_path):
    path = tmp_path / "offers.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not valid TOML"):
        Offers.load(path)


def test_the_offers_on_the_docs_page_are_one_catalogue_with_every_objective(tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    path = tmp_path / "offers.toml"
    path.write_text('[campaign]\nid = "page"\n' + "\n".join(blocks), encoding="utf-8")
    found = Offers.load(path)
    assert len(found) == len(blocks) > 8
    assert {offer.aim for offer in found} == {"retain", "engage", "win_back", "service"}
    assert all(offer.subject for offer in found if offer.channel == "email")
