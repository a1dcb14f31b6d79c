"""Everything besides orders, one row each: mails, visits, service, points, contacts, redemptions.

Nearly every event of a customer is the only one of its kind on its day: summing by day first costs
more than it saves.
"""

from collections.abc import Sequence

import narwhals as nw

from churn.data.engines.base import Frame
from churn.data.tables import Tables
from churn.data.words import EVENT_TYPES

# The code of each kind in `kind`: no text is carried through joins and groups.
OTHER_TABLES = {"contacts": "contact", "redemptions": "redemption"}
DERIVED = ("ticket_begun", "ticket_ended", "review_change", "nps_change")
KINDS = {kind: code for code, kind in enumerate((*EVENT_TYPES, *OTHER_TABLES.values(), *DERIVED))}
TICKETS = ("ticket_opened", "ticket_closed")
RATINGS = ("review", "nps")
VALUED = (*RATINGS, "points_earned", "points_spent")
NOT_CONTACTED = ("control", "holdout")
KEPT = ("customer_id", "local_day", "loaded_day")


def event_rows(tables: Tables) -> Frame:
    """All events of the known types, contacts and redemptions, from the connected tables:
    customer_id, local_day, kind, value, ref (of tickets) and, if a table has it, loaded_day, null
    for rows that arrive as they happen.
    """
    parts = {
        table: _known_kinds(table, tables.frame(table))
        for table in ("events", *OTHER_TABLES)
        if tables.has(table)
    }
    late = any("loaded_day" in tables.columns(table) for table in parts)
    columns = ("customer_id", "local_day", "kind", "value", "ref", *["loaded_day"] * late)
    whole = [_filled(part).select(*columns) for part in parts.values()]
    return nw.concat(whole, how="vertical")


def _known_kinds(table: str, rows: Frame) -> Frame:
    """The rows that count, with their `kind`; a contact of a control group is not a contact."""
    if table == "events":
        known = rows.filter(nw.col("event_type").is_in(EVENT_TYPES))
        return known.with_columns(kind=_code(nw.col("event_type")))
    if "arm" in rows.collect_schema().names():
        rows = rows.filter(~nw.col("arm").fill_null("treatment").is_in(NOT_CONTACTED))
    columns = [name for name in rows.collect_schema().names() if name in KEPT]
    return rows.select(*columns, kind=_constant(OTHER_TABLES[table]))


def _code(event_type: nw.Expr) -> nw.Expr:
    code = nw.lit(None, nw.Int8)
    for kind in EVENT_TYPES:
        code = nw.when(event_type == kind).then(_constant(kind)).otherwise(code)
    return code


def _constant(kind: str) -> nw.Expr:
    return nw.lit(KINDS[kind], nw.Int8)


def _filled(rows: Frame) -> Frame:
    """The rows with every column that a table may lack."""
    columns = rows.collect_schema().names()
    number, text = nw.lit(None, nw.Float64), nw.lit(None, nw.String)
    value = nw.col("value") if "value" in columns else number
    ref = nw.when(is_kind(*TICKETS)).then(nw.col("ref")) if "ref" in columns else text
    loaded_day = nw.col("loaded_day") if "loaded_day" in columns else number
    return rows.with_columns(value=value, ref=ref, loaded_day=loaded_day)


def is_kind(*kinds: str) -> nw.Expr:
    """Whether a row is of one of those kinds."""
    return nw.col("kind").is_in([KINDS[kind] for kind in kinds])


def event_days(rows: Frame, keys: Sequence[str]) -> Frame:
    """`keys`, local_day, kind (of `KINDS`) and amount: the value of points and ratings, else 1.

    In addition to the rows themselves, per (customer and) day: `review_change` and `nps_change`,
    the change of the daily mean since the previous rated day, so that all changes add up to the
    last mean; `ticket_begun`, the first opening of a ticket, and `ticket_ended`, the first closing
    at or after it, with the whole days between them. Ratings without a value, and tickets without a
    `ref`, have none of these.
    """
    begun, ended = _tickets(rows, keys)
    changes = [_changes(rows, keys, kind) for kind in RATINGS]
    return nw.concat([_as_they_are(rows, keys), begun, ended, *changes], how="vertical")


def _as_they_are(rows: Frame, keys: Sequence[str]) -> Frame:
    worth = nw.when(is_kind(*VALUED)).then(nw.col("value")).otherwise(nw.lit(1.0))
    kept = rows.filter(~(is_kind(*RATINGS) & nw.col("value").is_null()))
    return kept.select(*keys, "local_day", "kind", amount=worth)


def _tickets(rows: Frame, keys: Sequence[str]) -> tuple[Frame, Frame]:
    """A row for each first opening, and one for each first closing at or after it."""
    ticket = (*keys, "ref")
    named = rows.filter(is_kind(*TICKETS) & ~nw.col("ref").is_null())
    opening = nw.when(is_kind("ticket_opened")).then(nw.col("local_day"))
    paired = named.with_columns(opened=opening.min().over(*ticket))
    closings = paired.filter(is_kind("ticket_closed") & (nw.col("local_day") >= nw.col("opened")))
    begun = named.filter(is_kind("ticket_opened")).group_by(*ticket)
    ended = closings.group_by(*ticket)
    days = (nw.col("local_day") - nw.col("opened")).cast(nw.Float64)
    return (
        _derived(begun.agg(nw.col("local_day").min()), keys, "ticket_begun", nw.lit(1.0)),
        _derived(
            ended.agg(nw.col("local_day").min(), nw.col("opened").min()), keys, "ticket_ended", days
        ),
    )


def _changes(rows: Frame, keys: Sequence[str], kind: str) -> Frame:
    """The daily mean rating minus that of the previous rated day; on the first day, the mean."""
    rated = rows.filter(is_kind(kind) & ~nw.col("value").is_null())
    daily = rated.group_by(*keys, "local_day").agg(rating=nw.col("value").mean())
    before = nw.col("rating").shift(1).over(*keys, order_by="local_day")
    return _derived(daily, keys, f"{kind}_change", nw.col("rating") - before.fill_null(0.0))


def _derived(rows: Frame, keys: Sequence[str], kind: str, amount: nw.Expr) -> Frame:
    return rows.select(*keys, "local_day", kind=_constant(kind), amount=amount)
