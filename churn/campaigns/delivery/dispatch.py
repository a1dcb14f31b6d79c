"""The loop that sends: each message is on record before it goes out, and what became of it after.

Killed at any moment, it leaves at most the parcel at hand in doubt; interrupted, it first waits for
what becomes of that. What is in doubt is never sent again by itself: no message twice is worth more
than no message lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from churn.campaigns.delivery import interrupts
from churn.campaigns.delivery.quiet_hours import QuietHours
from churn.campaigns.delivery.transport import Outcome, Outgoing, Parcel, Transport
from churn.storage.ledger import Ledger
from churn.storage.messages import Settled, claim, settle

QUIET = "quiet hours"
ASKED_AGAIN_AFTER = timedelta(minutes=15)
REFUSALS_IN_A_ROW = 25
"""After so many messages that are refused for good, one after the other, something is wrong with
all of them, and the rest is kept for later."""


@dataclass(frozen=True)
class Clock:
    """What time it is, with its zone, and how to wait some seconds; tests bring their own."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = interrupts.sleep

    def wait_until(self, moment: datetime) -> None:
        """Waits, if that lies ahead."""
        left = (moment - self.now()).total_seconds()
        if left > 0:
            self.sleep(left)


@dataclass
class Tally:
    """How many messages ended in each state, by cause, and why the sending stopped early if so."""

    counts: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    stopped: str | None = None

    def of(self, state: str) -> int:
        """The messages in that state."""
        return sum(number for (one, _), number in self.counts.items() if one == state)


@dataclass
class Dispatch:
    """Sends parcels through a transport.

    `since` is the number of the last withdrawal when consent was read: whoever tells a later one is
    left out. `ask_again` tells which customers may be sent to by then; it is asked where a quarter
    of an hour has passed since it was. A parcel that cannot be sent now is tried again after the
    others, `attempts` times in all. With `wait` the quiet hours are waited for, else they end the
    run.
    """

    ledger: Ledger
    transport: Transport
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

    def send(self, waiting: Sequence[Parcel]) -> Tally:
        """What became of the messages; those that were not even tried are "waiting"."""
        try:
            for attempt in range(self.attempts):
                if attempt and waiting and not self._tally.stopped:
                    self._write_down()
                    self.clock.sleep(2.0**attempt)
                waiting = [again for parcel in waiting if (again := self._deliver(parcel))]
        finally:
            self._write_down()
            self.transport.close()
        for parcel in waiting:
            cause = self._tried.get(parcel[0].message.parcel, self._tally.stopped)
            self._tally.counts["waiting", cause] += len(parcel)
        return self._tally

    def _deliver(self, parcel: Parcel) -> Parcel:
        """What of the parcel is still waiting."""
        if self._tally.stopped or not self._may_send():
            return parcel
        with interrupts.held():
            return self._handed_over(parcel)

    def _handed_over(self, parcel: Parcel) -> Parcel:
        """The same, where the parcel may go out now."""
        messages = [one.message for one in parcel if self._is_allowed(one)]
        claimed = claim(self.ledger, messages, since=self.since, before=self._settled)
        self._settled = None
        may_go = set(claimed)
        going = [one for one in parcel if one.message in may_go]
        self._tally.counts["withdrawn", None] += len(parcel) - len(going)
        if not going:
            return []
        outcome = self.transport.deliver(going)
        self._settled = Settled(claimed, outcome.state, outcome.cause)
        return self._counted(going, outcome)

    def _counted(self, parcel: Parcel, outcome: Outcome) -> Parcel:
        if outcome.stop:
            self._tally.stopped = outcome.cause
        if outcome.state == "waiting":
            self._tried[parcel[0].message.parcel] = outcome.cause
            return parcel
        self._tally.counts[outcome.state, outcome.cause] += len(parcel)
        self._refusals = self._refusals + len(parcel) if outcome.state == "failed" else 0
        if self._refusals >= REFUSALS_IN_A_ROW and not self._tally.of("sent"):
            self._tally.stopped = f"the first {self._refusals} were all refused"
        self._done += len(parcel)
        self.progress(self._done)
        return []

    def _is_allowed(self, one: Outgoing) -> bool:
        """Whether the customer was among those who may be sent to when it was asked last."""
        if self.ask_again is not None and self.clock.now() - self._asked_at >= ASKED_AGAIN_AFTER:
            self._write_down()
            self._allowed = self.ask_again()
            self._asked_at = self.clock.now()
        return self._allowed is None or one.message.customer_id in self._allowed

    def _write_down(self) -> None:
        """Records what became of the last parcel now, and not together with the next claim."""
        with interrupts.held():
            if self._settled is not None:
                settle(self.ledger, self._settled)
            self._settled = None

    def _may_send(self) -> bool:
        """Whether it is no quiet hour, after waiting for the pace and, if wished, for its end."""
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


def parcels(outgoing: Iterable[Outgoing]) -> list[Parcel]:
    """The messages by the parcel that they are part of, in the order of each one's first."""
    found: dict[str, list[Outgoing]] = {}
    for one in outgoing:
        found.setdefault(one.message.parcel, []).append(one)
    return list(found.values())
