"""Reasons add up to the score, speak in the customer's own numbers, and never claim a cause."""

import numpy as np
import pytest
from simulated_shop import shop_dataset, shop_model

from churn.features.catalogue import CATALOGUE
from churn.modeling.model import ChurnModel
from churn.modeling.portable import logit
from churn.scoring.explain import SENTENCES, family_contributions, reasons, spoken


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


def test_every_family_of_features_has_its_two_sentences():
    families, parts = family_contributions(shop_model(), shop_dataset().eligible.head(3))
    assert set(families) == set(SENTENCES)
    assert parts.shape == (3, len(families))
    assert {CATALOGUE[name].family for name in shop_model().feature_names_} <= {*families, "gaps"}


def test_at_most_three_reasons_raise_and_one_protects(rows):
    said = reasons(shop_model(), rows)
    assert len(said) == len(rows)
    assert max(map(len, said)) <= 4
    families, parts = family_contributions(shop_model(), rows)
    for record, texts, part in zip(rows.to_dict("records"), said, parts, strict=True):
        raising = [SENTENCES[f][0].format(**spoken(record)) for f in families]
        protecting = [SENTENCES[f][1].format(**spoken(record)) for f in families]
        count = sum(text in raising for text in texts)
        assert count <= 3
        assert count == min(3, (part >= 0.05).sum())
        assert len(texts) - count == (part.min() <= -0.05)
        assert set(texts) <= {*raising, *protecting}


def test_the_strongest_reason_comes_first(rows):
    families, parts = family_contributions(shop_model(), rows)
    said = reasons(shop_model(), rows)
    for record, texts, part in zip(rows.to_dict("records"), said, parts, strict=True):
        if part.max() >= 0.05:
            strongest = families[int(np.argmax(part))]
            assert texts[0] == SENTENCES[strongest][0].format(**spoken(record))


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
