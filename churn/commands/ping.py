"""Pings of a health check: a run has started, and how it ended (the protocol of healthchecks.io).

A check that hears nothing by its deadline raises the alarm, so a night without a run is noticed as
well. A ping that fails is noted, and never fails the run.
"""

from __future__ import annotations

from churn.errors import harmless

TIMEOUT_SECONDS = 5.0
MOST_BYTES = 10_000
START = "start"


def ping(address: str, event: str, text: str = "") -> str | None:
    """Posts `text` to `address/event`: "start", or an exit code. Why that failed, None if it did
    not.
    """
    from urllib3 import PoolManager, Timeout
    from urllib3.exceptions import HTTPError

    body = harmless(text).encode()[:MOST_BYTES]
    pool = PoolManager(timeout=Timeout(total=TIMEOUT_SECONDS), retries=False)
    try:
        reply = pool.request(
            "POST",
            f"{address.rstrip('/')}/{event}",
            body=body,
            headers={"user-agent": "churn", "content-type": "text/plain; charset=utf-8"},
            redirect=False,
            preload_content=False,  # the body is not read
        )
    except (HTTPError, UnicodeError) as failure:
        return f"the health check was not reached ({type(failure).__name__})"
    finally:
        pool.clear()
    reply.close()
    if 200 <= reply.status < 300:
        return None
    return f"the health check answered {reply.status}"
