"""The tables of the published file, written by DuckDB from Arrow, without a loop over customers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.data.engines.base import identifier, literal
from churn.offers.rules import CHANNELS
from churn.reporting.overview import AT_RISK, overview_of
from churn.reporting.published import PublishedRow
from churn.reporting.views import VIEWS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MOST_HISTORY_ROWS = 5_000_000
MOST_HISTORY_DATES = 12

_DEFAULTS = {
    "status": "VARCHAR",
    "segment": "VARCHAR",
    "recency_days": "DOUBLE",
    "frequency": "DOUBLE",
    "monetary": "DOUBLE",
    "churn_probability": "DOUBLE",
    "risk_band": "VARCHAR",
    "value_at_risk": "DOUBLE",
    "at_risk": "BOOLEAN",
    "reasons": "VARCHAR[]",
    "reason_families": "VARCHAR[]",
}
"""Columns of the base that may be missing, and their types."""

_PLAN = {
    "offer_id": "VARCHAR",
    "arm": "VARCHAR",
    "suppression": "VARCHAR",
    "channel": "VARCHAR",
    "expected_value": "DOUBLE",
    "propensity": "DOUBLE",
}
NO_OFFER_WORTH = "'value_not_positive', 'budget_exhausted', 'capacity_exhausted', 'explore'"
"""Suppressions of customers who might have got an offer; the others were not allowed one."""

_OUTCOME = f"""CASE WHEN plan.customer_id IS NULL THEN NULL
    WHEN plan.offer_id <> 'none' THEN 'offer'
    WHEN plan.arm IN ('holdout', 'control') THEN plan.arm
    WHEN plan.suppression IS NULL OR plan.suppression IN ({NO_OFFER_WORTH}) THEN 'none'
    ELSE 'suppressed' END"""


@dataclass(frozen=True)
class Page:
    """Everything that is published.

    `base` is one row per customer: the scores with recency_days, frequency and monetary, or these
    alone; `plan` has the columns of plans, `consents` customer_id, channel, purpose and granted.
    `timeline` yields batches of customer_id, day (days since 1970, UTC), kind, what and amount.
    `history` are the scores_history rows of earlier dates. Tables that are None are written empty,
    columns that are missing as NULL.
    """

    row: PublishedRow
    documents: Mapping[str, Any]
    base: pa.Table
    measures: pa.Table | None = None
    plan: pa.Table | None = None
    consents: pa.Table | None = None
    timeline: pa.RecordBatchReader | pa.Table | None = None
    history: pa.Table | None = None
    curve: Iterable[Mapping[str, Any]] = ()
    day_timezone: str = "UTC"
    counts: dict[str, int] = field(default_factory=dict)


def write_page(path: Path, page: Page) -> dict[str, int]:
    """Writes a new published file; returns the rows of each table."""
    with _new_database(path) as connection:
        _write_row(connection, page.row)
        _write_customers(connection, page)
        leaving = connection.sql(AT_RISK).to_arrow_table().to_pylist()
        overview = overview_of(page.row, page.documents, leaving)
        _write_documents(connection, {"overview": overview.to_dict(), **page.documents})
        _write_timeline(connection, page)
        _write_history(connection, page)
        _write_curve(connection, page.curve)
        for name, (sql, _) in VIEWS.items():
            connection.execute(f"CREATE VIEW {identifier(name)} AS {sql}")
        names = ("customers", "timeline", "scores_history", "plan_curve")
        return {name: _count(connection, name) for name in names}


def plain(value: Any) -> Any:
    """The value as JSON that every reader accepts: numbers that are none become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | bool) else str(value)


