"""The steps of the demo in which the plan leaves the house, and one customer says no."""

from __future__ import annotations

from churn.errors import DataError
from churn.jobs.demo.mail import SHOWN_HEADERS, text_of, unsubscribe, unsubscribe_service
from churn.jobs.demo.sink import MailSink
from churn.jobs.demo.story import INDENT, Story
from churn.jobs.result import JobResult

__all__ = ["export_list", "send_mails", "withdraw_one"]


def export_list(story: Story) -> JobResult:
    """The plan as a list for a campaign tool."""
    story.begin("A list for a campaign tool, with consent asked anew")
    done = _exported(story, "list.parquet")
    story.tell(f"{done.metrics['exported']:,} of {done.metrics['offered']:,} offers may go out.")
    return done


def _exported(story: Story, name: str) -> JobResult:
    from churn.jobs.export import export

    story.command(f"churn export plan.parquet --to {name}")
    plan, out = story.path("plan.parquet"), story.path(name)
    return export(story.config, plan=plan, out=out, progress=story.progress)


def send_mails(story: Story, sink: MailSink) -> JobResult:
    """The plan as e-mails to the sink. DataError unless it received what was sent."""
    from churn.jobs.send import send

    story.begin("Or churn sends the e-mails itself, here to a mail server that keeps them")
    story.command("churn send plan.parquet")
    done = send(story.config, plan=story.path("plan.parquet"), progress=story.progress)
    sent, received = done.metrics["sent"], len(sink.recipients)
    if sent != received:
        rule = "the mail server must have received every message that was sent"
        raise DataError(rule, got=f"{received:,} of {sent:,}", fix="Run the demo again.")
    story.tell(f"{sent:,} sent, {received:,} received. A second run would send none of them again.")
    if received:
        _show(story, sink)
    return done


def _show(story: Story, sink: MailSink) -> None:
    """One of the messages, and the file that it is kept in."""
    kept = story.path("one-mail.eml")
    kept.write_bytes(sink.first)
    message = sink.message
    story.tell(f"One of them, kept as {kept.name}:")
    lines = [f"{name}: {message[name]}" for name in SHOWN_HEADERS]
    for line in [*lines, "", *text_of(message).splitlines()]:
        story.say(line, style="dim", indent=INDENT, mark="│ ")


def withdraw_one(story: Story, sink: MailSink, exported: JobResult) -> JobResult:
    """One click on the link of that message, and the list again without its customer.

    DataError where it did not get shorter by one.
    """
    story.begin("Its reader unsubscribes with one click, and is left out from now on")
    story.command("churn serve &")
    with unsubscribe_service(story.config) as service:
        address = unsubscribe(sink.message, service)
    story.command(f"curl -d List-Unsubscribe=One-Click \\\n    {address}")
    done = _exported(story, "list-after.parquet")
    before, now = exported.metrics["exported"], done.metrics["exported"]
    if now != before - 1:
        rule = "who unsubscribed must be left out of the next export"
        raise DataError(rule, got=f"{now:,} of {before:,}", fix="Run the demo again.")
    story.tell(f"{now:,} customers instead of {before:,}.")
    return done
