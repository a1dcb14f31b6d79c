"""Signing in with an identity provider: a real one on loopback, and answers that must fail."""

import hashlib
import json
import threading
import time
import warnings
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from asgi_client import AsgiClient
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OctKey, RSAKey
from published_shop import write_page

from churn.commands.serve_pages import pages_part
from churn.config import load_accounts, load_oidc, load_settings
from churn.errors import ConfigError
from churn.serving.dashboard.access import Accounts, User, hash_password
from churn.serving.dashboard.oidc import CALLBACK, OidcClient, Provider
from churn.serving.dashboard.pages import create_pages
from churn.serving.dashboard.site import PageOptions

SECRET = "a secret of the client"
RIGHT = {"groups": ["crm", "staff"], "email": "anna@shop.example", "email_verified": True}


class Issuer:
    """A small OpenID provider: discovery, keys, authorization codes bound to PKCE, ID tokens."""

    def __init__(self):
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
        self.signing = self.key
        self.claims, self.header = dict(RIGHT), {"alg": "RS256"}
        self.codes, self.asked = {}, []
        self.metadata = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def grants(self, location):
        """The parameters that the browser brings back after it signed in at that address."""
        assert location.startswith(f"{self.address}/authorize?")
        asked = dict(parse_qsl(urlsplit(location).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["client_id"] == "churn"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, form):
        asked = self.codes.pop(form["code"], None)
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        bound = urlsafe_b64encode(challenge).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != bound:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            **{"iss": self.address, "sub": "7", "aud": "churn", "nonce": asked["nonce"]},
            **{"iat": now, "exp": now + 300},
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"kid": "one", **self.header}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the algorithm "none"
            token = jwt.encode(header, claims, self.signing, algorithms=[header["alg"]])
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": token}

    def _handler(issuer):  # noqa: N805 - the handler has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                if self.path == "/.well-known/openid-configuration":
                    self._answer(200, issuer.discovery())
                elif self.path == "/keys":
                    self._answer(200, {"keys": [issuer.key.as_dict(private=False)]})

            def do_POST(self):
                text = self.rfile.read(int(self.headers["content-length"])).decode()
                form = {name: values[0] for name, values in parse_qs(text).items()}
                assert self.headers["authorization"].startswith("Basic ")
                self._answer(*issuer.token(form))

            def _answer(self, status, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def discovery(self):
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            **self.metadata,
        }


@pytest.fixture(scope="module")
def running():
    issuer = Issuer()
    yield issuer
    issuer.server.shutdown()
    issuer.server.server_close()


@pytest.fixture
def issuer(running):
    running.signing, running.claims, running.header = running.key, dict(RIGHT), {"alg": "RS256"}
    running.metadata, running.asked = {}, []
    return running


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    path = tmp_path_factory.mktemp("oidc") / "page.duckdb"
    write_page(path, customers=30)
    return path


@pytest.fixture
def settings(issuer):
    return OidcClient(
        issuer=issuer.address,
        client_id="churn",
        client_secret=SECRET,
        redirect_uri=f"http://localhost{CALLBACK}",
        label="Shop login",
        scopes=("openid", "email"),
        name_claim="email",
        roles_claim="groups",
        roles={"viewer": frozenset({"staff"}), "analyst": frozenset({"crm"})},
    )


def client_of(published, settings, accounts=None):
    options = PageOptions(
        published=published,
        accounts=accounts or Accounts({}, external_mark="m"),
        session_key=b"k" * 32,
        provider=Provider(settings),
    )
    return AsgiClient(create_pages(options))


@pytest.fixture
def client(published, settings):
    return client_of(published, settings)


def sign_in(client, issuer, *, then="/", **changed):
    """The answer to the browser that comes back from the provider."""
    location = client.get("/login/provider", params={"next": then}).headers["location"]
    return client.get(CALLBACK, params={**issuer.grants(location), **changed})


def is_nobody(client):
    return client.get("/customers").status_code == 303


def test_a_sign_in_leads_to_the_page_with_the_role_of_the_claims(client, issuer):
    assert is_nobody(client)
    page = client.get("/login?next=/customers").text
    assert 'href="/login/provider?next=/customers"' in page
    assert "password" not in page
    answer = sign_in(client, issuer, then="/customers?segment=best")
    assert (answer.status_code, answer.headers["location"]) == (303, "/customers?segment=best")
    shown = client.get("/customers")
    assert shown.status_code == 200
    assert "anna@shop.example, analyst" in shown.text
    assert "churn_sign_in" not in client.cookies