def erase_from_page(
    source: Path, target: Path | None, erased: Callable[[pa.Table], list[bool]]
) -> int:
    """Copies a published file without the erased customers; returns the number of rows left out.

    `erased` returns for a table with `customer_id` which of its rows are of erased customers.
    Without a `target` they are only counted.
    """
    import pyarrow as pa

    from churn.reporting.published import Published

    with Published(source) as published:
        reading = published.connection
        tables = _tables_with_customers(reading)
        union = " UNION ".join(f"SELECT customer_id FROM {identifier(one)}" for one in tables)
        everyone = reading.sql(union).to_arrow_table()
        gone = everyone.filter(pa.array(erased(everyone), pa.bool_()))
        names = set(gone["customer_id"].to_pylist())
        documents = {
            name: json.loads(text)
            for name, text in reading.execute("SELECT name, json FROM documents").fetchall()
        }
        listed = [one for one in _ids_in(documents) if one not in names]
        among = pa.table({"customer_id": pa.array(listed, pa.string())})
        names |= {one for one, hit in zip(listed, erased(among), strict=True) if hit}
        reading.register("gone", pa.table({"customer_id": pa.array(sorted(names), pa.string())}))
        theirs = "customer_id IN (SELECT customer_id FROM gone)"
        count = sum(
            _number(reading, f"SELECT count(*) FROM {identifier(one)} WHERE {theirs}")
            for one in tables
        )
        count += sum(one in names for one in _ids_in(documents))
        if target is not None and count:
            _copy_without(published, target, tables, theirs, _without(documents, names))
    return count


def _copy_without(
    published: Any, target: Path, tables: list[str], theirs: str, documents: Mapping[str, Any]
) -> None:
    reading = published.connection
    with _new_database(target) as writing:
        _write_row(writing, published.row)
        _write_documents(writing, documents)
        for name in (*tables, "plan_curve"):
            where = f" WHERE NOT {theirs}" if name in tables else ""
            rows = reading.sql(f"SELECT * FROM {identifier(name)}{where}").to_arrow_reader(100_000)
            writing.register("rows", rows)
            chosen = "*"
            if name == "customers":  # positions are dense
                chosen = "(row_number() OVER ()) - 1 AS position, * EXCLUDE (position)"
            writing.execute(f"CREATE TABLE {identifier(name)} AS SELECT {chosen} FROM rows")
            writing.unregister("rows")
        for name, (sql, _) in VIEWS.items():
            writing.execute(f"CREATE VIEW {identifier(name)} AS {sql}")


