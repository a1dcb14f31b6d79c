"""Sending and exporting from the pages: who may, once for each form, on record, interruptible."""

import re
import threading

import pytest
from asgi_client import AsgiClient
from page_acts import PLAN_RUN, Performed, ended, page_acts
from published_shop import write_page

from churn.errors import BusyError
from churn.serving.dashboard.access import Accounts, User
from churn.serving.dashboard.acts import STOPPED, Act, key_of_send
from churn.serving.dashboard.pages import create_pages
from churn.serving.dashboard.site import PageOptions

KEYS = {"vera": "v" * 40, "anna": "a" * 40, "ada": "d" * 40}
ACCOUNTS = Accounts(
    {
        name: User(name=name, role=role, api_key=KEYS[name])
        for name, role in (("vera", "viewer"), ("anna", "analyst"), ("ada", "admin"))
    }
)
KEY = "0" * 32
CHECK = {"key": KEY, "to": "email", "plan_run_id": PLAN_RUN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("acting")
    write_page(folder / "page.duckdb", customers=20)
    (folder / "plan.parquet").write_bytes(b"PAR1")
    (folder / "plan-list.csv").write_text("customer_id\nc00001\n")
    return folder


class Pages:
    """The pages with their acts, asked with the key of a user."""

    def __init__(self, folder, performed=None, *earlier, accounts=ACCOUNTS):
        self.performed = Performed() if performed is None else performed
        self.acts = page_acts(folder, self.performed, *earlier)
        self.client = AsgiClient(
            create_pages(
                PageOptions(
                    published=folder / "page.duckdb",
                    accounts=accounts,
                    session_key=b"k" * 32,
                    acts=self.acts,
                )
            )
        )

    def get(self, path, name="ada"):
        return self.client.get(path, headers={"authorization": f"Bearer {KEYS[name]}"})

    def post(self, path, form, name="ada"):
        headers = {"authorization": f"Bearer {KEYS[name]}"}
        return self.client.post(path, data=form, headers=headers)

    def checked(self, **form):
        """The page of a check that has ended."""
        answer = self.post("/campaigns/check", {**CHECK, **form})
        ended(self.acts, KEY)
        return self.get(answer.headers["location"])


@pytest.fixture
def pages(folder):
    return Pages(folder)


def kinds(pages):
    return [kind for kind, *_ in pages.performed.made]


def test_what_was_checked_is_sent_once_however_often_it_is_confirmed(pages):
    page = pages.checked()
    assert "84 messages of the campaign winter would be sent" in page.text
    assert "left out: refuses marketing on the channel" in page.text
    assert "A note of the command." in page.text
    answers = {pages.post("/campaigns/send", {"check": KEY}).headers["location"] for _ in range(3)}
    (address,) = answers
    sent = ended(pages.acts, key_of_send(Act(key=KEY, kind="check", by="")))
    assert "84 messages of the campaign winter were sent" in pages.get(address).text
    assert kinds(pages) == ["check", "send"]
    assert pages.performed.made[1] == ("send", "email", "ada", sent.run_id)
    page = pages.get(f"/campaigns/delivery/{KEY}").text  # back, and reloaded
    assert "has been sent: see what became of it" in page
    assert 'action="/campaigns/send"' not in page


def test_a_confirmation_after_a_restart_sends_nothing_again(folder):
    check = Act(key=KEY, kind="check", by="ada", to="email", state="done", result={"to_send": 84})
    done = Act(key=key_of_send(check), kind="send", by="ada", to="email", state="done")
    pages = Pages(folder, None, check, done)
    answer = pages.post("/campaigns/send", {"check": KEY})
    assert answer.headers["location"] == f"/campaigns/delivery/{done.key}"
    assert pages.performed.made == []


def test_nothing_is_sent_that_was_not_checked(pages):
    for check in ("", KEY, "../x", "1" * 32):
        answer = pages.post("/campaigns/send", {"check": check})
        assert answer.status_code == 400
        assert "Only what was checked can be sent" in answer.text
    pages.post("/campaigns/export", {**CHECK, "to": "list"})
    ended(pages.acts, KEY)
    assert pages.post("/campaigns/send", {"check": KEY}).status_code == 400
    assert kinds(pages) == ["export"]


@pytest.mark.parametrize(
    "form",
    [
        {**CHECK, "to": "webhook"},
        {**CHECK, "to": "../list"},
        {**CHECK, "to": ""},
        {**CHECK, "plan_run_id": ""},
        {**CHECK, "key": "../x"},
        {**CHECK, "key": ""},
        {"to": "list"},
    ],
)
@pytest.mark.parametrize("path", ["/campaigns/check", "/campaigns/export"])
def test_a_form_that_no_page_made_does_nothing(pages, path, form):
    assert pages.post(path, form).status_code == 400
    assert pages.performed.made == []


def test_only_administrators_send_and_export(pages):
    for name in ("vera", "anna"):
        for path in ("/campaigns/check", "/campaigns/send", "/campaigns/export"):
            answer = pages.post(path, {**CHECK, "check": KEY}, name)
            assert answer.status_code == 403
            assert "Only administrators send and export" in answer.text
        assert pages.get(f"/campaigns/delivery/{KEY}", name).status_code == 403
        assert 'action="/campaigns/check"' not in pages.get("/campaigns", name).text
    assert pages.performed.made == []
    assert 'action="/campaigns/check"' in pages.get("/campaigns").text


def test_without_users_nothing_is_sent_from_the_pages(folder):
    pages = Pages(folder, accounts=Accounts({}))
    page = pages.client.get("/campaigns")
    assert "Administrators send and export the plan" in page.text
    token = re.search(r'name="csrf" value="(\w+)"', page.text)[1]
    answer = pages.client.post("/campaigns/check", data={**CHECK, "csrf": token})
    assert answer.status_code == 403
    assert pages.performed.made == []


def test_a_list_is_exported_and_downloaded(pages):
    answer = pages.post("/campaigns/export", {**CHECK, "to": "list"})
    ended(pages.acts, KEY)
    page = pages.get(answer.headers["location"]).text
    assert "84 rows of the campaign winter were written" in page
    assert 'href="/campaigns/download/plan-list.csv"' in page
    assert pages.get("/campaigns/download/plan-list.csv").text.startswith("customer_id")
    assert pages.get("/campaigns/download/plan-list.csv", "vera").status_code == 403


def test_an_end_before_the_last_message_is_shown_with_its_cause(folder):
    pages = Pages(folder)
    pages.checked()
    pages.performed.failure = "sending stopped early: the other side answered 421"
    answer = pages.post("/campaigns/send", {"check": KEY})
    ended(pages.acts, answer.headers["location"].rpartition("/")[2])
    page = pages.get(answer.headers["location"]).text
    assert "The sending ended early" in page
    assert "the other side answered 421" in page
    assert "nobody gets a message twice" in page


def test_the_first_plan_is_made_where_none_was_published(tmp_path):
    write_page(tmp_path / "page.duckdb", customers=20, plan=None)
    pages = Pages(tmp_path)
    page = pages.get("/campaigns", "anna").text
    assert "Make a plan" in page
    assert "Make a plan" not in pages.get("/campaigns", "vera").text
    key = re.search(r'name="key" value="(\w+)"', page)[1]
    assert pages.post("/campaigns/plan", {"key": key, "budget": "250"}, "anna").status_code == 303
    ended(pages.acts, key)
    assert pages.performed.made == [("plan", 250.0, "anna", f"page-{key}")]
    assert "The plan was made: 90 customers" in pages.get(f"/campaigns/plan/{key}", "anna").text


class Held(Performed):
    """An act that goes on until it is interrupted."""

    def __init__(self):
        super().__init__()
        self.running, self.go_on = threading.Event(), threading.Event()

    def __call__(self, act, *, progress):
        self.made.append((act.kind, act.to, act.by, act.run_id))
        progress("sending: 40 of 1,200")
        self.running.set()
        self.go_on.wait(20)
        progress("sending: 41 of 1,200")
        raise AssertionError


def test_progress_is_shown_one_act_runs_at_a_time_and_the_end_of_the_service_interrupts_it(folder):
    pages = Pages(folder, Held())
    address = pages.post("/campaigns/check", CHECK).headers["location"]
    assert pages.performed.running.wait(20)
    page = pages.get(address).text
    assert "40 of 1,200 so far" in page
    assert '<meta http-equiv="refresh"' in page
    answer = pages.post("/campaigns/plan", {"key": "1" * 32, "budget": "5"})
    assert answer.status_code == 409
    pages.performed.go_on.set()
    pages.acts.stop()
    act = pages.acts.find(KEY)
    assert (act.state, act.failure) == ("failed", STOPPED)
    with pytest.raises(BusyError, match="stopping"):
        pages.acts.start(Act(key="2" * 32, kind="export", by="ada", to="list"))


def test_a_budget_in_german_notation_is_that_budget_and_no_other(pages):
    for number, text in enumerate(("1.374,50", "1374,5", "1,374.50")):
        key = f"{number:032x}"
        pages.post("/campaigns/plan", {"key": key, "budget": text})
        assert ended(pages.acts, key).budget == 1374.5
    for text in ("1374,505", "2OO", ""):
        assert pages.post("/campaigns/plan", {"key": "f" * 32, "budget": text}).status_code == 400
