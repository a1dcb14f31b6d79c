"""Invalid settings of delivery are refused, and signatures follow Standard Webhooks."""

import pytest

from churn.campaigns.delivery.settings import (
    WebhookSettings,
    is_loopback,
    key_of,
    loopback_or_https,
    signature,
)
from churn.errors import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": "mail.shop.example"}, 'security = "none" is only for a server on this machine'),
        ({"username": "jo"}, "username and password must be given together"),
        ({"password": "x"}, "username and password must be given together"),
        ({"unsubscribe_url": "http://shop.example"}, "unsubscribe_url must start with https"),
        (
            {"unsubscribe_url": "https://shop.example/a b"},
            "url must not contain ' '.* write %20 in",
        ),
        (
            {"unsubscribe_url": "https://shop.example/>,<x"},
            "must not contain '< >'.* write %3C %3E",
        ),
        ({"unsubscribe_url": "https://a/" + "b" * 500}, "at most 500 characters, got 510"),
        (
            {"shop_url": "https://shop.example/?b=<x>"},
            r"shop_url must not contain '< >', got https.*%3C",
        ),
        (
            {"shop_url": "https://shop.example/bücher"},
            "shop_url must not contain 'ü'.* write %C3%BC",
        ),
        ({"shop_url": "https://bücher.example/"}, "must not contain 'ü'.* ASCII form, .* xn--"),
        ({"unsubscribe_url": "https://shop.example/?u="}, "must end in a path, because a token"),
        ({"shop_url": "javascript:alert(1)"}, "shop_url must start with https"),
        ({"shop": "Shop\nBcc: x"}, "shop must be one line of text"),
        ({"address": " "}, "address must be one line of text"),
        ({"sender": "Shop"}, r"\[delivery.email\] sender must be one e-mail address"),
        ({"reply_to": "Shop"}, r"\[delivery.email\] reply_to must be one e-mail address"),
        ({"language": "xx"}, r"language must be one of \['de', 'en'\]"),
    ],
)
def test_invalid_settings_are_refused(make_email_settings, changes, message):
    with pytest.raises(ConfigError, match=message):
        make_email_settings(**changes)


def test_secrets_are_not_shown(make_email_settings):
    assert "hunter2" not in repr(make_email_settings(username="jo", password="hunter2"))
    assert SECRET not in repr(WebhookSettings(url="https://a.example", secret=SECRET))


@pytest.mark.parametrize(
    "url", ["http://a.example", "ftp://localhost", "https://", "http://[", "x"]
)
def test_a_webhook_url_must_be_https_or_on_this_machine(url):
    with pytest.raises(ConfigError, match="url must start with https"):
        WebhookSettings(url=url, secret=SECRET)


def test_loopback_is_only_what_can_only_be_this_machine():
    assert [is_loopback(host) for host in ("127.0.0.2", "LOCALHOST", "::1")] == [True] * 3
    assert not any(is_loopback(host) for host in ("10.0.0.1", "localhost.a.example", "", "127.1"))
    assert loopback_or_https("http://localhost:8080/x")
    assert not loopback_or_https("http://localhost@a.example/")


def test_the_signature_of_the_published_example_matches():
    """The test vector of the reference libraries."""
    signed = signature(
        key_of(SECRET),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", SECRET.removeprefix("whsec_"), "whsec_c2hvcnQ=", SECRET + "!"),
        "whsec_" + "QUFB" * 30,
        "whsec_ü",
    ],
)
def test_an_invalid_secret_is_refused_without_showing_it(secret):
    with pytest.raises(ConfigError, match=r"24 to 64 bytes in base64.*openssl rand") as refused:
        key_of(secret)
    assert refused.value.got is None