def _ids_in(value: Any) -> Iterator[str]:
    """Every customer in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("customer_id"), str):
            yield value["customer_id"]
        for inner in value.values():
            yield from _ids_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _ids_in(inner)


def _without(value: Any, names: set[str]) -> Any:
    """The document without the rows of these customers."""
    if isinstance(value, dict):
        return {key: _without(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        kept = [
            one for one in value if not (isinstance(one, dict) and one.get("customer_id") in names)
        ]
        return [_without(one, names) for one in kept]
    return value


@contextmanager
def _new_database(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    connection = duckdb.connect(str(path))
    try:
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
        connection.execute("CHECKPOINT")
    finally:
        connection.close()


def _tables_with_customers(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "SELECT table_name FROM duckdb_columns() WHERE column_name = 'customer_id' "
        "AND database_name = 'page' AND table_name IN ('customers', 'timeline', 'scores_history') "
        "ORDER BY table_name"
    ).fetchall()
    return [name for (name,) in found]


def _write_row(connection: duckdb.DuckDBPyConnection, row: PublishedRow) -> None:
    connection.execute(
        "CREATE TABLE published (run_id VARCHAR, as_of DATE, published_at TIMESTAMP, "
        "orders_until DATE, orders_read_at TIMESTAMP, model_id VARCHAR, model_as_of DATE, "
        "currency VARCHAR, shop VARCHAR, language VARCHAR, version INTEGER)"
    )
    values = asdict(row)
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(
        f"INSERT INTO published ({names}) VALUES ({marks})",
        [*values.values()],
    )


def _write_documents(connection: duckdb.DuckDBPyConnection, documents: Mapping[str, Any]) -> None:
    connection.execute("CREATE TABLE documents (name VARCHAR PRIMARY KEY, json VARCHAR)")
    for name, document in documents.items():
        text = json.dumps(plain(document), ensure_ascii=False, allow_nan=False)
        connection.execute("INSERT INTO documents VALUES (?, ?)", [name, text])


def _write_customers(connection: duckdb.DuckDBPyConnection, page: Page) -> None:
    base = _seen(connection, "base", page.base, _DEFAULTS)
    _seen(connection, "measures", page.measures, {"recency_days": "DOUBLE"})
    plan = _seen(connection, "plan", page.plan, _PLAN)
    _consents(connection, page.consents)
    measured = {
        name: f"measures.{name}" if page.measures is not None else base[name]
        for name in ("recency_days", "frequency", "monetary")
    }
    measures = "LEFT JOIN measures USING (customer_id)" if page.measures is not None else ""
    consents = ", ".join(f"consent_state.consent_{channel}" for channel in CHANNELS)
    connection.execute(
        f"""CREATE TABLE customers AS SELECT (row_number() OVER ()) - 1 AS position, * FROM (
        SELECT base.customer_id, {base["status"]} AS status, {base["segment"]} AS segment,
            {measured["recency_days"]} AS recency_days, {measured["frequency"]} AS frequency,
            {measured["monetary"]} AS monetary, {base["churn_probability"]} AS churn_probability,
            {base["risk_band"]} AS risk_band,
            CASE WHEN isfinite({base["value_at_risk"]}) THEN {base["value_at_risk"]} END
                AS value_at_risk,
            {base["at_risk"]} AS at_risk,
            {base["reasons"]}[1] AS reason_1, {base["reasons"]}[2] AS reason_2,
            {base["reasons"]}[3] AS reason_3, {base["reason_families"]}[1] AS reason_1_code,
            {plan["offer_id"]} AS offer_id, {_OUTCOME} AS offer_outcome,
            {plan["suppression"]} AS outcome_reason, {plan["channel"]} AS channel,
            {plan["expected_value"]} AS expected_net, {plan["propensity"]} AS propensity,
            {consents}
        FROM base {measures} LEFT JOIN plan ON plan.customer_id = base.customer_id
            LEFT JOIN consent_state ON consent_state.customer_id = base.customer_id
        ORDER BY value_at_risk DESC NULLS LAST, base.customer_id)"""
    )


def _seen(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    table: pa.Table | None,
    columns: Mapping[str, str],
) -> dict[str, str]:
    """Exposes the table under that name, empty if it is None; the SQL of each of the columns."""
    if table is None:
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns.items())
        connection.execute(
            f"CREATE TEMP VIEW {name} AS SELECT CAST(NULL AS VARCHAR) AS customer_id, {empty} "
            "WHERE false"
        )
        return {column: f"{name}.{column}" for column in columns}
    there = [column for column in columns if column in table.column_names]
    absent = [column for column in columns if column not in there]
    nulls = "".join(f", CAST(NULL AS {columns[column]}) AS {column}" for column in absent)
    connection.register(f"{name}_rows", table)
    connection.execute(f"CREATE TEMP VIEW {name} AS SELECT *{nulls} FROM {name}_rows")
    return {column: f"{name}.{column}" for column in columns}


def _consents(connection: duckdb.DuckDBPyConnection, consents: pa.Table | None) -> None:
    """`consent_state`: whether marketing is allowed per channel; a refusal of every channel applies
    to those without a row.
    """
    kinds = {"channel": "VARCHAR", "purpose": "VARCHAR", "granted": "BOOLEAN"}
    _seen(connection, "consents", consents, kinds)
    columns = ", ".join(
        f"coalesce(bool_and(granted) FILTER (channel = {literal(one)}), "
        f"bool_and(granted) FILTER (channel = '')) AS consent_{one}"
        for one in CHANNELS
    )
    connection.execute(
        f"CREATE TEMP VIEW consent_state AS SELECT customer_id, {columns} FROM consents "
        "WHERE purpose = 'marketing' GROUP BY customer_id"
    )


def _write_timeline(connection: duckdb.DuckDBPyConnection, page: Page) -> None:
    columns = {"day": "DOUBLE", "kind": "VARCHAR", "what": "VARCHAR", "amount": "DOUBLE"}
    if page.timeline is None:
        _seen(connection, "happened", None, columns)
    else:
        connection.register("happened", page.timeline)
    moment = "make_timestamp(CAST(round(day * 86400e6) AS BIGINT))"
    if page.day_timezone != "UTC":
        zone = literal(page.day_timezone)
        moment = f"timezone({zone}, timezone('UTC', {moment}))"
    connection.execute(
        f'CREATE TABLE timeline AS SELECT customer_id, {moment} AS "at", kind, what, amount '
        'FROM happened WHERE isfinite(day) ORDER BY customer_id, "at" DESC, kind, what, amount'
    )


def _write_history(connection: duckdb.DuckDBPyConnection, page: Page) -> None:
    """The scores of this date, and those of earlier ones that fit."""
    scored = "churn_probability" in page.base.column_names
    names = "customer_id, as_of, churn_probability, risk_band, value_at_risk"
    now = f"SELECT {names} FROM base"
    if not scored:
        kinds = "NULL::VARCHAR, NULL::DATE, NULL::DOUBLE, NULL::VARCHAR, NULL::DOUBLE"
        connection.execute(
            f"CREATE TABLE scores_history AS SELECT * FROM (SELECT {kinds}) AS t({names}) "
            "WHERE false"
        )
        return
    if page.history is not None:
        connection.register("earlier", page.history)
        now += f" UNION ALL SELECT {names} FROM earlier"
    connection.execute(
        f"CREATE TABLE scores_history AS SELECT * FROM ({now}) ORDER BY customer_id, as_of"
    )


def _write_curve(connection: duckdb.DuckDBPyConnection, curve: Iterable[Mapping[str, Any]]) -> None:
    connection.execute(
        "CREATE TABLE plan_curve (budget DOUBLE, spent DOUBLE, customers BIGINT, "
        "expected_margin DOUBLE, expected_net DOUBLE)"
    )
    for point in curve:
        cost, net = point["expected_cost"], point["expected_value"]
        values = [point["budget"], cost, point.get("customers"), cost + net, net]
        connection.execute("INSERT INTO plan_curve VALUES (?, ?, ?, ?, ?)", values)


def earlier_history(path: Path, page: PublishedRow, rows_now: int) -> pa.Table | None:
    """The scores_history rows of earlier dates in the file that is to be replaced: the latest dates
    that fit in `MOST_HISTORY_ROWS`. None without such a file.
    """
    from churn.errors import ChurnError
    from churn.reporting.published import Published

    if not path.is_file():
        return None
    try:
        with Published(path) as before:
            rows = before.connection.execute(
                "SELECT as_of, count(*) FROM scores_history WHERE as_of < ? "
                "GROUP BY as_of ORDER BY as_of DESC LIMIT ?",
                [page.as_of, MOST_HISTORY_DATES - 1],
            ).fetchall()
            kept, total = [], rows_now
            for day, count in rows:
                total += count
                if total > MOST_HISTORY_ROWS:
                    break
                kept.append(day)
            if not kept:
                return None
            sql = "SELECT * FROM scores_history WHERE as_of >= ? AND as_of < ?"
            return before.connection.sql(sql, params=[min(kept), page.as_of]).to_arrow_table()
    except ChurnError:
        return None


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return _number(connection, f"SELECT count(*) FROM {identifier(table)}")


def _number(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    ((found,),) = connection.execute(sql).fetchall()
    return int(found)