@pytest.mark.parametrize(
    ("groups", "status"),
    [("staff", 403), (["staff"], 403), (["crm"], 200), (["staff", "crm"], 200)],
)
def test_the_most_powerful_role_of_the_groups_counts(client, issuer, groups, status):
    issuer.claims["groups"] = groups
    assert sign_in(client, issuer).status_code == 303
    assert client.get("/customers").status_code == status


@pytest.mark.parametrize("groups", [None, [], ["other"], "CRM", {"crm": True}, [["crm"]], 1])
def test_who_has_no_role_is_refused_with_a_page_that_says_so(client, issuer, groups):
    issuer.claims["groups"] = groups
    answer = sign_in(client, issuer)
    assert answer.status_code == 403
    assert "anna@shop.example has no role here" in answer.text
    assert is_nobody(client)


def test_roles_inside_of_objects_are_found(published, settings, issuer):
    nested = replace(settings, roles_claim="realm_access.roles")
    issuer.claims |= {"groups": None, "realm_access": {"roles": ["crm"]}}
    client = client_of(published, nested)
    assert sign_in(client, issuer).status_code == 303
    assert client.get("/customers").status_code == 200


WRONG = {
    "another nonce": ({"nonce": "x"}, "nonce"),
    "no nonce": ({"nonce": None}, "nonce"),
    "another audience": ({"aud": "other"}, "aud"),
    "no audience": ({"aud": None}, "aud"),
    "another party": ({"aud": ["churn", "other"], "azp": "other"}, "azp"),
    "another issuer": ({"iss": "https://evil.example"}, "iss"),
    "no issuer": ({"iss": None}, "iss"),
    "expired": ({"exp": int(time.time()) - 3600}, "exp"),
    "no expiry": ({"exp": None}, "exp"),
    "not valid yet": ({"iat": int(time.time()) + 3600}, "iat"),
    "no subject": ({"sub": None}, "sub"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_id_token_with_wrong_claims_lets_nobody_in(client, issuer, case):
    changed, named = WRONG[case]
    issuer.claims |= changed
    answer = sign_in(client, issuer)
    assert answer.status_code == 401
    assert f"({named})" in answer.text
    assert is_nobody(client)


def test_an_id_token_that_another_key_signed_lets_nobody_in(client, issuer):
    issuer.signing = RSAKey.generate_key(2048, parameters={"kid": "one"})
    answer = sign_in(client, issuer)
    assert (answer.status_code, "bad_signature" in answer.text) == (401, True)
    assert is_nobody(client)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_an_id_token_without_a_public_key_signature_lets_nobody_in(client, issuer, algorithm):
    issuer.header = {"alg": algorithm}
    issuer.signing = OctKey.import_key(SECRET * 2)
    assert sign_in(client, issuer).status_code == 401
    assert is_nobody(client)


def test_a_key_that_is_new_is_asked_for_but_not_twice_in_a_minute(client, issuer, monkeypatch):
    assert sign_in(client, issuer).status_code == 303
    client.cookies.clear()
    monkeypatch.setattr(issuer, "key", RSAKey.generate_key(2048, parameters={"kid": "two"}))
    issuer.signing, issuer.header = issuer.key, {"alg": "RS256", "kid": "two"}
    assert sign_in(client, issuer).status_code == 401
    assert issuer.asked.count("/keys") == 1
    monkeypatch.setattr("churn.serving.dashboard.oidc.KEYS_SECONDS", 0.0)
    assert sign_in(client, issuer).status_code == 303


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(published, settings, issuer):
    client = client_of(published, settings)
    location = client.get("/login/provider").headers["location"]
    answer, kept = issuer.grants(location), dict(client.cookies)
    stranger = AsgiClient(client.app)
    assert stranger.get(CALLBACK, params=answer).status_code == 400
    assert is_nobody(stranger)
    assert client.get(CALLBACK, params={**answer, "state": "x"}).status_code == 400
    client.cookies.clear()
    client.cookies.update(kept)
    assert client.get(CALLBACK, params=answer).status_code == 303
    client.cookies.clear()
    client.cookies.update(kept)
    again = client.get(CALLBACK, params=answer)
    assert (again.status_code, "no longer valid" in again.text) == (400, True)


def test_a_code_of_another_sign_in_is_refused(client, issuer):
    other = issuer.grants(client.get("/login/provider").headers["location"])
    answer = sign_in(client, issuer, code=other["code"])  # PKCE and nonce belong to another one
    assert answer.status_code == 401
    assert is_nobody(client)


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_nobody_is_sent_to_another_site_after_the_sign_in(client, issuer, target):
    assert sign_in(client, issuer, then=target).headers["location"] == "/"


def test_an_error_of_the_provider_is_shown_and_never_as_html(client, issuer):
    assert "access_denied" in sign_in(client, issuer, error="access_denied").text
    answer = sign_in(client, issuer, error="<script>alert(1)</script>")
    assert (answer.status_code, "<script>alert" in answer.text) == (401, False)
    assert sign_in(client, issuer, iss="https://evil.example").status_code == 401


def test_a_provider_that_does_not_answer_or_claims_another_name_is_an_error(
    published, settings, issuer
):
    silent = client_of(published, replace(settings, issuer="http://127.0.0.1:9"))
    assert silent.get("/login/provider").status_code == 502
    issuer.metadata = {"issuer": "https://other.example"}
    assert client_of(published, settings).get("/login/provider").status_code == 502
    issuer.metadata = {"authorization_endpoint": "http://shop.example/authorize"}
    assert client_of(published, settings).get("/login/provider").status_code == 502  # no TLS


def test_an_address_that_is_not_verified_is_not_a_name(client, issuer):
    issuer.claims["email_verified"] = False
    sign_in(client, issuer)
    assert "7, analyst" in client.get("/").text


def test_a_name_of_a_user_with_a_password_cannot_be_taken(published, settings, issuer):
    hashed = hash_password("p", cost=16)
    users = {
        "anna@shop.example": User(name="anna@shop.example", role="admin", password_hash=hashed)
    }
    client = client_of(published, settings, Accounts(users, external_mark="m"))
    assert "or with a name and password" in client.get("/login").text
    assert sign_in(client, issuer).status_code == 401
    assert is_nobody(client)


def test_sessions_end_when_the_settings_of_the_provider_change(published, settings, issuer):
    client = client_of(published, settings)
    sign_in(client, issuer)
    before = client.cookies["churn_session"]
    for accounts in (
        Accounts({}, external_mark="other"),
        Accounts({"a": User(name="a", role="admin")}),
    ):
        changed = client_of(published, settings, accounts)
        changed.cookies.set("churn_session", before)
        assert is_nobody(changed)


def test_without_a_provider_its_addresses_do_not_exist(published):
    options = PageOptions(
        published=published,
        accounts=Accounts({"a": User(name="a", role="admin", api_key="k" * 32)}),
        session_key=b"k" * 32,
    )
    client = AsgiClient(create_pages(options))
    assert client.get("/login/provider").status_code == 303  # as any unknown address
    assert client.get(CALLBACK).headers["location"].startswith("/login?")


SECTION = """
[data.orders]
source = "orders.csv"
[serving.oidc]
issuer = "https://login.shop.example"
client_id = "churn"
client_secret_variable = "CHURN_OIDC_SECRET"
redirect_uri = "https://churn.shop.example/login/callback"
[serving.oidc.roles]
analyst = ["crm"]
"""


def test_the_settings_become_a_client_with_the_secret_of_the_environment(tmp_path):
    path = tmp_path / "churn.toml"
    path.write_text(SECTION)
    settings = load_settings(path)
    client = load_oidc(settings, environment={"CHURN_OIDC_SECRET": SECRET})
    assert client.roles == {"analyst": frozenset({"crm"})}
    assert SECRET not in repr(client)
    assert not load_accounts(settings, environment={}).are_open
    with pytest.raises(ConfigError, match="Set CHURN_OIDC_SECRET"):
        load_oidc(settings, environment={})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("https://login", "http://login", "issuer must be an https address"),
        ("https://churn", "http://churn", "redirect_uri must be an https address"),
        ("/login/callback", "/callback", "redirect_uri must be the address of the pages"),
        ('["crm"]', "[]", "must grant at least one role"),
        ("analyst =", "boss =", "boss"),
        ("client_id", "client", "client_id"),
        ('client_id = "churn"', 'client_id = "churn"\nscopes = ["email"]', "contain openid"),
        ('client_id = "churn"', 'client_id = "churn"\nclient_secret = "x"', "client_secret"),
    ],
)
def test_settings_that_would_let_nobody_in_or_not_safely_are_refused(
    tmp_path, before, after, message
):
    path = tmp_path / "churn.toml"
    path.write_text(SECTION.replace(before, after))
    with pytest.raises(ConfigError, match=message):
        load_settings(path)


def test_without_the_extra_the_error_names_it(monkeypatch, tmp_path):
    path = tmp_path / "churn.toml"
    path.write_text(SECTION.replace("[serving.oidc]", "[serving]\npages = true\n[serving.oidc]"))
    monkeypatch.setattr("churn.errors.find_spec", lambda name: None if name == "authlib" else True)
    with pytest.raises(ConfigError, match=r"pip install 'churnwise\[oidc\]'"):
        pages_part(path, load_settings(path), ExitStack(), host="127.0.0.1")
