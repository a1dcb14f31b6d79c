"""Functions for `forked.py`: commands without a model, for kills at commit points."""

from pathlib import Path
from typing import Any

import churn.campaigns.delivery.transports
import churn.data.engines.duck
import churn.offers.plan  # noqa: F401 - loaded once, for all that are forked
from churn.commands.export import export
from churn.commands.forget import forget
from churn.commands.model_store import ModelStore
from churn.commands.plan import plan
from churn.commands.score import score
from churn.commands.send import send
from churn.errors import ChurnError
from churn.storage.ledger import Ledger
from churn.storage.messages import message_of_token
from churn.storage.withdrawals import record_withdrawal

__all__ = ["RUNS", "ChurnError"]


def withdraw(config: str, token: str) -> None:
    """What the page to unsubscribe does before it confirms."""
    with Ledger(Path(config).parent / "ledger.db") as ledger:
        message = message_of_token(ledger, token)
        assert message is not None
        record_withdrawal(ledger, message.customer_id, message.channel, source="page")


def promote(config: str, model_id: str) -> None:
    """Moves the pointer, as `churn models promote` does once the bundle is checked."""
    home = Path(config).parent
    with Ledger(home / "ledger.db") as ledger:
        ledger.mark_dead_runs_failed()
        run_id = ledger.start_run("models")
        folder = ModelStore(home / "pointers", "pointers")
        move: dict[str, Any] = {"run_id": run_id, "cause": "promotion", "reason": "a test"}
        folder.promote(ledger, model_id, expected=folder.champion, **move)
        ledger.finish_run(run_id, status="done")


RUNS = {
    "export": lambda config, **options: export(Path(config), **options),
    "forget": lambda config, **options: forget(Path(config), **options),
    "plan": lambda config, **options: plan(Path(config), **options),
    "promote": promote,
    "score": lambda config, **options: score(Path(config), **options),
    "send": lambda config, **options: send(Path(config), **options),
    "withdraw": withdraw,
}
