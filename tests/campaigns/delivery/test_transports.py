"""What holds for every registered transport, and previews."""

from dataclasses import fields
from datetime import date

import pytest

from churn.campaigns.delivery import settings
from churn.campaigns.delivery.email import ADDRESS
from churn.campaigns.delivery.settings import SECRETS, DeliverySettings, WebhookSettings
from churn.campaigns.delivery.transport import Outgoing, Setup
from churn.campaigns.delivery.transports import (
    TRANSPORTS,
    check_messages,
    configured,
    write_preview,
)
from churn.errors import ConfigError
from churn.storage.messages import Message

CATALOGUE = """
[campaign]
id = "spring"
[[offers]]
offer_id = "coupon"
name = "5 % off"
kind = "discount"
channel = "email"
margin_cost = 1.0
contact_cost = 0.1
redemption_rate = 0.1
effect = 0.03
effect_low = 0.01
effect_high = 0.05
cooldown_days = 28
expires_after_days = 14
"""
WEBHOOK = WebhookSettings(
    url="https://tool.example/hook", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)


def message(customer):
    row = {"code": None, "expires_on": date(2027, 1, 14)}
    sent = Message(
        campaign_id="spring",
        as_of=date(2027, 1, 1),
        customer_id=customer,
        through="email",
        offer_id="coupon",
        channel="email",
        token=f"token-{customer}",
        parcel="msg_1",
        run_id="run-1",
    )
    return Outgoing(sent, row, f"{customer}@mail.example")


@pytest.fixture
def setup(tmp_path, make_email_settings):
    (tmp_path / "offers.toml").write_text(CATALOGUE)
    sections = DeliverySettings(email=make_email_settings(), webhook=WEBHOOK)
    return Setup(settings=sections, folder=tmp_path, catalogue=tmp_path / "offers.toml")


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_has_a_section_of_its_name_and_its_secrets_are_kept_out_of_the_file(name):
    assert name in {one.name for one in fields(DeliverySettings)}
    section = getattr(settings, f"{name.capitalize()}Settings")
    hidden = {f"delivery.{name}.{one.name}" for one in fields(section) if not one.repr}
    assert hidden == {key for key in SECRETS if key.startswith(f"delivery.{name}.")}


@pytest.mark.parametrize("name", TRANSPORTS)
def test_a_transport_has_the_name_under_which_it_is_registered(setup, name):
    transport = configured(name, setup)
    assert transport.name == name
    assert transport.batch >= 1
    assert transport.attempts >= 1
    assert (transport.recipient is None) == (transport.channel is None)


def test_a_preview_shows_one_message_of_each_offer(setup, tmp_path):
    email = configured("email", setup)
    paths = write_preview(tmp_path / "look", email, [message("ann"), message("ben")])
    assert [path.name for path in paths] == ["coupon.eml", "coupon.html", "coupon.txt"]
    assert "token-ann" in paths[2].read_text()


def test_a_message_that_cannot_be_rendered_is_found_before_any_is_sent(setup, tmp_path):
    (tmp_path / "offer.j2").write_text("{% block subject %}{{ nobody }}{% endblock %}")
    sections = DeliverySettings(
        email=type(setup.settings.email)(
            **{**vars(setup.settings.email), "templates": str(tmp_path)}
        )
    )
    broken = Setup(settings=sections, folder=tmp_path, catalogue=setup.catalogue)
    with pytest.raises(ConfigError, match="the template 'offer' must"):
        check_messages(configured("email", broken), [message("ann")])


def test_a_webhook_has_no_preview(setup, tmp_path):
    hook = configured("webhook", setup)
    with pytest.raises(ConfigError, match=r"--preview is for .*got webhook\. Pass --dry-run"):
        write_preview(tmp_path / "look", hook, [message("ann")])
    assert not (tmp_path / "look").exists()


def test_a_dry_run_says_what_is_missing(setup):
    bare = Setup(
        settings=DeliverySettings(), folder=setup.folder, catalogue=setup.catalogue, dry_run=True
    )
    assert ["placeholders" in one for one in configured("email", bare).missing()] == [True]
    assert not list(configured("email", setup).missing())
    with pytest.raises(ConfigError, match=r"needs a mail server, \[delivery.email\] host"):
        configured("email", Setup(**{**vars(bare), "dry_run": False}))


def test_texts_name_the_kind_of_address():
    text = ADDRESS.worded("no {address} in {column} for {messages}")
    assert text == "no e-mail address in email for e-mails"
