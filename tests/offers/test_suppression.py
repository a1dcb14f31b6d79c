from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from churn.errors import ConfigError
from churn.offers.catalogue import Offers
from churn.offers.eligibility import served
from churn.offers.preferences import PreferenceMask
from churn.offers.suppression import Suppression, build_gates, suppression_codes

IDS = ["ann", "bob", "cid"]
SCORES = pa.table({"customer_id": IDS, "status": ["eligible"] * 3})
TREATED = np.zeros(3, dtype=np.int64)


@pytest.fixture
def gates(make_offer):
    def gates(
        offers=None, *, scores=SCORES, consent="assumed", consents=None, contacts=None, **more
    ):
        catalogue = Offers(tuple(offers or [make_offer()]), "c")
        return build_gates(
            scores,
            catalogue.offers,
            served=served(scores, catalogue, as_of=date(2024, 2, 28)),
            consent=consent,
            consents=consents and _consents(*consents),
            contacts=contacts and _contacts(*contacts),
            **more,
        )

    return gates


def test_every_code_says_what_it_means():
    assert all(code.meaning and code == code.value for code in Suppression)


def test_required_consent_opens_only_the_channels_granted_for_marketing(gates, make_offer):
    offers = [make_offer("mail"), make_offer("letter", channel="post")]
    found = gates(
        offers,
        consent="required",
        consents=[("ann", "email", "marketing", True), ("bob", "email", "profiling", True)],
    )
    assert found.open.tolist() == [[True, False], [False, False], [False, False]]


def test_required_consent_without_a_consents_table_opens_nothing(gates):
    assert not gates(consent="required").open.any()


def test_assumed_consent_still_honours_a_refusal(gates, make_offer):
    offers = [make_offer("mail"), make_offer("letter", channel="post")]
    found = gates(offers, consents=[("ann", "email", "marketing", False)])
    assert found.open.tolist() == [[False, True], [True, True], [True, True]]


@pytest.mark.parametrize("consent", ["required", "assumed"])
def test_a_refusal_of_profiling_on_any_channel_closes_every_offer(gates, consent):
    rows = [("ann", "email", "marketing", True), ("ann", "web", "profiling", False)]
    found = gates(consent=consent, consents=rows)
    assert found.objected.tolist() == [True, False, False]
    assert not found.open[0].any()


@pytest.mark.parametrize("consent", ["required", "assumed"])
def test_a_refusal_beside_a_grant_counts_whatever_its_case(gates, consent):
    rows = [("ann", "email", "marketing", True), ("ann", " Email", "MARKETING", False)]
    assert not gates(consent=consent, consents=rows).open[0].any()


def test_consents_of_customers_without_a_score_change_nothing(gates):
    assert gates(consents=[("zoe", "email", "marketing", False)]).open.all()


@pytest.mark.parametrize(("days_since", "rested"), [(27.9, False), (28.0, True), (400.0, True)])
def test_an_offer_rests_until_its_cooldown_is_over(gates, days_since, rested):
    found = gates(contacts=[("bob", "other", days_since), ("bob", "other", 500.0)])
    assert found.open[:, 0].tolist() == [True, rested, True]


def test_a_contact_without_an_offer_id_counts_but_a_decision_for_none_does_not(gates):
    found = gates(contacts=[("ann", None, 1.0), ("bob", "none", 1.0)])
    assert found.open[:, 0].tolist() == [False, True, True]


def test_each_offer_is_only_for_its_statuses(gates, make_offer):
    scores = pa.table({"customer_id": IDS, "status": ["eligible", "lapsed", None]})
    offers = [make_offer("mail"), make_offer("back", kind="win_back", statuses=("lapsed", "new"))]
    assert gates(offers, scores=scores).open.tolist() == [
        [True, False],
        [False, True],
        [False, False],
    ]


def test_a_misspelt_consent_rule_is_refused_rather_than_taken_as_assumed(gates):
    with pytest.raises(ConfigError, match='Use "required"'):
        gates(consent="requird")


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([], "consent_unknown"),
        ([("ann", "email", "marketing", False)], "consent_refused"),
        ([("ann", "web", "profiling", False)], "objected"),
    ],
)
def test_the_code_tells_a_refusal_from_silence(gates, rows, code):
    found = gates(consent="required", consents=[("bob", "email", "marketing", True), *rows])
    assert _codes(found)[0] == code


def test_what_is_not_wanted_or_comes_too_often_for_them_is_closed_and_told_apart(gates, make_offer):
    offers = [make_offer("mail"), make_offer("letter", channel="post")]
    unwanted = np.array([[True, True], [True, False], [True, False]])
    enough = np.array([[False, False], [False, False], [False, True]])
    found = gates(offers, preference_mask=PreferenceMask(unwanted, enough), contacted_enough=[])
    assert found.open.tolist() == [[False, False], [False, True], [False, False]]
    codes = _codes_of(found, np.ones((3, 2)), np.array([-1, 1, -1]))
    assert codes.to_pylist() == ["preference", None, "frequency_cap"]


def test_a_customers_own_limit_never_loosens_that_of_all(gates):
    found = gates(preference_mask=PreferenceMask.none(3, 1), contacted_enough=["bob"])
    assert found.open[:, 0].tolist() == [True, False, True]


def test_consent_is_named_before_a_preference_and_that_before_a_cooldown(gates):
    everything = PreferenceMask(np.ones((3, 1), dtype=bool), np.ones((3, 1), dtype=bool))
    refused = [("ann", "email", "marketing", False)]
    found = gates(consents=refused, contacts=[("bob", "other", 1.0)], preference_mask=everything)
    assert _codes(found) == ["consent_refused", "preference", "preference"]


def test_only_customers_with_an_offer_have_no_code(gates):
    codes = _codes_of(gates(), np.ones((3, 1)), np.array([0, -1, 0]))
    assert codes.to_pylist() == [None, "budget_exhausted", None]


def test_worth_matters_only_where_the_gates_are_open(gates):
    found = gates(contacts=[("ann", "other", 1.0)])
    codes = _codes_of(found, np.array([[9.0], [0.0], [np.nan]]), np.array([-1, -1, -1]))
    assert codes.to_pylist() == ["cooldown", "value_not_positive", "not_scored"]


def _codes(gates):
    return _codes_of(gates, np.ones((3, 1)), np.full(3, -1)).to_pylist()


def _codes_of(gates, value, choice):
    crowded_out = np.zeros(len(choice), dtype=bool)
    return suppression_codes(gates, value, choice, arm=TREATED, crowded_out=crowded_out)


def _consents(*rows):
    names = ["customer_id", "channel", "purpose", "granted"]
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


def _contacts(*rows):
    customer_ids, offer_ids, days_since = zip(*rows, strict=True)
    return pa.table(
        {
            "customer_id": customer_ids,
            "offer_id": pa.array(offer_ids, pa.string()),
            "days_since": days_since,
        }
    )
