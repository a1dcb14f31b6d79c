"""The mail server of the tests, found where other rooms find it, too."""

import pytest

from churn.campaigns.delivery.settings import EmailSettings


@pytest.fixture(scope="session")
def make_email_settings():
    """The settings of a shop that sends e-mail, with what a test says otherwise."""

    def make(**changes):
        least = {
            "host": "127.0.0.1",
            "security": "none",
            "sender": "Corner Shop <news@shop.example>",
            "unsubscribe_url": "https://shop.example/unsubscribe",
            "shop": "Corner Shop",
            "address": "1 High Street, Anytown",
            "shop_url": "https://shop.example/",
            "timeout_seconds": 5.0,
        }
        return EmailSettings(**{**least, **changes})

    return make
