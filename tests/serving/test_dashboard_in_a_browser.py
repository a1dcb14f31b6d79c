"""The pages in Chromium: errors, barriers, keyboard, small screens, high contrast, no script."""

import os
import re
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromium import launched
from page_acts import Performed, page_acts
from published_shop import write_page

from churn.serving.dashboard.access import Accounts, User, hash_password
from churn.serving.dashboard.acts import Act
from churn.serving.dashboard.pages import create_pages
from churn.serving.dashboard.site import PageOptions

COUNTS = {"offered": 90, "left_out": {"consent_refused": 6}, "to_send": 84}
CHECK = Act(key="0" * 32, kind="check", by="anna", to="email", state="done", result=COUNTS)
PLAN = Act(key="1" * 32, kind="plan", by="anna", budget=9.0, state="failed", failure="no scores")
PAGES = (
    *("/", "/customers", "/segments", "/cohorts", "/journey", "/signals", "/feedback"),
    *("/campaigns", "/model", "/downloads", "/customer?id=c00003"),
    *("/campaigns/delivery/" + CHECK.key, "/campaigns/plan/" + PLAN.key),
)
SHOTS = os.environ.get("CHURN_SCREENSHOTS")
"""A folder that receives a picture of every page, for whoever wants to look at them."""


FOCUS = "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
AXE = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}
"""In the dark only the colours are others."""


@contextmanager
def served(folder, users):
    """The pages on a port of their own, in a thread."""
    import uvicorn

    published = folder / "page.duckdb"
    options = PageOptions(
        published=published,
        accounts=Accounts(users),
        session_key=b"k" * 32,
        acts=page_acts(folder, Performed(), CHECK, PLAN),
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_pages(options), log_level="error", lifespan="off", ws="none", http="h11"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def browser():
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    write_page(folder / "page.duckdb")
    (folder / "plan.parquet").write_bytes(b"PAR1")
    users = {"anna": User(name="anna", role="admin", password_hash=hash_password("pw", cost=16))}
    with served(folder, users) as found:
        yield found


@contextmanager
def page_of(browser, address, **options):
    """A page whose console must stay silent, logged in."""
    context = browser.new_context(base_url=address, **options)
    errors = []
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/")
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill("pw")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="To decide").wait_for()
    yield page
    context.close()
    assert errors == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_has_an_error_or_a_barrier(browser, address, colours):
    from axe_playwright_python.sync_playwright import Axe

    axe, found = Axe(), {}
    with page_of(browser, address, color_scheme=colours) as page:
        for path in PAGES:
            page.goto(path)
            page.get_by_role("main").wait_for()
            violations = axe.run(page, options=AXE[colours]).response["violations"]
            if violations:
                found[path] = [
                    (one["id"], [node["html"][:150] for node in one["nodes"][:3]])
                    for one in violations
                ]
            if SHOTS:
                keep_pictures(page, path, colours)
    assert found == {}


def keep_pictures(page, path, colours):
    Path(SHOTS).mkdir(parents=True, exist_ok=True)
    name = (
        re.sub(r"\W+", "-", path.partition("0000")[0].partition("1111")[0]).strip("-") or "overview"
    )
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        page.reload()  # as if it had been opened there
        page.screenshot(path=f"{SHOTS}/{name}-{width}-{colours}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 720})


def test_customers_are_filtered_sorted_found_and_paged(browser, address):
    with page_of(browser, address) as page:
        page.get_by_role("link", name="Customers", exact=True).click()
        page.get_by_label("Segment").select_option("best")
        page.get_by_role("button", name="Apply").click()
        page.locator("#count", has_text="20 of 137").wait_for()
        page.get_by_role("link", name="at stake").click()
        page.locator("th[aria-sort=descending]").wait_for()
        page.get_by_role("link", name="Remove the filter: Segment").click()
        page.get_by_role("link", name="Next").click()
        page.get_by_text("51 to 100 of 137").wait_for()
        page.get_by_label("Part of the customer id").fill("c0013")
        page.get_by_role("button", name="Apply").click()
        page.locator("#count", has_text="7 of 137").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").click()
        text = Path(download.value.path()).read_text()
        assert len(text.splitlines()) == 8
        page.get_by_role("link", name="c00131").click()
        page.get_by_role("heading", name="Customer c00131").wait_for()


def test_the_slider_shows_another_budget_and_the_plan_is_made(browser, address):
    with page_of(browser, address) as page:
        page.goto("/campaigns")
        page.get_by_role("slider").fill("200")
        page.locator("#at-budget", has_text="With a budget of 200 €").wait_for()
        assert "+120 €" in page.locator("#at-budget").inner_text()
        page.locator("#budget").fill("1.150,50")
        page.locator("#at-budget", has_text="With a budget of 1,151 €").wait_for()
        page.locator("#budget").fill("2OO")
        assert page.locator("#plan-budget").input_value() == "2OO"  # which the service refuses
        page.get_by_role("slider").fill("200")
        page.get_by_role("button", name="Make the plan").click()
        page.get_by_text("The plan was made: 90 customers, 200 €").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the plan").click()
        assert download.value.suggested_filename == "plan.parquet"


def test_everything_works_without_script(browser, address):
    with page_of(browser, address, java_script_enabled=False) as page:
        page.goto("/campaigns")
        page.get_by_label("Budget, €").fill("200")
        page.get_by_role("button", name="Show").click()
        page.locator("#at-budget", has_text="With a budget of 200 €").wait_for()
        page.get_by_role("button", name="Make the plan").click()
        page.get_by_text("The plan was made").wait_for()
        assert "90 customers, 200 €" in page.get_by_role("main").inner_text()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        assert page.get_by_label("Budget, €").count() == 0


def test_a_keyboard_reaches_the_content_and_every_control(browser, address):
    with page_of(browser, address) as page:
        page.goto("/customers")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        seen = []
        for _ in range(16):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(FOCUS))
        ids = [one for one, _ in seen]
        assert ids.index("q") < ids.index("f-segment") < ids.index("at_risk")
        assert {style for one, style in seen if one} == {"solid"}  # the focus is seen


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 320, "height": 640}},
        {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
        {"viewport": {"width": 390, "height": 800}, "forced_colors": "active"},
    ],
    ids=["320 px", "200 %", "forced colours"],
)
def test_no_page_is_wider_than_a_small_screen(browser, address, options):
    with page_of(browser, address, **options) as page:
        wide = []
        for path in PAGES:
            page.goto(path)
            page.get_by_role("main").wait_for()
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > options["viewport"]["width"]:
                wide.append((path, width))
        assert wide == []
