"""The name of the shop is escaped on every page."""

import re

import pytest

from churn.serving.pages import Pages

HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "A & B's <b>shop</b>"]


@pytest.mark.parametrize("shop", HOSTILE)
@pytest.mark.parametrize("page", ["question", "done", "unknown"])
def test_tags_in_the_name_of_the_shop_are_escaped(shop, page):
    """Fault 48: every page has the same tags, whatever the name."""
    tags = re.findall(r"<[^>]*>", getattr(Pages(shop, "en"), page))
    assert [tag for tag in tags if tag != '<p class="shop">'] == re.findall(
        r"<[^>]*>", getattr(Pages("plain", "en"), page).replace('<p class="shop">', "")
    )
    assert shop not in getattr(Pages(shop, "en"), page)


def test_the_policy_allows_no_script_and_no_other_origin():
    policy = Pages("<script>", "en").policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script" not in policy
    assert "unsafe" not in policy
