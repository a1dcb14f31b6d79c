"""The pages over HTTP: what is shown to whom, and attacks that must fail."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from asgi_client import AsgiClient
from page_acts import Performed, page_acts
from published_shop import CUSTOMERS, HOSTILE, write_page
from waiting import wait_for

from churn.serving.dashboard.access import Accounts, User, hash_password
from churn.serving.dashboard.pages import VIEWS, create_pages
from churn.serving.dashboard.site import PageOptions

KEY = b"k" * 32
PASSWORD = "correct horse"
API_KEY = "a" * 40
PAGES = (
    *("/", "/customers", "/segments", "/cohorts", "/journey", "/signals", "/feedback"),
    *("/campaigns", "/model", "/downloads", "/customer?id=c00003"),
)


@pytest.fixture(scope="module")
def accounts():
    hashed = hash_password(PASSWORD, cost=16)
    users = {
        name: User(name=name, role=role, password_hash=hashed)
        for name, role in (("vera", "viewer"), ("anna", "analyst"), ("ada", "admin"))
    }
    users["robot"] = User(name="robot", role="analyst", api_key=API_KEY)
    return Accounts(users)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_page(folder / "page.duckdb")
    (folder / "plan.parquet").write_bytes(b"PAR1")
    return folder


@pytest.fixture
def plans():
    return Performed()


def client_of(folder, accounts, plans=None, base="http://localhost"):
    acts = page_acts(folder, Performed() if plans is None else plans)
    options = PageOptions(
        published=folder / "page.duckdb", accounts=accounts, session_key=KEY, acts=acts
    )
    return AsgiClient(create_pages(options), base)


@pytest.fixture
def client(folder, accounts, plans):
    return client_of(folder, accounts, plans)


@pytest.fixture
def opened(folder, plans):
    """The pages of this machine, without users."""
    return client_of(folder, Accounts({}), plans)


def token_in(page):
    return re.search(r'name="csrf" value="(\w+)"', page.text)[1]


def log_in(client, name, password=PASSWORD, then="/"):
    form = {"csrf": token_in(client.get("/login")), "name": name, "password": password}
    return client.post("/login", data={**form, "next": then})


def test_every_page_is_shown_and_sends_its_headers(opened):
    for path in PAGES:
        page = opened.get(path)
        assert page.status_code == 200, path
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "private, no-store"
        assert " style=" not in page.text  # the policy forbids it
        assert len(page.content) < 60_000


def test_nothing_but_the_way_to_log_in_is_open(client):
    for path in (*VIEWS, *PAGES, "/unknown", "/customers.csv", "/documents/plan.json"):
        answer = client.get(path)
        assert answer.status_code in (303, 401), path
        assert "Corner" not in answer.text
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/login?next=")
    assert client.get("/login").status_code == 200
    assert client.post("/campaigns/plan", data={"budget": "1"}).status_code == 303


def test_a_login_leads_to_the_page_that_was_asked_for_and_a_logout_ends_it(client):
    answer = log_in(client, "anna", then="/customers?segment=best")
    assert (answer.status_code, answer.headers["location"]) == (303, "/customers?segment=best")
    page = client.get("/customers")
    assert page.status_code == 200
    kept = dict(client.cookies)
    assert client.post("/logout", data={"csrf": token_in(page)}).status_code == 303
    client.cookies.update(kept)  # a copy of the cookie is worth nothing after it
    assert client.get("/customers").status_code == 303


def test_cookies_are_for_tls_alone_except_on_this_machine(folder, accounts):
    plain = client_of(folder, accounts).get("/login").headers["set-cookie"]
    assert plain.startswith("churn_session=")
    assert "HttpOnly" in plain
    assert "SameSite=lax" in plain
    for headers, base in (
        ({}, "https://shop.example"),
        ({"x-forwarded-proto": "https"}, "http://localhost"),
    ):
        answer = client_of(folder, accounts, base=base).get("/login", headers=headers)
        assert answer.headers["set-cookie"].startswith("__Host-churn=")
        assert "Secure" in answer.headers["set-cookie"]


def test_the_session_is_another_one_after_the_login(client):
    client.get("/login")
    before = client.cookies["churn_session"]
    log_in(client, "anna")
    after = client.cookies["churn_session"]
    assert before != after
    client.cookies.clear()
    client.cookies.set("churn_session", before)  # one that an attacker fixed is still nobody's
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "cookie", ["", "x", "W10.x.y", "a" * 5_000, "WyJhIiwiYW5uYSIsIiJd.aaaaaa.b"]
)
def test_a_forged_cookie_is_nobody(client, cookie):
    client.cookies.set("churn_session", cookie)
    assert client.get("/").status_code == 303


def test_wrong_passwords_get_one_answer_and_soon_none(client):
    answers = [log_in(client, name, "wrong") for name in ("anna", "nobody")]
    texts = [re.sub(r'value="\w*"', "", answer.text) for answer in answers]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert texts[0] == texts[1]
    states = {log_in(client, "anna", "wrong").status_code for _ in range(10)}
    assert states == {401, 429}
    assert log_in(client, "anna").status_code == 429  # not even with the right one
    assert log_in(client, "ada").status_code == 303


def test_a_form_of_another_session_or_site_changes_nothing(client, plans):
    log_in(client, "anna")
    token = token_in(client.get("/campaigns"))
    good = {"csrf": token, "key": "0" * 32, "budget": "100"}
    for form, headers in (
        ({**good, "csrf": "0" * 64}, {}),
        ({**good, "csrf": ""}, {}),
        (good, {"sec-fetch-site": "cross-site"}),
        (good, {"sec-fetch-site": "same-site"}),
    ):
        assert client.post("/campaigns/plan", data=form, headers=headers).status_code == 403
    assert client.post("/campaigns/plan", json=good).status_code == 403
    assert client.get("/campaigns/plan", params=good).status_code in (404, 405)
    assert plans.made == []


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example"),
        *("javascript:alert(1)", "/\t/evil.example", "http:evil.example", "///evil.example"),
        "/%0d%0aset-cookie:a=b\r\nx: y",
    ],
)
def test_nobody_is_sent_to_another_site(opened, target):
    for path in ("/language", "/login"):
        answer = opened.get(path, params={"to": "de", "next": target})
        assert answer.headers["location"] == "/"


def test_a_plan_is_made_once_for_a_key_and_by_whoever_asked(client, plans):
    log_in(client, "anna")
    page = client.get("/campaigns?budget=200")
    assert "200" in page.text
    key = re.search(r'name="key" value="(\w+)"', page.text)[1]
    form = {"csrf": token_in(page), "key": key, "budget": "200"}
    for _ in range(3):
        answer = client.post("/campaigns/plan", data=form)
        assert answer.headers["location"] == f"/campaigns/plan/{key}"
    wait_for(lambda: "being made" not in client.get(answer.headers["location"]).text)
    assert "The plan was made: 90 customers" in client.get(answer.headers["location"]).text
    assert plans.made == [("plan", 200.0, "anna", f"page-{key}")]
    assert client.post("/campaigns/plan", data={**form, "key": "../x"}).status_code == 400
    assert (
        client.post("/campaigns/plan", data={**form, "budget": "-1", "key": "1" * 32}).status_code
        == 400
    )


def test_roles_see_and_do_what_they_may(folder, accounts):
    viewer, analyst, admin = (client_of(folder, accounts) for _ in range(3))
    for client, name in ((viewer, "vera"), (analyst, "anna"), (admin, "ada")):
        log_in(client, name)
    assert "Acts on record" in admin.get("/campaigns").text
    assert "Acts on record" not in analyst.get("/campaigns").text
    page = viewer.get("/campaigns")
    assert "Make the plan" not in page.text
    refused = viewer.post(
        "/campaigns/plan", data={"csrf": token_in(page), "key": "0" * 32, "budget": "1"}
    )
    assert refused.status_code == 403
    assert analyst.get("/campaigns/download/plan.parquet").content == b"PAR1"
    assert viewer.get("/campaigns/download/plan.parquet").status_code == 403


def test_a_viewer_sees_no_customer_and_no_group_below_ten(client):
    log_in(client, "vera")
    paths = [path for path in PAGES if not path.startswith("/customer")]
    paths += ["/tables/segments/segments.json", "/tables/feedback/scores.csv"]
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert not re.search(r"\bc\d{5}\b", answer.text), path
    for path in ("/customers", "/customer?id=c00003", "/customers.csv", "/documents/feedback.json"):
        assert client.get(path).status_code == 403
    assert client.get("/tables/feedback/worklist.csv").status_code == 404
    rows = {row["segment"]: row for row in client.get("/tables/segments/segments.json").json()}
    assert rows["new"]["customers"] == rows["new"]["net_spend"] or rows["new"]["net_spend"] is None
    hidden = [name for name, row in rows.items() if row["customers"] == "<10"]
    assert "new" in hidden
    assert len(hidden) == 2  # else the others would tell
    counts = [
        r["customers"]
        for r in client.get("/tables/journey/transitions.json").json()
        if "customers" in r
    ]
    assert not any(isinstance(count, int) and 0 < count < 10 for count in counts)


def test_an_api_key_needs_no_session_and_no_form_token(client, plans):
    headers = {"authorization": f"Bearer {API_KEY}"}
    assert client.get("/customers.json", headers=headers).status_code == 200
    assert (
        client.get("/customers.json", headers={"authorization": "Bearer " + "b" * 40}).status_code
        == 401
    )
    form = {"key": "2" * 32, "budget": "10"}
    assert client.post("/campaigns/plan", data=form, headers=headers).status_code == 303
    assert client.post("/campaigns/plan", data=form).status_code == 303  # to the login
    wait_for(lambda: plans.made)
    assert plans.made == [("plan", 10.0, "robot", "page-" + "2" * 32)]


def test_without_users_the_pages_are_for_this_machine_alone(folder):
    opened = client_of(folder, Accounts({}))
    assert opened.get("/").status_code == 200
    for headers in (
        {"host": "evil.example"},
        {"x-forwarded-for": "203.0.113.9"},
        {"x-real-ip": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
    ):
        answer = opened.get("/customers", headers=headers)
        assert answer.status_code == 403
        assert "c00000" not in answer.text


def texts_of(page):
    """The tags and attributes of a page, and all its text."""
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))

    Reader().feed(page)
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_the_data_becomes_part_of_a_page(tmp_path, text):
    write_page(tmp_path / "page.duckdb", customers=30, text=text)
    opened = client_of(tmp_path, Accounts({}))
    for path in ("/", "/customers", "/downloads", f"/customers?q={text}&segment={text}"):
        tags = texts_of(opened.get(path).text)
        assert all(
            attributes.get("src", "").startswith("/static/")
            for tag, attributes in tags
            if tag == "script"
        )
        assert not [
            attributes for _, attributes in tags if any(n.startswith("on") for n in attributes)
        ]
        assert not [tag for tag, _ in tags if tag in ("img", "iframe", "object")]
    shown = opened.get("/customer", params={"id": f"{text}c00003"})
    assert shown.status_code == 200
    rows = list(csv.reader(io.StringIO(opened.get("/customers.csv").text)))
    assert len(rows) == 31
    assert not [cell for row in rows[1:] for cell in row if cell.startswith(("=", "+", "@"))]
    assert {row["customer_id"] for row in opened.get("/customers.json").json()} == {
        f"{text}c{n:05d}" for n in range(30)
    }


@pytest.mark.parametrize("text", [*HOSTILE, "' OR 1=1 --", "%", "_", "\\", "\x00", "é" * 300])
def test_filters_are_values_and_never_sql(opened, text):
    for name in ("q", "segment", "status", "risk", "reason", "offer", "channel", "outcome"):
        page = opened.get("/customers", params={name: text})
        assert page.status_code == 200
        assert "No customer fits" in page.text, name
    for name in ("sort", "order", "page", "at_risk", "lang"):
        assert opened.get("/customers", params={name: text}).status_code == 200
    for path in ("/customers", "/customers.csv", "/customers.json"):
        for name in ("least", "most"):
            refused = opened.get(path, params={name: text})
            assert (refused.status_code, "c00001" in refused.text) == (400, False)
    assert len(opened.get("/customers.json").json()) == CUSTOMERS


def test_filters_sorts_and_pages_agree_with_the_rows(opened):
    everyone = opened.get("/customers.json").json()
    asked = {"segment": "best", "least": "100", "sort": "spend", "order": "desc"}
    found = opened.get("/customers.json", params=asked).json()
    wanted = [r for r in everyone if r["segment"] == "best" and (r["value_at_risk"] or 0) >= 100]
    assert [r["customer_id"] for r in found] == [
        r["customer_id"] for r in sorted(wanted, key=lambda r: -r["monetary"])
    ]
    seen = []
    for number in (1, 2, 3):
        page = opened.get("/customers", params={"sort": "stake", "order": "asc", "page": number})
        seen += re.findall(r'scope="row"><a href="/customer\?id=(c\d+)"', page.text)
    assert len(seen) == len(set(seen)) == CUSTOMERS
    written = [opened.get("/customers.json", params={"least": t}).json() for t in ("50.5", "50,5")]
    assert written[0] == written[1] != everyone
    assert "1 to 50 of 137" in opened.get("/customers").text
    assert "101 to 137 of 137" in opened.get("/customers?page=99999").text


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../pages.py", "/static/..%2fpages.py", "/static/%2e%2e/access.py"),
        *("/documents/../plan.json", "/documents/published.json", "/tables/x/y.csv"),
        *("/tables/segments/segments.exe", "/campaigns/download/..%2fpage.duckdb"),
        *("/campaigns/download/page.duckdb", "/campaigns/plan/" + "0" * 32),
    ],
)
def test_no_path_leads_out_of_what_is_offered(opened, path):
    assert opened.get(path).status_code == 404


def test_a_published_file_is_shown_at_once_and_its_successor_soon(tmp_path):
    opened = client_of(tmp_path, Accounts({}))
    assert "Nothing has been published yet" in opened.get("/").text
    write_page(tmp_path / "page.duckdb", customers=40)
    assert "40 customers" in opened.get("/customers").text
    write_page(tmp_path / "page.duckdb", customers=60)
    shown = [opened.get("/customers").text]
    wait_for(lambda: shown.append(opened.get("/customers").text) or "60 customers" in shown[-1])
    assert all("40 customers" in text for text in shown[:-1])


def test_the_page_of_the_model_shows_monitoring_with_alarms_first(opened):
    page = opened.get("/model").text
    assert "Shifted: recency_days." in page
    rows = opened.get("/tables/model/monitor.json").json()
    assert [(row["layer"], row["state"]) for row in rows] == [("shift", "alarm"), ("data", "ok")]
    assert page.index("recency_days is larger") < page.index("Orders end on 2026-10-31.")


def test_tables_and_documents_are_what_was_published(opened, folder):
    from churn.reporting.published import Published

    with Published(folder / "page.duckdb") as published:
        plan = published.document("plan")
        segments = published.document("segments")["segments"]
    assert opened.get("/documents/plan.json").json() == plan
    rows = opened.get("/tables/segments/segments.json").json()
    assert rows == [{key: row[key] for key in rows[0]} for row in segments]
    text = opened.get("/tables/segments/segments.csv").text
    assert [r["customers"] for r in csv.DictReader(io.StringIO(text))] == [
        str(row["customers"]) for row in segments
    ]


def test_a_page_whose_document_is_missing_says_why(tmp_path):
    write_page(
        tmp_path / "page.duckdb",
        signals=None,
        model=None,
        plan=None,
        missing={"signals": "connect <older> orders", "model": "train", "plan": "plan"},
    )
    opened = client_of(tmp_path, Accounts({}))
    assert "Connect &lt;older&gt; orders." in opened.get("/signals").text
    for path in PAGES:
        assert opened.get(path).status_code == 200


def test_german_pages_are_german(opened):
    page = opened.get("/customers?lang=de")
    assert '<html lang="de">' in page.text
    assert "137 Kunden" in page.text
    assert opened.get("/language?to=de&next=/model").headers["location"] == "/model"
    assert "Modell" in opened.get("/model").text
    assert json.loads(opened.get("/tables/campaigns/offers.json").text)[0]["offer"] == "coupon-5"


@pytest.mark.parametrize("text", ["c0", "00c", "1c0", "013", "c00013", "00131", "x01"])
def test_an_id_is_found_by_any_part_of_it_and_never_by_two_ids_together(opened, text):
    everyone = [row["customer_id"] for row in opened.get("/customers.json").json()]
    wanted = sum(text in name for name in everyone)
    page = opened.get("/customers", params={"q": text, "sort": "customer", "order": "asc"})
    shown = re.search(r'id="count">(\d+) of 137', page.text)
    assert int(shown[1]) == wanted
    found = re.findall(r'scope="row"><a href="/customer\?id=(c\d+)"', page.text)
    assert found == sorted(name for name in everyone if text in name)[:50]
