"""What a shop calls itself is text on the page, whatever stands in it."""

import re

import pytest

from churn.serving.pages import Pages

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "A & B's <b>shop</b>"]


@pytest.mark.parametrize("shop", HOSTILE)
@pytest.mark.parametrize("page", ["question", "done", "unknown"])
def test_no_tag_of_a_shops_name_is_one_of_the_page(shop, page):
    """Fault 48: the tags of every page are those of a page without a name, and one for the name."""
    tags = re.findall(r"<[^>]*>", getattr(Pages(shop, "en"), page))
    assert [tag for tag in tags if tag != '<p class="shop">'] == re.findall(
        r"<[^>]*>", getattr(Pages("plain", "en"), page).replace('<p class="shop">', "")
    )
    assert shop not in getattr(Pages(shop, "en"), page)


def test_the_policy_allows_no_script_and_no_other_place():
    policy = Pages("<script>", "en").policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy
