"""The pages on the customer base and the model, and the downloads of their tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from churn.reporting.translated import named, translated
from churn.serving.dashboard import contents, model_contents, plan_contents
from churn.serving.dashboard.downloads import csv_of_rows, json_of_rows
from churn.serving.dashboard.overview_contents import overview_for, sentences_of
from churn.serving.dashboard.site import HEADERS, Visit
from churn.serving.dashboard.tables import DataTable
from churn.serving.dashboard.wording import wording_of

if TYPE_CHECKING:
    from starlette.responses import Response

TablesOf = Callable[[Visit], list[DataTable]]


def _of(name: str, make: Callable[..., list[DataTable]], *, worded: bool = False) -> TablesOf:
    def tables(visit: Visit) -> list[DataTable]:
        document = visit.document(name)
        if document is None:
            return []
        return make(document, visit.wording) if worded else make(document)

    return tables


def _campaign_tables(visit: Visit) -> list[DataTable]:
    plan, measured = visit.document("plan"), visit.document("measurements")
    found = [] if plan is None else plan_contents.plan_tables(plan, visit.wording)
    if measured:
        found.append(plan_contents.measurement_table(measured))
    return found


def _model_tables(visit: Visit) -> list[DataTable]:
    model, monitor = visit.document("model"), visit.document("monitor")
    found = [] if model is None else model_contents.model_tables(model)
    return found if monitor is None else [model_contents.monitor_table(monitor), *found]


TABLES: Mapping[str, TablesOf] = {
    "overview": _of("metrics", contents.metric_tables),
    "segments": _of("segments", contents.segment_tables, worded=True),
    "cohorts": _of("cohorts", contents.cohort_tables, worded=True),
    "journey": _of("journey", contents.journey_tables, worded=True),
    "signals": _of("signals", contents.signal_tables),
    "feedback": _of("feedback", contents.feedback_tables),
    "campaigns": _campaign_tables,
    "model": _model_tables,
}
"""The tables of each page; their CSV and JSON are the same rows."""

DOCUMENTS = (
    *("overview", "score", "plan", "metrics", "cohorts", "segments", "journey", "signals"),
    *("feedback", "measurements", "model", "monitor"),
)


def tables_of(visit: Visit, page: str) -> list[DataTable]:
    """The tables of a page as this visitor may see them."""
    found = TABLES[page](visit)
    if visit.user.sees_customers:
        return found
    return [table.for_viewers() for table in found if not table.personal]


def overview(visit: Visit) -> Response:
    """The first screen, and the balance of every period below it."""
    assert visit.edition is not None
    viewer = not visit.user.sees_customers
    found = overview_for(visit.edition, visit.language)
    blocks = {
        name: {"block": block, "sentences": sentences_of(block, viewer=viewer)}
        for name, block in found.blocks.items()
    }
    return visit.site.render(
        visit,
        "overview.html",
        blocks=blocks,
        leaving=[] if viewer else found.leaving.rows,
        tables=tables_of(visit, "overview"),
        definitions=definitions(visit.document("metrics"), visit.language),
    )


def _page(visit: Visit, page: str, **values: Any) -> Response:
    """A page that is tables with an introduction, and pictures."""
    document = visit.document(page)
    missing = (visit.document("missing") or {}).get(page, "")
    return visit.site.render(
        visit,
        "tables.html",
        page=page,
        document=document,
        missing=missing,
        notes=(visit.document("notes") or {}).get(page, ()) if visit.user.sees_customers else (),
        tables=tables_of(visit, page),
        definitions=definitions(document, visit.language),
        **({"intro": "", "pictures": ()} | values),
    )


def segments(visit: Visit) -> Response:
    """Segments, migration, clusters and personas."""
    bounds = (visit.document("segments") or {}).get("resolved", {}).get("bounds", {})
    date = visit.figures.date(bounds.get("learnt_as_of", ""))
    return _page(visit, "segments", intro=visit.wording("segments.intro", date=date))


def cohorts(visit: Visit) -> Response:
    """The triangles and the survival curves."""
    document = visit.document("cohorts")
    pictures = [] if document is None else contents.survival_pictures(document, visit.wording)
    return _page(visit, "cohorts", intro=visit.wording("cohorts.intro"), pictures=pictures)


def journey(visit: Visit) -> Response:
    """The ladder of stages, transitions, leaks and frictions."""
    resolved = (visit.document("journey") or {}).get("resolved", {})
    dates = {name: visit.figures.date(resolved.get(name, "")) for name in ("start", "end")}
    return _page(visit, "journey", intro=visit.wording("journey.intro", **dates))


def signals(visit: Visit) -> Response:
    """Every number that was looked at."""
    resolved = (visit.document("signals") or {}).get("resolved", {})
    intro = visit.wording(
        "signals.intro",
        period=resolved.get("period", ""),
        before=resolved.get("compared_with", ""),
    )
    return _page(visit, "signals", intro=intro)


def feedback(visit: Visit) -> Response:
    """Scores, and the worklist of whom to answer first."""
    return _page(visit, "feedback", intro=visit.wording("feedback.intro"))


def model(visit: Visit) -> Response:
    """The card of the champion, its pictures, its promotions, and how it holds today."""
    document = visit.document("model")
    return visit.site.render(
        visit,
        "model.html",
        document=document,
        missing=(visit.document("missing") or {}).get("model", ""),
        signals=model_contents.monitor_signals(visit.document("monitor") or {}),
        facts=[] if document is None else model_contents.facts_of(document),
        pictures=[] if document is None else model_contents.model_pictures(document, visit.wording),
        tables=tables_of(visit, "model"),
    )


def downloads(visit: Visit) -> Response:
    """Everything that can be downloaded."""
    listed = {page: tables_of(visit, page) for page in TABLES}
    documents = [name for name in DOCUMENTS if visit.document(name) is not None]
    return visit.site.render(
        visit,
        "downloads.html",
        listed={page: tables for page, tables in listed.items() if tables},
        documents=documents if visit.user.sees_customers else [],
    )


def table_export(visit: Visit) -> Response:
    """A table of a page as CSV or JSON."""
    from starlette.exceptions import HTTPException
    from starlette.responses import Response as Plain

    asked = visit.request.path_params
    page, name, kind = asked["page"], asked["name"], asked["kind"]
    if page not in TABLES or kind not in ("csv", "json"):
        raise HTTPException(404)
    table = next((table for table in tables_of(visit, page) if table.name == name), None)
    if table is None:
        raise HTTPException(404)
    rows = list(table.plain_rows())
    content = csv_of_rows(table.keys, rows) if kind == "csv" else json_of_rows(rows)
    media = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
    headers = {
        **HEADERS,
        "content-disposition": f'attachment; filename="{page}-{table.name}.{kind}"',
    }
    return Plain(content, media_type=media, headers=headers)


def document_export(visit: Visit) -> Response:
    """A document as it was published."""
    import json

    from starlette.exceptions import HTTPException
    from starlette.responses import Response as Plain

    name = visit.request.path_params["name"]
    document = visit.document(name) if name in DOCUMENTS else None
    if document is None:
        raise HTTPException(404)
    text = json.dumps(document, ensure_ascii=False, indent=1)
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}.json"'}
    return Plain(text, media_type="application/json", headers=headers)


def definitions(document: Any, language: str = "en") -> list[tuple[str, str]]:
    """The numbers of a document with their meanings."""
    found = document.get("definitions", {}) if isinstance(document, Mapping) else {}
    return [
        (
            _named(name, language),
            translated(one.get("meaning", ""), language) + _unit(one, language),
        )
        for name, one in found.items()
    ]


def _named(name: str, language: str) -> str:
    if language == "en":
        return name.replace("_", " ")
    return named(name, language) or wording_of(language).label(name)


def _unit(one: Mapping[str, str], language: str) -> str:
    parts = [translated(one[key], language) for key in ("unit", "source") if one.get(key)]
    return f" ({'; '.join(parts)})" if parts else ""
