"""Signatures follow Standard Webhooks."""

import pytest

from churn.campaigns.delivery.settings import key_of, signature
from churn.errors import ConfigError

PUBLISHED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_of_the_published_example_matches():
    """The test vector of the reference libraries."""
    signed = signature(
        key_of(PUBLISHED),
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "secret",
    [
        *("", "whsec_", PUBLISHED.removeprefix("whsec_"), "whsec_c2hvcnQ=", PUBLISHED + "!"),
        "whsec_" + "QUFB" * 30,
        "whsec_ü",
    ],
)
def test_an_invalid_secret_is_refused_without_showing_it(secret):
    with pytest.raises(ConfigError, match=r"24 to 64 bytes in base64.*openssl rand") as refused:
        key_of(secret)
    assert refused.value.got is None
