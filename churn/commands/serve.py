"""`churn serve`: listens at once, then loads the parts that `[serving]` switches on.

Only what listening needs is imported here; `serve_parts` imports the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from churn.errors import check_extra
from churn.serving.server import address_of, listening
from churn.serving.server import serve as run
from churn.serving.starting import answering

if TYPE_CHECKING:
    from churn.results.job_result import JobResult


def serve(config: Path, *, host: str, port: int, announce: Callable[[str], None]) -> JobResult:
    """Serves until the process receives SIGINT or SIGTERM.

    `announce` receives what is served, and where, for each part. `/livez` is answered while the
    parts are still being loaded. Withdrawals are recorded before they are confirmed.
    """
    for package in ("fastapi", "uvicorn"):
        check_extra("serve", package, what="`churn serve`")
    with ExitStack() as running:
        listener = running.enter_context(listening(host, port))
        with answering(listener):
            import uvicorn.protocols.http.h11_impl  # noqa: F401 - not after this block

            from churn.commands.serve_parts import opened

            service = running.enter_context(opened(config, host=host))
        for part in service.parts:
            announce(f"{part.what} on {address_of(listener)}{part.path}")
        run(
            service.app,
            listener,
            stopping=service.stopping,
            drain_seconds=service.drain_seconds,
        )
    return service.result()
