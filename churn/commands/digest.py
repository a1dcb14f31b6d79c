"""`churn digest`: the first screen as text, and as a message to the addresses of `[digest]`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from churn.campaigns.delivery.email import compose_notice
from churn.campaigns.delivery.mailbox import Mailbox
from churn.campaigns.delivery.smtp import MailServer
from churn.campaigns.delivery.transport import Outcome
from churn.campaigns.delivery.webhook import WebhookConnection
from churn.commands.session import on_record
from churn.config import Settings, load_settings
from churn.errors import ConfigError
from churn.reporting.digest import Digest, digest_of
from churn.reporting.published import Published
from churn.results.job_result import JobResult, Table

EVENT = "digest.published"
UNSENT = 7
"""The exit code if a message could not be sent, as of all failures of input and output."""


def digest(
    config: Path,
    *,
    send: bool = False,
    language: str | None = None,
    published: Path | str | None = None,
) -> JobResult:
    """The digest of the published file, shown, and with `send` sent.

    ConfigError if nothing was published, or if there is nobody to send it to. The exit code is 7
    if a message was not accepted.
    """
    settings = load_settings(config)
    place = settings.path(settings.serving.published) if published is None else Path(published)
    with Published(place) as opened:
        row = opened.row
        made = digest_of(opened, link=settings.digest.link, language=language)
    run_id, outcomes = _delivered(settings, made, row.as_of) if send else (None, {})
    unsent = [one for one in outcomes.values() if one.state != "sent"]
    facts = _counts(outcomes)
    causes = ", ".join(sorted({one.cause or one.state for one in unsent}))
    cause = f"{len(unsent)} of {len(outcomes)} were not sent: {causes}"
    return JobResult(
        command="digest",
        run_id=run_id,
        as_of=row.as_of,
        rows=facts,
        metrics={
            "subject": made.subject,
            "lines": list(made.lines),
            "html": made.html,
            "overview": made.overview.to_dict(),
            **facts,
        },
        tables=(
            Table(made.subject, ("",), tuple((line,) for line in made.lines)),
            *_shown(outcomes),
        ),
        exit_code=UNSENT if unsent else 0,
        failure=cause if unsent else None,
    )


def _delivered(
    settings: Settings, made: Digest, as_of: date
) -> tuple[str | None, dict[str, Outcome]]:
    """The run and the outcome by recipient, on record."""
    check_recipients(settings)
    facts: dict[str, Any] = {}
    with on_record("digest", settings, facts) as (ledger, run_id):
        ledger.date_run(run_id, as_of)
        outcomes = _sent(settings, made, run_id)
        facts |= _counts(outcomes)
    return run_id, outcomes


def _shown(outcomes: Mapping[str, Outcome]) -> tuple[Table, ...]:
    """Where the digest went; nothing if it was not to be sent."""
    rows = tuple((name, one.cause or one.state) for name, one in outcomes.items())
    return (Table("Sending", ("to", "state"), rows),) if rows else ()


def _counts(outcomes: Mapping[str, Outcome]) -> dict[str, int]:
    """How many messages were accepted; nothing if none was to be sent."""
    if not outcomes:
        return {}
    sent = sum(one.state == "sent" for one in outcomes.values())
    return {"sent": sent, "not_sent": len(outcomes) - sent}


def check_recipients(settings: Settings) -> None:
    """Raises ConfigError unless the transport of `[digest]` can send to somebody."""
    through, delivery = settings.digest.through, settings.delivery
    if through == "webhook":
        if delivery.webhook is None:
            rule = "sending the digest to a webhook needs the section [delivery.webhook]"
            raise ConfigError(rule, fix="Name url and secret.")
        return
    if delivery.email is None or delivery.email.host is None:
        rule = "sending the digest needs a mail server, [delivery.email] host"
        raise ConfigError(rule, fix="Name host and sender.")
    if not settings.digest.to:
        rule = "[digest] to must name at least one address"
        raise ConfigError(rule, got="none", fix='Write e.g. to = ["you@your-shop.example"].')


def _sent(settings: Settings, made: Digest, run_id: str) -> dict[str, Outcome]:
    """The outcome by recipient."""
    if settings.digest.through == "webhook":
        return {"webhook": _posted(settings, made, run_id)}
    return _mailed(settings, made, run_id)


def _mailed(settings: Settings, made: Digest, run_id: str) -> dict[str, Outcome]:
    email = settings.delivery.email
    assert email is not None
    sender = Mailbox.parse(email.sender, what="sender")
    recipients = [Mailbox.parse(one, what="[digest] to").address for one in settings.digest.to]
    server = MailServer(
        email, ca_file=None if email.ca_file is None else settings.folder / email.ca_file
    )
    outcomes = {}
    try:
        for number, address in enumerate(dict.fromkeys(recipients)):
            data = compose_notice(
                made.subject,
                made.text,
                made.html,
                sender=sender,
                to=address,
                token=f"digest {run_id} {number}",
                at=datetime.now(UTC),
            )
            outcomes[address] = server.send(data, sender=sender.address, to=address)
    finally:
        server.close()
    return outcomes


def _posted(settings: Settings, made: Digest, run_id: str) -> Outcome:
    webhook = settings.delivery.webhook
    assert webhook is not None
    connection = WebhookConnection(webhook)
    content = {"subject": made.subject, "lines": list(made.lines), "html": made.html}
    moment = datetime.now(UTC).isoformat()
    payload = {"type": EVENT, "timestamp": moment, "data": content}
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        return connection.post(f"digest-{run_id}", body)
    finally:
        connection.close()
