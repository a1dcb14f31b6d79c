"""The page of campaigns: the plan, what another budget would change, making it, and its files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from churn.errors import BusyError, ConfigError
from churn.serving.dashboard import plan_contents
from churn.serving.dashboard.acts import Act
from churn.serving.dashboard.base_views import tables_of
from churn.serving.dashboard.overview_contents import SMALL
from churn.serving.dashboard.site import HEADERS, Visit
from churn.serving.dashboard.tables import LEAST_CELL
from churn.serving.dashboard.typed_amounts import amount_of, amount_text

if TYPE_CHECKING:
    from starlette.responses import Response

KINDS = {".parquet": "application/vnd.apache.parquet", ".csv": "text/csv; charset=utf-8"}


def campaigns(visit: Visit) -> Response:
    """The plan with its curve at the budget of the address."""
    text = visit.parameters.get("budget", "")
    try:
        budget, failure = (amount_of(text, least=0.0) if text else None), ""
    except ConfigError:
        budget, failure = None, visit.wording("campaigns.bad_budget")
    return _shown(visit, budget=budget, failure=failure, status=400 if failure else 200)


def _shown(
    visit: Visit,
    *,
    budget: float | None = None,
    failure: str = "",
    status: int = 200,
    made: Act | None = None,
) -> Response:
    plan = visit.document("plan") or {}
    curve = plan_contents.curve_of(plan)
    own = plan.get("budget")
    chosen_budget = budget if budget is not None else own
    chosen = None if chosen_budget is None else plan_contents.at_budget(curve, chosen_budget)
    current = None if own is None else plan_contents.at_budget(curve, own)
    acts = visit.site.options.acts
    tables = tables_of(visit, "campaigns")
    return visit.site.render(
        visit,
        "campaigns.html",
        status=status,
        plan=plan,
        shown_count=partial(_shown_count, visit),
        missing=(visit.document("missing") or {}).get("plan", ""),
        chosen=chosen,
        chosen_budget=None if chosen is None else amount_text(chosen.budget),
        current=current,
        most=max((point.budget for point in curve), default=0.0),
        curve=[[p.budget, p.cost, p.value] for p in curve],
        picture=plan_contents.curve_picture(plan, chosen, visit.wording, visit.figures),
        tables=[table for table in tables if table.name != "measurements"],
        measured=next((table for table in tables if table.name == "measurements"), None),
        may_make=acts is not None and visit.user.may_act,
        new_key=partial(secrets.token_hex, 16),
        failure=failure,
        made=made,
        files=_files(visit),
        acts=acts.record.newest() if acts is not None and visit.user.may_send else None,
        plan_run_id=acts.plan_run_id() if acts is not None and visit.user.may_send else None,
        transports=() if acts is None else acts.transports,
        audiences=() if acts is None else acts.audiences,
    )


def _shown_count(visit: Visit, count: int) -> str:
    """A count of customers; small ones are hidden from viewers."""
    is_hidden = not visit.user.sees_customers and 0 < count < LEAST_CELL
    return SMALL if is_hidden else str(visit.figures.show(count, "count"))


def plan_started(visit: Visit, form: Mapping[str, str]) -> Response:
    """Starts a plan with the budget of the form, and leads to where its state is shown."""
    from starlette.responses import RedirectResponse

    acts = visit.site.options.acts
    if acts is None:
        return _shown(visit, failure=visit.wording("campaigns.none"), status=409)
    try:
        budget = amount_of(form.get("budget", ""), least=0.0)
        asked = Act(key=form.get("key", ""), kind="plan", by=by(visit), budget=budget)
        act = acts.start(asked)
    except ConfigError:
        return _shown(visit, failure=visit.wording("campaigns.bad_budget"), status=400)
    except BusyError:
        return _shown(visit, failure=visit.wording("campaigns.busy"), status=409)
    return RedirectResponse(f"/campaigns/plan/{act.key}", 303, headers=HEADERS)


def plan_made(visit: Visit) -> Response:
    """What became of a request for a plan."""
    act = act_of(visit)
    if act.kind != "plan":
        raise _not_found()
    return _shown(visit, budget=act.budget, made=act)


def act_of(visit: Visit) -> Act:
    """The act whose key is in the address; 404 if there is none."""
    acts = visit.site.options.acts
    act = None if acts is None else acts.find(visit.request.path_params["key"])
    if act is None:
        raise _not_found()
    return act


def by(visit: Visit) -> str:
    """Who acts, for the ledger."""
    return visit.user.name or "this machine"


def download(visit: Visit) -> Response:
    """The file of the plan, or of a list made from it."""
    from starlette.responses import FileResponse

    name = visit.request.path_params["name"]
    path = _files(visit).get(name)
    if path is None:
        raise _not_found()
    kind = KINDS.get(path.suffix, "application/octet-stream")
    return FileResponse(path, media_type=kind, filename=name, headers=HEADERS)


def _files(visit: Visit) -> Mapping[str, Path]:
    acts = visit.site.options.acts
    return {} if acts is None or not visit.user.sees_customers else acts.files()


def _not_found() -> Exception:
    from starlette.exceptions import HTTPException

    return HTTPException(404)
