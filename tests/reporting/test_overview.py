"""The overview word for word, in its fixed forms, from small documents."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from small_documents import (
    DOCUMENTS,
    EVERYONE,
    LEAVING,
    LOOK,
    MEASURED,
    METRICS,
    NOVEMBER,
    PLAN,
    ROW,
    WORKLIST,
    YEAR_BEFORE,
    period,
)

from churn.reporting.numbers import LEAST_CUSTOMERS
from churn.reporting.overview import MOST_NUMBERS, overview_of


def texts(block):
    return [one.text.replace("\N{NARROW NO-BREAK SPACE}", " ") for one in block.sentences]


def made(row=ROW, customers=LEAVING, language=None, least=0, **documents):
    everything = {**DOCUMENTS, "feedback": WORKLIST, **documents}
    return overview_of(row, everything, customers, language=language, least=least)


def test_the_overview_word_for_word():
    found = made()
    assert texts(found.trust) == [
        "As of 1 December 2011. Orders to 30 November 2011, read 02:14 UTC; "
        "model of 6 November 2011; nothing needs you."
    ]
    assert texts(found.decide) == [
        "2,126 customers are worth an offer: 1,374 € spent should bring 9,758 € of margin "
        "(measured effects).",
        "reminder 851 · points 720 · discount 555 · none 4,836, 2,329 kept out by lot",
        "1 € more would bring 3.10 € net; 500 € more, 1,210 €.",
        "14 unhappy customers with 2,310 € at stake have had no answer.",
    ]
    assert texts(found.level) == [
        "90.7 % kept (± 1.1), as last November, 90.6 %.",
        "2,459 were active on 1 November 2011",
        "\N{MINUS SIGN} 229 lost, 9.3 %",
        "+ 191 new",
        "+ 417 won back",
        "2,838 active on 1 December 2011",
        "Active: bought in the last 90 days.",
    ]
    assert texts(found.moved) == [
        "Nothing moved beyond chance. 214 numbers were looked at; the largest change: "
        "purchase days 1, 88.0 % → 87.3 % kept (± 3.6 points)."
    ]
    assert texts(found.earned) == [
        "January\N{RIGHT SINGLE QUOTATION MARK}s offers brought 5,787 € net: somewhere between "
        "\N{MINUS SIGN}1,170 € and 12,743 €, so not yet proven.",
        "They kept 271 customers (182 to 359) who would have left.",
        "2,126 planned for an offer against 740 kept without, from 1 January 2011 to before "
        "29 January 2011.",
    ]
    assert texts(found.leaving) == [
        "The 2 with most at stake, of 929 at risk with 41,234 € at stake."
    ]
    first, second = found.leaving.rows
    assert first.offer.text.replace("\N{NARROW NO-BREAK SPACE}", " ") == "points, 4.10 € expected"
    assert second.offer.text == "none: service comes first"
    assert 20 < len(found.numbers) <= MOST_NUMBERS
    assert not found.trust.needs_attention


def test_late_orders_outweigh_everything_else():
    found = made(row=replace(ROW, published_at=datetime(2011, 12, 3, 3, 0))).trust
    assert texts(found) == ["Orders end on 30 November 2011, 3 days ago: what follows is of then."]
    assert found.needs_attention


def test_a_model_that_is_off_needs_somebody():
    early = [{"state": "alarm", "expected": 1330.0, "observed": 1204, "deviation": -0.0947}]
    early[0]["half"] = 0.04
    signal = {"action": "refit", "layer": "early", "text": "…"}
    found = made(monitor={"signal": [signal], "early": early}).trust
    assert texts(found) == [
        "The model expected 1,330 returners by now and 1,204 came "
        "(\N{MINUS SIGN}9 % ± 4): it needs a refit."
    ]
    assert found.needs_attention
    data = {**signal, "action": "check the data", "layer": "data", "text": "orders are late"}
    assert texts(made(monitor={"signal": [data]}).trust) == ["orders are late"]
    watch = {**signal, "action": "watch", "layer": "shift"}
    assert not made(monitor={"signal": [watch]}).trust.needs_attention


def test_an_earlier_date_on_purpose_is_not_late():
    past = replace(ROW, as_of=date(2011, 11, 1), orders_until=date(2011, 10, 20))
    assert "Orders to 20 October 2011" in texts(made(row=past).trust)[0]


def test_warnings_are_counted_where_nothing_would_need_you():
    found = made(notes={"tables": ["orders: 3 rows dropped"]}).trust
    assert texts(found)[0].endswith("; 1 note to read.")
    assert found.details == ("orders: 3 rows dropped",)


@pytest.mark.parametrize(
    ("sources", "words"),
    [(["assumed"], "(assumed effects: nobody measured them)"), (["assumed", "x"], "partly")],
)
def test_assumed_effects_are_named_beside_the_number(sources, words):
    found = made(plan={**PLAN, "effect_sources": sources}).decide
    assert words in texts(found)[0]


def test_what_is_missing_says_what_to_connect():
    missing = {"plan": "make one with `churn plan`", "signals": "older orders", "score": "train"}
    found = overview_of(ROW, {"missing": missing, "notes": {}}, ())
    assert found.decide.missing == "There is no plan yet: make one with `churn plan`"
    assert found.moved.missing == "Signals are missing: older orders"
    assert found.leaving.missing == "Scores are missing: train"


def test_a_fall_beyond_its_interval_is_a_fall():
    counts = (2459, 1967, 492, 191, 417, 2575)
    fallen = period("2011-11-01", "2011-12-01", counts, (80.0, 78.4, 81.6), last_year=90.6)
    found = made(metrics={**METRICS, "periods": [YEAR_BEFORE, fallen]})
    assert texts(found.level)[0] == "80.0 % kept (± 1.6), down from last November, 90.6 %."


def test_a_signal_is_a_sentence_with_its_part_of_the_total():
    signal = {**LOOK, "split": "region", "value": "north", "signal": True, "change": -8.0}
    looks = [EVERYONE, {**signal, "percent": 80.0, "half_width": 3.0}]
    assert texts(made(signals={"looks": looks, "parts": []}).moved) == [
        "region north: 88.0 % → 80.0 % kept (± 3.0 points), 840 customers; "
        "\N{MINUS SIGN}2.7 of the +0.1 points of the total."
    ]


def test_a_proven_result_has_no_hedge():
    money = {**MEASURED["money"], "net_low": "170.00"}
    found = made(measurements=[{**MEASURED, "money": money}])
    assert texts(found.earned)[0].endswith("offers brought 5,787 € net (170 € to 12,743 €).")


def test_without_ids_small_counts_are_hidden_and_cannot_be_calculated():
    small = {**NOVEMBER, "new": 4, "won_back": 604}
    plan = {**PLAN, "offers": {"discount": 3, "points": 1423, "none": 5536}}
    found = made(
        plan=plan,
        metrics={**METRICS, "periods": [YEAR_BEFORE, small]},
        customers=(),
        least=LEAST_CUSTOMERS,
    )
    assert "+ 608 new or won back" in texts(found.level)
    assert "discount <10" in texts(found.decide)[1]
    hidden = [one for one in found.numbers if one.value is None]
    assert [(one.name, one.sources) for one in hidden] == [("discount", ())]
    assert texts(found.leaving) == ["929 at risk with 41,234 € at stake."]


def test_german_has_its_own_forms():
    found = made(language="de")
    level = "90,7 % gehalten (± 1,1), wie im November des Vorjahres, 90,6 %."
    assert texts(found.level)[0] == level
    assert texts(found.trust)[0].endswith("Modell vom 6. November 2011; nichts zu tun.")
