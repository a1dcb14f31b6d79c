"""Sending and exporting the plan: what would be sent, the confirmation, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from churn.errors import BusyError, ConfigError
from churn.serving.dashboard.acts import Act, Acts, Kind, key_of_send
from churn.serving.dashboard.campaign_views import act_of, by
from churn.serving.dashboard.site import HEADERS, Visit
from churn.serving.dashboard.tables import Column, DataTable

if TYPE_CHECKING:
    from starlette.responses import Response

STATES = ("sent", "withdrawn", "failed", "unknown", "waiting")
SENDING = re.compile(r"sending: ([\d,]+) of ([\d,]+)")


def checked(visit: Visit, form: Mapping[str, str]) -> Response:
    """Counts what would be sent, which sends nothing, and leads to where that is shown."""
    return _started(visit, form, "check", lambda acts: acts.transports)


def exported(visit: Visit, form: Mapping[str, str]) -> Response:
    """Writes the list or audience of the form."""
    return _started(visit, form, "export", lambda acts: acts.audiences)


def sent(visit: Visit, form: Mapping[str, str]) -> Response:
    """Sends what was checked: once for each check, however often it is confirmed."""
    acts = visit.site.options.acts
    check = None if acts is None else acts.find(form.get("check", ""))
    if check is None or check.kind != "check" or check.state != "done":
        return _refused(visit, 400, "delivery.check_first")
    key, to, plan = key_of_send(check), check.to, check.plan_run_id
    return _start(visit, Act(key=key, kind="send", by=by(visit), to=to, plan_run_id=plan))


def delivery(visit: Visit) -> Response:
    """What became of a check, a sending or an export."""
    from starlette.responses import RedirectResponse

    act = act_of(visit)
    if act.kind == "plan":
        return RedirectResponse(f"/campaigns/plan/{act.key}", 303, headers=HEADERS)
    acts = visit.site.options.acts
    file = None if acts is None or act.kind != "export" else acts.list_file(act.to)
    at = SENDING.search(act.progress)
    return visit.site.render(
        visit,
        "delivery.html",
        act=act,
        table=_counts(act),
        sending=None if at is None else [int(text.replace(",", "")) for text in at.groups()],
        already=_sent_after(acts, act),
        file=file.name if file is not None and file.is_file() and act.state == "done" else None,
    )


def _sent_after(acts: Acts | None, act: Act) -> Act | None:
    """The sending that followed a check."""
    return acts.find(key_of_send(act)) if acts is not None and act.kind == "check" else None


def _started(
    visit: Visit, form: Mapping[str, str], kind: Kind, known: Callable[[Acts], tuple[str, ...]]
) -> Response:
    acts, to, plan_run_id = visit.site.options.acts, form.get("to", ""), form.get("plan_run_id")
    if acts is None or to not in known(acts) or not plan_run_id:
        return _refused(visit, 400, "delivery.nowhere")
    asked = Act(key=form.get("key", ""), kind=kind, by=by(visit), to=to, plan_run_id=plan_run_id)
    return _start(visit, asked)


def _start(visit: Visit, act: Act) -> Response:
    from starlette.responses import RedirectResponse

    acts = visit.site.options.acts
    assert acts is not None
    try:
        found = acts.start(act)
    except ConfigError:
        return _refused(visit, 400, "site.csrf_text")
    except BusyError:
        return _refused(visit, 409, "delivery.busy")
    return RedirectResponse(f"/campaigns/delivery/{found.key}", 303, headers=HEADERS)


def _refused(visit: Visit, status: int, text: str) -> Response:
    return visit.site.render(visit, "delivery_refused.html", status=status, text=text)


def _counts(act: Act) -> DataTable | None:
    """How many offers the plan has, what was left out and why, and what became of the rest."""
    facts = act.result
    if "offered" not in facts:
        return None
    outcome = {"check": ("to_send",), "export": ("exported",), "send": ("to_send", *STATES)}
    rows = [("offered", facts["offered"]), *facts.get("left_out", {}).items()]
    rows += [(name, facts[name]) for name in outcome[act.kind] if facts.get(name) or name == "sent"]
    kinds = [Column("outcome", "code"), Column("customers", "count")]
    return DataTable(
        "delivery", kinds, [{"outcome": f"delivery:{a}", "customers": n} for a, n in rows]
    )
