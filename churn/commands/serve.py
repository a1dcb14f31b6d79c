"""`churn serve`: the unsubscribe page that the links in messages lead to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from churn.campaigns.delivery.settings import is_loopback
from churn.commands.session import on_record
from churn.config import load_settings
from churn.errors import check_extra
from churn.results.job_result import JobResult
from churn.storage.withdrawals import withdrawals


def serve(config: Path, *, host: str, port: int, announce: Callable[[str], None]) -> JobResult:
    """Serves until the process receives SIGINT or SIGTERM.

    `announce` receives the address. Withdrawals are recorded before they are confirmed.
    """
    for package in ("fastapi", "uvicorn"):
        check_extra("serve", package, what="`churn serve`")
    from churn.serving.server import serve as run
    from churn.serving.unsubscribe import create_unsubscribe_app

    settings = load_settings(config)
    email = settings.delivery.email
    shop, language = ("", "en") if email is None else (email.shop, email.language)
    facts: dict[str, Any] = {}
    with on_record("serve", settings, facts) as (ledger, run_id):
        before = len(withdrawals(ledger))
        app = create_unsubscribe_app(settings.ledger_path, shop=shop, language=language)
        run(app, host=host, port=port, announce=announce)
        facts["new_withdrawals"] = len(withdrawals(ledger)) - before
    notes = (
        ()
        if is_loopback(host)
        else ("served without encryption: put a reverse proxy in front of it",)
    )
    return JobResult(command="serve", run_id=run_id, rows=facts, metrics=facts, warnings=notes)
