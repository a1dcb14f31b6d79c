"""Reasons add up to the score, speak in the customer's own numbers, and never claim a cause."""

import numpy as np
import pytest
from simulated_shop import shop_dataset, shop_model

from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel
from churn.modeling.portable import logit
from churn.scoring.explain import CONTROLLED, family_contributions, reasons, spoken
from churn.scoring.sentences import SENTENCES, sentence


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().eligible.sample(60, random_state=1).reset_index(drop=True)


def test_contributions_add_up_to_the_log_odds_of_the_trees(rows):
    """TreeSHAP is additive: what is left after the families is the same for everyone."""
    _, parts = family_contributions(shop_model(), rows)
    portable = shop_model().portable()
    raw = portable.boosters["lapse"].predict(portable.matrix(rows))
    rest = logit(raw) - parts.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)


def test_every_family_that_may_be_told_has_its_sentences():
    told = {o.family for o in CATALOGUE.values() if not (o.hidden or o.controlled)}
    assert told - {"gaps"} == set(SENTENCES), "gaps are told with recency"
    families, parts = family_contributions(shop_model(), shop_dataset().eligible.head(3))
    assert set(families) <= {*SENTENCES, CONTROLLED}
    assert parts.shape == (3, len(families))


def test_what_the_shop_controls_is_never_a_reason():
    controlled = {o.family for o in CATALOGUE.values() if o.controlled}
    told = {o.family for o in CATALOGUE.values() if not o.controlled}
    assert controlled - told, "a family that the shop decides altogether"
    assert not (controlled - told) & set(SENTENCES)


def test_a_sentence_whose_number_is_unknown_gives_way_to_a_more_general_one():
    known = {"last_email_open_days": 9.0, "last_visit_days": 2.0}
    assert sentence("engagement", known, raises=True) == "Last opened an e-mail 9 days ago."
    unknown = known | {"last_email_open_days": float("nan")}
    assert sentence("engagement", unknown, raises=True) == "Last visited 2 days ago."
    assert "{" not in sentence("engagement", {}, raises=True)


def test_at_most_three_reasons_raise_and_one_protects(rows):
    said = reasons(shop_model(), rows)
    assert len(said) == len(rows)
    assert max(map(len, said)) <= 4
    families, parts = family_contributions(shop_model(), rows)
    for record, texts, part in zip(rows.to_dict("records"), said, parts, strict=True):
        told = [i for i, family in enumerate(families) if family != CONTROLLED]
        part = part[told]  # noqa: PLW2901 - the told ones only
        raising = [sentence(families[i], spoken(record), raises=True) for i in told]
        protecting = [sentence(families[i], spoken(record), raises=False) for i in told]
        count = sum(text in raising for text in texts)
        assert count <= 3
        assert count == min(3, (part >= 0.05).sum())
        assert len(texts) - count == (part.min() <= -0.05)
        assert set(texts) <= {*raising, *protecting}


def test_the_strongest_reason_comes_first(rows):
    families, parts = family_contributions(shop_model(), rows)
    said = reasons(shop_model(), rows)
    for record, texts, part in zip(rows.to_dict("records"), said, parts, strict=True):
        told = np.where([family == CONTROLLED for family in families], -np.inf, part)
        if told.max() >= 0.05:
            strongest = families[int(np.argmax(told))]
            assert texts[0] == sentence(strongest, spoken(record), raises=True)


def test_no_reason_holds_an_undefined_number_or_claims_a_cause():
    said = [text for texts in reasons(shop_model(), shop_dataset().eligible) for text in texts]
    assert said
    assert not [text for text in said if "nan" in text or "None" in text or "inf " in text]
    assert not [text for text in said if "because" in text.lower()]


def test_reasons_do_not_depend_on_who_else_is_explained(rows):
    together = reasons(shop_model(), rows)
    assert [reasons(shop_model(), rows.iloc[[i]])[0] for i in range(5)] == together[:5]


def test_a_stand_in_gives_no_reasons_for_its_trees_do_not_speak(rows):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    assert reasons(model.set_params(stand_in="recency"), rows) == [[]] * len(rows)


def test_nobody_needs_no_reasons(rows):
    assert reasons(shop_model(), rows.head(0)) == []


def test_a_subscriber_who_never_bought_has_no_words_of_purchases():
    record = {"recency_days": np.nan, "tenure_days": np.nan, "expected_gap_days": 30.0}
    words = spoken({**record, "is_cancelled": 1.0, "days_to_expiry": 1.0, "renewals_so_far": 2.0})
    assert "recency" not in words
    assert sentence("subscription", words, raises=True) == (
        "Has cancelled; the subscription ends in 1 day."
    )
    running = spoken({**record, "is_cancelled": 0.0, "days_to_expiry": 9.0, "renewals_so_far": 2.0})
    assert sentence("subscription", running, raises=True) == (
        "The subscription ends in 9 days after 2 renewals."
    )
