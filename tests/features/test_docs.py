"""The page of features is what the code declares, feature for feature."""

from pathlib import Path

from churn.features.catalogue import CATALOGUE
from churn.features.docs import catalogue_page

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_page_in_docs_is_the_one_that_the_catalogue_makes():
    assert PAGE.read_text(encoding="utf-8") == catalogue_page() + "\n", "run `make docs`"


def test_every_feature_of_ours_has_a_row():
    for name, one in CATALOGUE.items():
        if not one.hidden and one.formula.__module__.startswith("churn."):
            assert f"\n| `{name}` | {one.unit} | {one.meaning} |" in PAGE.read_text()


def test_what_the_shop_controls_and_what_must_be_connected_is_told():
    text = catalogue_page()
    assert "| `orders.discount` | yes |" in text
    assert "| `events.email_sent`" in text
