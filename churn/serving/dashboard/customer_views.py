"""The pages on customers: the list, its downloads, and one customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from churn.errors import ConfigError
from churn.serving.dashboard.customers import (
    CustomerQuery,
    choices,
    customer,
    customer_page,
    everyone,
    export_sql,
    score_history,
    timeline,
)
from churn.serving.dashboard.downloads import BATCH, csv_of_batches, json_of_batches
from churn.serving.dashboard.site import HEADERS, Visit
from churn.serving.dashboard.tables import Column

if TYPE_CHECKING:
    from markupsafe import Markup
    from starlette.responses import Response

LIST_COLUMNS = (
    ("customer", Column("customer_id", "customer")),
    ("risk", Column("churn_probability", "share")),
    ("stake", Column("value_at_risk", "cents")),
    ("", Column("reason_1", "prose")),
    ("offer", Column("offer_id", "offer")),
    ("segment", Column("segment", "code")),
    ("recency", Column("recency_days", "days")),
    ("orders", Column("frequency", "count")),
    ("spend", Column("monetary", "money")),
)
"""The columns of the list, each with the name of its sort ("" for none)."""

MAX_ID = 500
EVENTS_SHOWN = 200


def customer_list(visit: Visit) -> Response:
    """The customers of the address's filters, fifty a page."""
    assert visit.edition is not None
    try:
        query = CustomerQuery.of(visit.parameters)
    except ConfigError:
        return _bad_bound(visit)
    page = customer_page(visit.edition, query)
    return visit.site.render(
        visit,
        "customers.html",
        page=page,
        query=page.query,
        rows=list(_cells(visit, page.rows)),
        columns=LIST_COLUMNS,
        choices=_options(visit, query),
        everyone=everyone(visit.edition),
    )


def _cells(visit: Visit, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    """The cells of each row as text. Fifty rows are most of a page's work: no macros in a loop."""
    code, shown = visit.wording.code, _figures(visit)
    for row in rows:
        band = (row["risk_band"] if row["status"] == "eligible" else row["status"]) or ""
        name, offer, why = row["customer_id"], row["offer_id"], row["outcome_reason"]
        yield (
            name,
            f"/customer?id={quote(name, safe='')}",
            band if band in ("high", "medium", "low") else "",
            code(band) if band else "",
            shown(row["churn_probability"], "share"),
            shown(row["value_at_risk"], "cents"),
            row["reason_1"] or "",
            "" if offer == "none" else offer or "",
            code(why) if why else "",
            code(row["segment"]) if row["segment"] else "",
            shown(row["recency_days"], "days"),
            shown(row["frequency"], "count"),
            shown(row["monetary"], "money"),
        )


def _figures(visit: Visit) -> Callable[[float, str], Markup]:
    """Numbers as HTML, with the unit apart."""
    from markupsafe import Markup

    figures = visit.figures
    unit = Markup('<span class="u">{}</span>')
    units = {kind: unit.format(text) if text else "" for kind, text in figures.units.items()}
    unknown = Markup("{}").format(figures.show(None, "count").text)

    def shown(value: float, kind: str) -> Markup:
        if not isfinite(value):
            return unknown
        text = figures.number_text(value, kind)  # digits, and at most a sign of a currency
        return Markup(text + units.get(kind, ""))  # noqa: S704

    return shown


def _options(visit: Visit, query: CustomerQuery) -> dict[str, Markup]:
    """The options of each filter that has any, as HTML: written once for an edition."""
    from markupsafe import Markup

    assert visit.edition is not None
    key = ("options", visit.language)
    if key not in visit.edition.kept:
        option = Markup('<option value="{}">{} ({})</option>')
        visit.edition.kept[key] = {
            name: {
                str(one["value"]): option.format(
                    one["value"],
                    visit.wording.code(one["value"]),
                    visit.figures.show(one["customers"], "count"),
                )
                for one in found
            }
            for name, found in choices(visit.edition).items()
        }
    return {
        name: _selected(options, query.chosen.get(name))
        for name, options in visit.edition.kept[key].items()
        if options or name in query.chosen
    }


def _selected(options: Mapping[str, Markup], chosen: str | None) -> Markup:
    from markupsafe import Markup

    shown = dict(options)
    if chosen in shown:
        shown[chosen] = Markup(shown[chosen].replace('">', '" selected>', 1))  # noqa: S704
    return Markup("\n").join(shown.values())


def customers_export(visit: Visit) -> Response:
    """All customers of the address's filters as CSV or JSON, streamed."""
    from starlette.responses import StreamingResponse

    assert visit.edition is not None
    try:
        sql, values = export_sql(CustomerQuery.of(visit.parameters))
    except ConfigError:
        return _bad_bound(visit)
    reader = visit.edition.batches(sql, values, size=BATCH)
    as_csv = visit.request.url.path.endswith(".csv")
    content = csv_of_batches(reader) if as_csv else json_of_batches(reader)
    kind = "csv" if as_csv else "json"
    media = "text/csv; charset=utf-8" if as_csv else "application/json"
    name = f"customers-{visit.edition.row['as_of']}.{kind}"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media, headers=headers)


def _bad_bound(visit: Visit) -> Response:
    """Nobody is listed rather than more customers than were asked for."""
    return visit.site.render(
        visit, "message.html", status=400, title="not_understood", text="bad_amount"
    )


def one_customer(visit: Visit) -> Response:
    """Everything published on one customer."""
    assert visit.edition is not None
    customer_id = visit.parameters.get("id", "")[:MAX_ID]
    row = customer(visit.edition, customer_id)
    if row is None:
        return visit.site.render(
            visit, "message.html", status=404, title="page_not_found", text="unknown_customer"
        )
    events = timeline(visit.edition, customer_id, limit=EVENTS_SHOWN)
    return visit.site.render(
        visit,
        "customer.html",
        row=row,
        events=events,
        history=score_history(visit.edition, customer_id),
        reasons=[row[f"reason_{n}"] for n in (1, 2, 3) if row.get(f"reason_{n}")],
        consents=_consents(row),
        events_shown=EVENTS_SHOWN,
    )


def _consents(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The channels with what is known of consent, as a key of the wording."""
    states = {True: "granted", False: "refused", None: "unknown_consent"}
    return [
        (name.removeprefix("consent_"), states[value])
        for name, value in row.items()
        if name.startswith("consent_")
    ]
