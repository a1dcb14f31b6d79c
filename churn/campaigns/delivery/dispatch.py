"""The sending loop: each message is recorded before it is sent, and its outcome afterwards.

If killed, at most the current batch has an unknown outcome; if interrupted, the loop first waits
for that outcome. Messages with an unknown outcome are never resent automatically: avoiding
duplicates takes precedence over avoiding losses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from churn.campaigns.delivery import interrupts
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.campaigns.delivery.transport import Batch, Clock, Connection, Outcome, Outgoing
from churn.storage.ledger import Ledger
from churn.storage.messages import Settled, claim, settle

QUIET = "quiet hours"
ASKED_AGAIN_AFTER = timedelta(minutes=15)
REFUSALS_IN_A_ROW = 25
"""After this many permanent rejections in a row, with no success before, sending stops and the
rest is kept for later."""


@dataclass
class Tally:
    """Messages by state and cause, and the reason for stopping early, if any."""

    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    stopped: str | None = None

    def of(self, state: str) -> int:
        """The messages in that state."""
        return sum(number for (counted, _), number in self.counts.items() if counted == state)


@dataclass
class Dispatch:
    """Sends batches over a connection of a transport.

    `since` is the number of the last withdrawal when consent was read: customers with later ones
    are left out. `ask_again` returns the customers who may still be contacted; it is called if the
    last call was a quarter of an hour ago. A batch that cannot be sent now is retried after the
    others, `attempts` times in total. With `wait` the loop waits for the end of quiet hours;
    otherwise they end the run.
    """

    ledger: Ledger
    connection: Connection
    since: int
    clock: Clock = field(default_factory=Clock)
    quiet: QuietHours | None = None
    wait: bool = False
    attempts: int = 1
    per_minute: int | None = None
    progress: Callable[[int], None] = lambda _: None
    ask_again: Callable[[], Collection[str]] | None = None

    def __post_init__(self) -> None:
        self._tally = Tally()
        self._free_at: datetime | None = None
        self._tried: dict[str, str | None] = {}
        self._refusals = 0
        self._done = 0
        self._settled: Settled | None = None
        self._asked_at = self.clock.now()
        self._allowed: Collection[str] | None = None

    def send(self, waiting: Sequence[Batch]) -> Tally:
        """The outcome of the messages; those not attempted are "waiting"."""
        try:
            for attempt in range(self.attempts):
                if attempt and waiting and not self._tally.stopped:
                    self._write_down()
                    self.clock.sleep(2.0**attempt)
                waiting = [again for batch in waiting if (again := self._deliver(batch))]
        finally:
            self._write_down()
            self.connection.close()
        for batch in waiting:
            cause = self._tried.get(batch[0].message.parcel, self._tally.stopped)
            self._tally.counts["waiting", cause] += len(batch)
        return self._tally

    def _deliver(self, batch: Batch) -> Batch:
        """The part of the batch that is still waiting."""
        if self._tally.stopped or not self._may_send():
            return batch
        with interrupts.held():
            return self._send_now(batch)

    def _send_now(self, batch: Batch) -> Batch:
        """Like `_deliver`, without waiting."""
        messages = [outgoing.message for outgoing in batch if self._is_allowed(outgoing)]
        claimed = claim(self.ledger, messages, since=self.since, before=self._settled)
        self._settled = None
        allowed = set(claimed)
        sending = [outgoing for outgoing in batch if outgoing.message in allowed]
        self._tally.counts["withdrawn", None] += len(batch) - len(sending)
        if not sending:
            return []
        outcome = self.connection.send(sending)
        self._settled = Settled(claimed, outcome.state, outcome.cause)
        return self._counted(sending, outcome)

    def _counted(self, batch: Batch, outcome: Outcome) -> Batch:
        if outcome.stop:
            self._tally.stopped = outcome.cause
        if outcome.state == "waiting":
            self._tried[batch[0].message.parcel] = outcome.cause
            return batch
        self._tally.counts[outcome.state, outcome.cause] += len(batch)
        self._refusals = self._refusals + len(batch) if outcome.state == "failed" else 0
        if self._refusals >= REFUSALS_IN_A_ROW and not self._tally.of("sent"):
            self._tally.stopped = f"the first {self._refusals} were all rejected"
        self._done += len(batch)
        self.progress(self._done)
        return []

    def _is_allowed(self, outgoing: Outgoing) -> bool:
        """Whether the customer could be contacted at the last check."""
        if self.ask_again is not None and self.clock.now() - self._asked_at >= ASKED_AGAIN_AFTER:
            self._write_down()
            self._allowed = self.ask_again()
            self._asked_at = self.clock.now()
        return self._allowed is None or outgoing.message.customer_id in self._allowed

    def _write_down(self) -> None:
        """Records the outcome of the last batch now, rather than together with the next claim."""
        with interrupts.held():
            if self._settled is not None:
                settle(self.ledger, self._settled)
            self._settled = None

    def _may_send(self) -> bool:
        """Whether sending is allowed, after waiting for the rate limit and, with `wait`, for quiet
        hours to end.
        """
        if self._free_at is not None:
            self._write_down()
            self.clock.wait_until(self._free_at)
        if self.quiet is not None and self.quiet.is_quiet(self.clock.now()):
            self._write_down()
            opens = self.quiet.opens_at(self.clock.now())
            if not self.wait:
                self._tally.stopped = QUIET
                return False
            self.clock.wait_until(opens)
        if self.per_minute is not None:
            self._free_at = self.clock.now() + timedelta(minutes=1) / self.per_minute
        return True


def batches(outgoing: Iterable[Outgoing]) -> list[Batch]:
    """The messages by batch, in the order of each batch's first message."""
    by_id: dict[str, list[Outgoing]] = {}
    for message in outgoing:
        by_id.setdefault(message.message.parcel, []).append(message)
    return list(by_id.values())
