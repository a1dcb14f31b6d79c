"""Attacks on all routes of the pages, as the application lists them: each must fail everywhere."""

import asyncio
import csv
import io
import re
from html import unescape
from html.parser import HTMLParser
from itertools import product

import pytest
from asgi_client import AsgiClient
from page_acts import PLAN_RUN, Performed, ended, page_acts
from published_shop import HOSTILE, documents, write_page

from churn.serving.api.service import SEGMENTS, Api
from churn.serving.api.settings import ApiLimits, ApiSources
from churn.serving.application import Part, create_app
from churn.serving.dashboard.access import Accounts, User
from churn.serving.dashboard.acts import Act
from churn.serving.dashboard.base_views import DOCUMENTS, TABLES
from churn.serving.dashboard.oidc import CALLBACK
from churn.serving.dashboard.pages import MAX_BODY_BYTES, create_pages
from churn.serving.dashboard.site import STATIC, PageOptions
from churn.serving.unsubscribe import create_unsubscribe_app
from churn.storage.ledger import Ledger

OPEN = {"/login", "/login/provider", CALLBACK, "/language", "/static/{name}"}
"""What somebody who is not logged in may ask for."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NAMES = ("vera", "anna", "ada")
KEYS = {name: name[0] * 40 for name in NAMES}
ROLES = dict(zip(NAMES, ("viewer", "analyst", "admin"), strict=True))
ACCOUNTS = Accounts({name: User(name=name, role=ROLES[name], api_key=KEYS[name]) for name in NAMES})
KEY = "0" * 32
ID = re.compile(r"\bc000\d\d\b")
SECRETS = ("Corner Shop", "churn-1", "winter", "PAR1", PLAN_RUN)
"""Texts of the shop that no stranger may read."""
SMALL = 7


class Pages:
    """The pages of a folder, and who asks."""

    def __init__(self, folder, *earlier):
        self.acts = page_acts(folder, Performed(), *earlier)
        options = PageOptions(
            published=folder / "page.duckdb",
            accounts=ACCOUNTS,
            session_key=b"k" * 32,
            acts=self.acts,
        )
        self.app = create_pages(options)

    def ask(self, path, name=None, method="GET", **options):
        headers = options.pop("headers", {})
        if name is not None:
            headers = {**headers, "authorization": f"Bearer {KEYS[name]}"}
        return AsgiClient(self.app).ask(method, path, headers=headers, **options)

    @property
    def routes(self):
        """The paths of all routes, with their methods."""
        return [(route.path, route.methods) for route in self.app.routes]

    def paths(self):
        """Every path that there is: each route with each value that it can have."""
        values = {
            "{page}": TABLES,
            "{kind}": ("csv", "json"),
            "{key}": (KEY, "1" * 32),
            "/static/{name}": [f"/static/{name}" for name in STATIC],
            "/documents/{name}": [f"/documents/{name}" for name in DOCUMENTS],
            "/download/{name}": [f"/download/{name}" for name in self.acts.files()],
        }
        tables = re.findall(r'href="(/tables/[^"]+)"', self.ask("/downloads", "ada").text)
        assert len(tables) > 30
        found = [path for path in tables if path.endswith((".csv", ".json"))]
        for route, _ in self.routes:
            if route.startswith("/tables/"):
                continue
            named = {name: known for name, known in values.items() if name in route}
            for chosen in product(*named.values()):
                path = route
                for name, value in zip(named, chosen, strict=True):
                    path = path.replace(name, value)
                assert "{" not in path, f"the test must know the values of {route}"
                found.append(path)
        return [*found, "/customer?id=c00003", "/customers?q=c0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    write_page(folder / "page.duckdb", customers=30)
    (folder / "plan.parquet").write_bytes(b"PAR1")
    (folder / "plan-list.csv").write_text("customer_id\nc00001\n")
    return folder


@pytest.fixture(scope="module")
def pages(folder):
    acts = [
        Act(key=KEY, kind="send", by="ada", to="email", state="done"),
        Act(key="1" * 32, kind="plan", by="ada", budget=5.0, state="failed"),
    ]
    return Pages(folder, *acts)


def test_nothing_but_the_way_to_log_in_is_readable_by_a_stranger(pages):
    open_paths = tuple(path.partition("{")[0] for path in OPEN)
    for path, method in product(pages.paths(), METHODS):
        answer = pages.ask(path, method=method)
        assert not ID.search(answer.text), (method, path)
        assert not [text for text in SECRETS if text in answer.text], (method, path)
        if not path.startswith(open_paths):
            assert answer.status_code in (303, 401, 405, 501), (method, path)
            if answer.status_code == 303:
                assert answer.headers["location"].startswith("/login?next=")
            assert len(answer.content) < 100
    assert {path for path, _ in pages.routes} >= OPEN


def test_many_wrong_keys_lock_nobody_out(pages):
    for _ in range(20):
        assert pages.ask("/", headers={"authorization": "Bearer " + "x" * 40}).status_code == 401
    assert pages.ask("/", "anna").status_code == 200


def test_a_wrong_key_reads_as_little_as_none(pages):
    for path in pages.paths():
        answer = pages.ask(path, headers={"authorization": "Bearer " + "x" * 40})
        assert answer.status_code in (200, 303, 401, 404, 405), path
        assert not [text for text in SECRETS if text in answer.text], path
        if answer.status_code == 200:
            assert path.startswith(("/login", "/static/")), path


def test_a_viewer_reads_no_customer_on_any_route(pages):
    read = []
    for path in pages.paths():
        answer = pages.ask(path, "vera")
        assert answer.status_code in (200, 303, 403, 404, 405), path
        asked_for = re.sub(r'href="/language[^"]*"', "", answer.text)
        assert not ID.search(asked_for), path
        read += [path] * (answer.status_code == 200)
    assert "/segments" in read
    assert not [path for path in read if path.startswith(("/customer", "/documents"))]


def test_every_form_needs_a_token_of_its_session_and_a_page_of_this_site(pages):
    posts = [path for path, methods in pages.routes if "POST" in methods]
    assert {"/login", "/logout", "/campaigns/plan", "/campaigns/send"} <= set(posts)
    form = {"key": KEY, "to": "email", "plan_run_id": PLAN_RUN, "budget": "1", "check": KEY}
    accounts = Accounts({})  # whoever is here, so that only the token can refuse
    options = PageOptions(
        published=pages.acts.plan_file.with_name("page.duckdb"),
        accounts=accounts,
        session_key=b"k" * 32,
        acts=pages.acts,
    )
    client = AsgiClient(create_pages(options))
    stranger = AsgiClient(create_pages(options))
    others = re.search(r'name="csrf" value="(\w+)"', stranger.get("/campaigns").text)[1]
    own = re.search(r'name="csrf" value="(\w+)"', client.get("/campaigns").text)[1]
    for path in posts:
        for token, headers in (
            ("", {}),
            ("0" * 64, {}),
            (others, {}),
            (own, {"sec-fetch-site": "cross-site"}),
            (own, {"sec-fetch-site": "same-site"}),
        ):
            if path == "/login" and headers:
                continue  # a form of this site's own session, which a stranger cannot have
            answer = client.post(path, data={**form, "csrf": token}, headers=headers)
            assert answer.status_code == 403, (path, token[:4], headers)
    assert pages.acts._perform.made == []


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 3_000_000])
def test_an_oversized_form_is_refused(pages, size):
    for path in [path for path, methods in pages.routes if "POST" in methods]:
        answer = pages.ask(path, "ada", "POST", content=b"a" * size, headers=FORM)
        assert answer.status_code in (403, 413), path
    assert pages.acts._perform.made == []


def test_a_form_that_does_not_come_is_refused_in_time(pages, monkeypatch):
    monkeypatch.setattr("churn.serving.dashboard.pages.BODY_SECONDS", 0.05)

    async def body():
        yield b"key="
        await asyncio.sleep(5)
        yield KEY.encode()

    answer = pages.ask("/campaigns/plan", "ada", "POST", content=body(), headers=FORM)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "multipart/form-data; boundary=" + "a" * 300]
)
def test_a_form_of_another_type_is_refused(pages, kind):
    headers = {"content-type": kind}
    answer = pages.ask("/campaigns/plan", "ada", "POST", content=b"budget=1", headers=headers)
    assert answer.status_code == 403


def hostile(value, text, key=""):
    """A document whose texts all begin with `text`, except those by which rows are chosen."""
    if isinstance(value, dict):
        return {name: hostile(one, text, name) for name, one in value.items()}
    if isinstance(value, list):
        return [hostile(one, text, key) for one in value]
    chooses = key in ("split", "group", "predictor", "layer", "state", "currency", "document")
    is_date = isinstance(value, str) and re.match(r"\d{4}-\d\d", value)
    return f"{text}{value}" if isinstance(value, str) and not chooses and not is_date else value


class Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def check_harmless(page, where):
    """No text became a tag, a handler, or an address of another site."""
    for tag, attributes in Tags(page).found:
        assert tag not in ("img", "iframe", "object", "style", "base", "embed"), where
        assert not [name for name in attributes if name.startswith("on")], where
        for name in ("href", "src", "action", "formaction"):
            target = attributes.get(name)
            assert target is None or target[:1] in ("/", "#") or target == "data:,", (where, target)
            assert target is None or not target.startswith("//"), where
        if tag == "script":
            assert attributes["src"].startswith("/static/"), where
        if tag == "meta" and "http-equiv" in attributes:
            assert attributes["content"] == "2", where


@pytest.fixture(scope="module", params=range(len(HOSTILE)))
def attacked(request, tmp_path_factory):
    """The pages of a shop all of whose texts attack."""
    text = HOSTILE[request.param]
    folder = tmp_path_factory.mktemp("hostile")
    found = {name: hostile(value, text) for name, value in documents().items()}
    write_page(folder / "page.duckdb", customers=12, text=text, **found)
    (folder / "plan.parquet").write_bytes(b"PAR1")
    act = {"kind": "send", "by": text, "to": text, "progress": text, "notes": (text,)}
    acts = [
        Act(key=KEY, **act, state="failed", failure=text),
        Act(key="1" * 32, kind="plan", by=text, budget=1.0, state="failed", failure=text),
    ]
    return text, Pages(folder, *acts)


def test_no_text_of_the_data_becomes_a_part_of_any_page_or_a_formula(attacked):
    text, pages = attacked
    shown = 0
    for path in [*pages.paths(), "/segments?lang=de", "/?lang=de"]:
        answer = pages.ask(path, "ada")
        kind = answer.headers.get("content-type", "")
        if "html" in kind:
            check_harmless(answer.text, path)
            shown += text in unescape(answer.text)
        elif "csv" in kind and path != "/campaigns/download/plan-list.csv":
            cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
            assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-\D", cell)], path
        assert answer.headers["x-content-type-options"] == "nosniff", path
    assert shown > 3  # the texts were there


def test_no_text_of_a_request_becomes_a_part_of_any_page(pages):
    names = ("q", "segment", "sort", "page", "least", "lang", "budget", "next", "id", "to")
    names += ("error", "error_description", "state", "code")
    for text, path in product(HOSTILE, pages.paths()):
        if "?" in path or path.startswith(("/tables/", "/documents/", "/static/")):
            continue
        for name in (None, "ada"):
            answer = pages.ask(path, name, params=dict.fromkeys(names, text))
            if "html" in answer.headers.get("content-type", ""):
                check_harmless(answer.text, path)
            location = answer.headers.get("location", "/")
            assert location.startswith("/"), (path, location)
            assert not location.startswith("//"), (path, location)
    for text in HOSTILE:
        check_harmless(pages.ask(f"/{text}", "ada").text, text)


def with_small_counts(value, key=""):
    """A document all of whose counts of customers are seven, and whose other numbers are halves."""
    if isinstance(value, dict):
        return {name: with_small_counts(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [with_small_counts(one, key) for one in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return SMALL if isinstance(value, int) and key not in KEPT else 0.5


KEPT = {"age", "days", "version", "horizon_days", "lookback_days", "budget", "features"}


def visible(page):
    """The texts of a page, and those of its titles and names."""
    text = re.sub(r"<(svg|option|script).*?</\1>", " ", page, flags=re.S)
    named = re.findall(r'(?:title|aria-label|content|data-\w+)="([^"]*)"', text)
    return " ".join([re.sub(r"<[^>]*>", " ", text), *named])


def test_a_viewer_reads_no_count_below_ten_on_any_route(tmp_path):
    found = {name: with_small_counts(value) for name, value in documents().items()}
    found["plan"]["offers"]["none"] = 0
    note = f"{SMALL} customers are in no table"
    found["notes"] = {name: [note] for name in DOCUMENTS}
    found["segments"]["personas"][0]["persona"] = f"Bought on {SMALL} days"
    write_page(tmp_path / "page.duckdb", customers=9, **found)
    (tmp_path / "plan.parquet").write_bytes(b"PAR1")
    pages = Pages(tmp_path)
    small = re.compile(rf"(?<![\d.,:-]){SMALL}(?![\d.,:%]| %|\w)")
    leaks = {"vera": [], "anna": []}
    for name, path in product(leaks, pages.paths()):
        answer = pages.ask(path, name)
        is_page = "html" in answer.headers.get("content-type", "")
        text = visible(answer.text) if is_page else answer.text
        if answer.status_code == 200 and not path.startswith(("/static", "/login")):
            leaks[name] += [
                (path, text[max(0, m.start() - 40) : m.end() + 20]) for m in small.finditer(text)
            ]
    assert leaks["vera"] == []
    assert len({path for path, _ in leaks["anna"]}) >= 20  # the counts were there


def test_a_viewer_reads_no_share_of_a_cohort_that_stands_for_less_than_ten(tmp_path):
    start = {"cohort": "2017-07-03", "is_truncated": False, "cohort_size": 250, "is_open": False}
    rows = [
        {
            **start,
            "age": age,
            "customers": customers,
            "customers_percent": customers / 2.5,
            "cumulative_margin_per_customer": 10.0,
            "closes_on": None,
        }
        for age, customers in enumerate((250, 40, SMALL, 0))
    ]
    cohorts = {**documents()["cohorts"], "cohorts": rows}
    write_page(tmp_path / "page.duckdb", customers=9, cohorts=cohorts)
    pages = Pages(tmp_path)
    path = "/tables/cohorts/cohort_customers.json"
    shown = {name: pages.ask(path, name).json()[0] for name in ("anna", "vera")}
    shares = [[shown[name][f"age_{age}"] for age in range(4)] for name in ("anna", "vera")]
    assert shares == [[100.0, 16.0, 2.8, 0.0], [100.0, 16.0, None, 0.0]]
    assert "2.8" not in pages.ask("/cohorts", "vera").text


def test_an_act_shows_its_texts_as_texts(attacked):
    text, pages = attacked
    pages.ask(
        "/campaigns/check",
        "ada",
        "POST",
        data={"key": "2" * 32, "to": "email", "plan_run_id": text},
    )
    ended(pages.acts, "2" * 32)
    for key in ("2" * 32, KEY):
        check_harmless(pages.ask(f"/campaigns/delivery/{key}", "ada").text, key)


API_OPEN = {"/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json"}


def test_no_part_of_the_service_answers_a_stranger_with_anything_of_the_shop(folder, tmp_path):
    api = Api(
        ApiSources(
            champion=tmp_path / "champion",
            load_model=lambda: pytest.fail("no model is needed to refuse"),
            scores=tmp_path / "scores.parquet",
            ledger=tmp_path / "ledger.db",
            run_id="run-1",
            currency="EUR",
            day_timezone="UTC",
            language="en",
            same_customer=str,
            erasure_key=None,
        ),
        ApiLimits(),
    )
    with Ledger(tmp_path / "ledger.db"):
        pass
    unsubscribe = create_unsubscribe_app(tmp_path / "ledger.db", shop="Corner Shop")
    pages = Pages(folder)
    parts = [
        Part(unsubscribe, frozenset({"unsubscribe"})),
        Part(pages.app),
        Part(api, SEGMENTS),
    ]
    client = AsgiClient(create_app(parts))
    routes = [(route.path, route.methods) for route in api.fastapi.routes]
    assert {path for path, _ in routes} > API_OPEN
    for path, methods in routes:
        asked = re.sub(r"\{\w+\}", "churn", path)
        for method in methods:
            answer = client.ask(method, asked, headers={"content-type": "application/json"})
            assert (answer.status_code == 401) != (path in API_OPEN), (method, path)
            assert not ID.search(answer.text), path
    for path in [path for path, _ in pages.routes if path not in OPEN]:
        answer = client.get(path.replace("{", "").replace("}", ""))
        assert answer.status_code in (303, 401, 405), path
    assert client.get(f"/unsubscribe/{KEY}").status_code == 404
