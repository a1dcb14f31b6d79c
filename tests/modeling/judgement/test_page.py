"""The page and the pictures: what a person must find there, whole and in plain words."""

import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from judged_shop import shop_judgement

from churn.modeling.judgement.horizons import HorizonTrial
from churn.modeling.judgement.importance import Ablated
from churn.modeling.judgement.page import judgement_page
from churn.modeling.judgement.pictures import PICTURES, capacity_in_words, judgement_files
from churn.modeling.metrics import Interval

ALWAYS = set(PICTURES) - {"ablation"}
SOME = Interval(0.01, -0.01, 0.03)


@pytest.fixture(scope="module")
def files():
    return judgement_files(shop_judgement())


TITLES = {
    "Gain and lift",
    "Calibration",
    "Calibration by slice",
    "Profit of a campaign",
    "Lapse rate over time",
    "Feature importance",
    "Backtest of the list",
}


def test_every_chart_is_an_svg_with_its_own_title(files):
    titles = set()
    assert {name.removesuffix(".svg") for name in files if name.endswith(".svg")} == ALWAYS
    for name in ALWAYS:
        root = ElementTree.fromstring(files[f"{name}.svg"])
        texts = [element.text for element in root.iter() if element.text]
        assert root.tag.endswith("svg")
        titles |= TITLES & set(texts)
    assert titles == TITLES


def test_the_same_judgement_gives_the_same_bytes(files):
    assert judgement_files(shop_judgement()) == files


def test_the_page_links_every_picture_there_is_and_no_other(files):
    page = "\n".join(judgement_page(shop_judgement(), pictures="report/"))
    linked = {part.split(")")[0] for part in page.split("](")[1:]}
    assert linked == {f"report/{name}" for name in files if name.endswith(".svg")}


def test_without_the_extra_there_are_figures_and_how_to_get_charts(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert set(judgement_files(shop_judgement())) == {"judgement.json"}
    page = "\n".join(judgement_page(shop_judgement(), pictures="report/"))
    assert ".svg" not in page
    assert page.count("pip install 'churnwise[report]'") == len(ALWAYS)


def test_the_page_tells_every_part_with_intervals():
    page = "\n".join(judgement_page(shop_judgement()))
    for part in (
        "## Performance on later cutoffs",
        "| bg_nbd |",
        "| lapse: one-time buyers |",
        "| lapse: 3+ purchase days |",
        "| decline: eligible |",
        "| all pooled cutoffs |",
        "## Backtest of the decision",
        "| value_at_risk |",
        "capacity of 10%",
        "Expected maximum profit per customer",
        "acceptance Beta(6, 14)",
        "## Lapse rate over time",
        "## Feature importance",
    ):
        assert part in page
    assert "nan" not in page
    assert "## Other horizons" not in page


def test_what_was_asked_for_is_told_and_drawn():
    asked = replace(
        shop_judgement(),
        ablation=(Ablated("recency", 3, SOME, 0.002),),
        horizons=(HorizonTrial(56, refused="the data is too short"),),
    )
    page = "\n".join(judgement_page(asked))
    assert "(ablation.svg)" in page
    assert "- 56 days: the data is too short" in page
    assert b"Ablation of feature families" in judgement_files(asked)["ablation.svg"]


def test_a_capacity_is_said_as_it_was_set():
    assert capacity_in_words(0.25) == "25%"
    assert capacity_in_words(500) == "500 customers"
