"""Commands killed at each of their commit points, and what must hold after each kill.

`python tests/shop/kills.py` kills at all of them and counts, `kills.py 5 send` at each fifth of one
command; a test takes some.
"""

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))

from forked import Forking, forking
from kill_counts import Count, Kills
from known_customers import names_in
from mail_sink import MailSink, serving
from mailing_shop import CUSTOMERS, mailing_shop
from model_kills import model_kills
from simulated_shop import AS_OF

from churn.commands.send import send
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file
from churn.storage.messages import messages_of
from churn.storage.publish import read_pointer
from churn.storage.withdrawals import withdrawals

PLAN = "plan.parquet"


class ListKills(Kills):
    """A shop with a plan on record, whose commands are killed."""

    def __init__(
        self, warm: Forking, folder: Path, count: Count, *, sink: MailSink, port: int
    ) -> None:
        super().__init__(warm, folder, count)
        self.sink, self.port = sink, port

    def _shop(self) -> Path:
        return mailing_shop(self.folder, self._place(), port=self.port)

    def _plan(self, moment: int) -> bool:
        config = self._shop()
        out, options = config.parent / PLAN, _plan_options(config)
        return self._written("plan", moment, config, out, options)

    def _export(self, moment: int) -> bool:
        config = self._shop()
        out = config.parent / "list.csv"
        options = {"plan": str(config.parent / PLAN), "out": str(out), "on": str(AS_OF)}
        assert self.warm.run("export", config=str(config), **options).code == 0
        return self._written("export", moment, config, out, options)

    def _written(
        self, command: str, moment: int, config: Path, out: Path, options: dict[str, Any]
    ) -> bool:
        """The file is whole after the kill, and new, alone and on record after the next run."""
        killed = self._killed(command, moment, config, **options)
        at = f"{command} at {moment}"
        self._check(config, at, lambda: verify_file(out) is not None)
        before = verify_file(out)
        assert not self._killed(command, None, config, **options)
        after = verify_file(out)
        if killed and (after is None or after == before):
            self.count.lost.append(f"{at}: not written by the next run")
        with Ledger(config.parent / "ledger.db") as ledger:
            runs = [run.run_id for run in ledger.runs(command)]
            planned_by = ledger.last_plan("spring", AS_OF.replace(year=AS_OF.year + 1))
        if after is not None and after["run_id"] not in runs:
            self.count.lost.append(f"{at}: on no record")
        if planned_by is None or len(planned_by[1]) != len(CUSTOMERS):
            self.count.lost.append(f"{at}: the plan on record")
        self._look_for_litter(config, at)
        return killed

    def _forget(self, moment: int) -> bool:
        config, gone = self._shop(), CUSTOMERS[3]
        killed = self._killed("forget", moment, config, customers=[gone])
        at = f"forget at {moment}"
        self._check(config, at, lambda: verify_file(config.parent / PLAN) is not None)
        assert not self._killed("forget", None, config, customers=[gone])
        ours = [config.parent / "ledger.db", config.parent / PLAN]
        if names_in(ours, [gone]):
            self.count.lost.append(f"{at}: the customer is still there")
        self._killed("plan", None, config, **_plan_options(config))
        if names_in(ours, [gone]):
            self.count.lost.append(f"{at}: the customer came back")
        self._look_for_litter(config, at)
        return killed

    def _send(self, moment: int) -> bool:
        config = self._shop()
        self.sink.envelopes.clear()
        options = {"plan": str(config.parent / PLAN), "limit": 4}
        killed = self._killed("send", moment, config, **options)
        at = f"send at {moment}"
        self._check(config, at, lambda: True)
        assert not self._killed("send", None, config, **options)
        for recipient, number in Counter(self.sink.recipients).items():
            if number > 1:
                self.count.doubled.append(f"{at}: {recipient}")
        with Ledger(config.parent / "ledger.db") as ledger:
            known = Counter(one.state for one in messages_of(ledger, "spring", AS_OF))
        if len(self.sink.recipients) > known["sent"] + known["unknown"]:
            self.count.lost.append(f"{at}: a message that is on no record")
        self._look_for_litter(config, at)
        return killed

    def _withdraw(self, moment: int) -> bool:
        config = self._sent_shop()
        with Ledger(config.parent / "ledger.db") as ledger:
            first, second = messages_of(ledger, "spring", AS_OF)[:2]
        assert not self._killed("withdraw", None, config, token=first.token)
        killed = self._killed("withdraw", moment, config, token=second.token)
        self._check(config, f"withdraw at {moment}", lambda: True)
        with Ledger(config.parent / "ledger.db") as ledger:
            names = {one.customer_id for one in withdrawals(ledger)}
        confirmed = {first.customer_id} | (set() if killed else {second.customer_id})
        if not confirmed <= names:
            self.count.lost.append(f"withdraw at {moment}: a withdrawal that was confirmed")
        self._look_for_litter(config, f"withdraw at {moment}")
        return killed

    def _promote(self, moment: int) -> bool:
        config = self._shop()
        pointer = config.parent / "pointers" / "champion"
        assert not self._killed("promote", None, config, model_id="m-1")
        killed = self._killed("promote", moment, config, model_id="m-2")
        self._check(config, f"promote at {moment}", lambda: read_pointer(pointer) in ("m-1", "m-2"))
        moved = read_pointer(pointer) == "m-2"
        assert not self._killed("promote", None, config, model_id="m-3")
        with Ledger(config.parent / "ledger.db") as ledger:
            line = [move.model_id for move in ledger.promotions("pointers")]
        if line != (["m-1", "m-2", "m-3"] if moved else ["m-1", "m-3"]):
            self.count.lost.append(f"promote at {moment}: its history, {line}")
        self._look_for_litter(config, f"promote at {moment}")
        return killed

    def _sent_shop(self) -> Path:
        """A shop of which four customers have got their messages."""
        model = self.folder / "sent"
        if not model.exists():
            config = mailing_shop(self.folder, model, port=self.port)
            send(config, plan=config.parent / PLAN, limit=4)
        copy = self._place()
        shutil.copytree(model, copy)
        return copy / "churn.toml"


def _plan_options(config: Path) -> dict[str, str]:
    home = config.parent
    return {"out": str(home / PLAN), "scores": str(home / "scores.parquet"), "as_of": str(AS_OF)}


LISTS = ("plan", "export", "forget", "send", "withdraw", "promote")
MODELS = ("score", "train", "effects", "sync")
COMMANDS = (*LISTS, *MODELS)
EVERY = {"train": 2, "sync": 11}
"""Commands of which a kill costs seconds, and the step for them: the points are mostly MLflow's."""


@contextmanager
def list_kills(folder: Path, count: Count) -> Iterator[Kills]:
    """A shop with a plan on record and a mail server, whose commands can be killed."""
    sink = MailSink()
    with forking("killed_runs") as warm, serving(sink) as server:
        yield ListKills(warm, folder, count, sink=sink, port=server.port)


def main() -> int:
    """Kills commands, all where none is named, at all of their commit points, and prints what came
    of it.
    """
    words, count = sys.argv[1:], Count()
    every = int(words.pop(0)) if words and words[0].isdecimal() else 1
    asked = words or COMMANDS
    for commands, kills in ((LISTS, list_kills), (MODELS, model_kills)):
        named = [command for command in commands if command in asked]
        if named:
            with tempfile.TemporaryDirectory() as folder, kills(Path(folder), count) as shop:
                for command in named:
                    shop.all_of(command, every=every * EVERY.get(command, 1))
                    print(count, flush=True)
    found = [*count.lost, *count.doubled, *count.litter]
    print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
