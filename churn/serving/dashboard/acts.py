"""What is done from the pages: plans made, sent and exported, one at a time, each form once."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from churn.errors import BusyError, ChurnError, ConfigError

KEY = re.compile(r"[0-9a-f]{32}")
MAX_REMEMBERED = 200
STOP_SECONDS = 30.0
STOPPED = "the service was stopped"
State = Literal["running", "done", "failed"]
Kind = Literal["plan", "check", "send", "export"]


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that was asked for on a page, and what became of it.

    A `plan` has a budget. A `check` counts what would be sent, a `send` sends it, and an `export`
    writes a list, all of the plan of the run `plan_run_id`, `to` a transport, an audience or
    "list". `result` holds the facts of its run, `notes` what its command remarked.
    """

    key: str
    kind: Kind
    by: str
    budget: float | None = None
    to: str = ""
    plan_run_id: str | None = None
    state: State = "running"
    progress: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failure: str = ""

    @property
    def run_id(self) -> str:
        """The name of its run in the ledger."""
        return f"page-{self.key}"


@dataclass(frozen=True)
class Outcome:
    """What an act came to: facts, notes, and the cause if it ended early."""

    result: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    failure: str = ""


class Perform(Protocol):
    """Does what an act asks for, and returns what it came to."""

    def __call__(self, act: Act, *, progress: Callable[[str], None]) -> Outcome:
        """Raises a ChurnError if it could not be done."""


class Ledgered(Protocol):
    """The acts on record, which outlive the service."""

    def find(self, key: str) -> Act | None:
        """The act with that key, as its run in the ledger tells; None if there is none."""

    def newest(self) -> Sequence[Mapping[str, Any]]:
        """The acts, newest first, with who asked for them."""


class Acts:
    """The acts of a service.

    `plan_file` is where plans are written, `transports` and `audiences` are where they can go, and
    `plan_run_id` returns the run of the plan in that file.
    """

    def __init__(
        self,
        perform: Perform,
        record: Ledgered,
        *,
        plan_file: Path,
        plan_run_id: Callable[[], str | None] = lambda: None,
        transports: Sequence[str] = (),
        audiences: Sequence[str] = (),
    ) -> None:
        self.record = record
        self.plan_file = plan_file
        self.plan_run_id = plan_run_id
        self.transports = tuple(transports)
        self.audiences = tuple(audiences)
        self._perform = perform
        self._acts: dict[str, Act] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def list_file(self, audience: str) -> Path:
        """Where an export for that audience is written."""
        return self.plan_file.with_name(f"{self.plan_file.stem}-{audience}.csv")

    def files(self) -> dict[str, Path]:
        """The files that can be downloaded, by name: the plan, and the lists made from it."""
        paths = [self.plan_file, *(self.list_file(name) for name in self.audiences)]
        return {path.name: path for path in paths if path.is_file()}

    def find(self, key: str) -> Act | None:
        """The act with that key, of this service or of an earlier one."""
        if not KEY.fullmatch(key):
            return None
        return self._acts.get(key) or self.record.find(key)

    def start(self, act: Act) -> Act:
        """Begins an act; a key that was used before returns the act that it was used for.

        BusyError while another act is running; ConfigError for a key that no form has.
        """
        if not KEY.fullmatch(act.key):
            raise ConfigError("the key of a request must be one that the page made")
        with self._lock:
            known = self.find(act.key)
            if known is not None:
                return known
            if any(one.state == "running" for one in self._acts.values()):
                raise BusyError("another act is running", fix="Wait until it is done.")
            if self._stopping.is_set():
                raise BusyError("the service is stopping", fix="Start it again.")
            while len(self._acts) >= MAX_REMEMBERED:
                self._acts.pop(next(iter(self._acts)))
            self._acts[act.key] = act
            self._thread = threading.Thread(
                target=self._run, args=(act,), name=act.kind, daemon=True
            )
            self._thread.start()
        return act

    def stop(self) -> None:
        """Interrupts what is running, as Ctrl-C would: a message that is being sent is finished."""
        with self._lock:
            self._stopping.set()
            thread = self._thread
        if thread is not None:
            thread.join(STOP_SECONDS)

    def _run(self, act: Act) -> None:
        def progress(text: str) -> None:
            if self._stopping.is_set():
                raise KeyboardInterrupt(STOPPED)
            self._change(act.key, progress=text)

        try:
            outcome = self._perform(act, progress=progress)
        except KeyboardInterrupt as stopped:
            self._change(act.key, state="failed", failure=str(stopped) or STOPPED)
        except ChurnError as failure:
            self._change(act.key, state="failed", failure=str(failure))
        except Exception as failure:
            self._change(act.key, state="failed", failure=type(failure).__name__)
            raise
        else:
            self._change(
                act.key,
                state="failed" if outcome.failure else "done",
                result=outcome.result,
                notes=outcome.notes,
                failure=outcome.failure,
            )

    def _change(self, key: str, **found: Any) -> None:
        with self._lock:
            self._acts[key] = replace(self._acts[key], **found)


def key_of_send(check: Act) -> str:
    """The key of sending what was checked: one for each check, however often it is confirmed."""
    return hashlib.sha256(f"send:{check.key}".encode()).hexdigest()[:32]
