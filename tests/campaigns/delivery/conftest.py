"""Settings of e-mail for the tests."""

import pytest

from churn.campaigns.delivery.settings import EmailSettings


@pytest.fixture(scope="session")
def make_email_settings():
    """The settings of a shop that sends e-mail, with the changes of a test."""

    def make(**changes):
        defaults = {
            "host": "127.0.0.1",
            "security": "none",
            "sender": "Corner Shop <news@shop.example>",
            "unsubscribe_url": "https://shop.example/unsubscribe",
            "shop": "Corner Shop",
            "address": "1 High Street, Anytown",
            "shop_url": "https://shop.example/",
            "timeout_seconds": 5.0,
        }
        return EmailSettings(**{**defaults, **changes})

    return make
