"""Which columns of a file of surveys or reviews are ours, by their names and their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from churn.data.engines.base import identifier
from churn.data.profiling.files import OrdersFiles, opened
from churn.data.words import bare_word
from churn.errors import DataError

NPS = "'nps'"
TIMES = {"surveys": "surveyed_at", "reviews": "reviewed_at"}
NAMES: Mapping[str, tuple[str, ...]] = {
    "customer_id": (
        *("customerid", "customer", "clientid", "client", "userid", "user", "memberid"),
        *("kundennummer", "kundenid", "kunde", "customeremail", "email", "respondentid"),
    ),
    "surveyed_at": (
        *("surveyedat", "respondedat", "answeredat", "submittedat", "completedat", "sentat"),
        *("responsedate", "surveydate", "createdat", "timestamp", "submitdate", "date", "datum"),
    ),
    "reviewed_at": ("reviewedat", "reviewdate", "createdat", "submittedat", "date", "datum"),
    "score": (
        *("score", "nps", "npsscore", "rating", "stars", "csat", "csatscore", "recommend"),
        *("grade", "bewertung", "sterne", "note"),
    ),
    "scale": ("scale", "scoretype", "surveytype", "skala"),
    "wave": ("wave", "round", "surveyround", "surveyname", "surveyid", "survey", "welle"),
    "product_id": ("productid", "sku", "product", "asin", "artikelnummer", "artikel"),
    "answered": ("answered", "replied", "resolved", "followedup", "closedloop", "beantwortet"),
}
"""Bare names of each column of ours; earlier ones are more certain."""


@dataclass(frozen=True)
class FeedbackGuess:
    """How a file of surveys or reviews can be read: `columns` as ours → theirs, the delimiter and
    encoding of a text file, the rows and the range of the scores that were seen.
    """

    table: str
    source: Path
    columns: Mapping[str, str]
    delimiter: str | None
    encoding: str
    rows: int
    least: float | None
    most: float | None


def profile_feedback(table: str, path: Path) -> FeedbackGuess:
    """How to read a file as the table `surveys` or `reviews`.

    Surveys get the scale of NPS if their scores are 0 to 10 and a 0 occurs; otherwise it is left
    open. DataError if the customer, the time or the score cannot be identified.
    """
    with opened([path]) as file:
        named = {bare_word(name): name for name in reversed(list(file.types))}
        ours = ["customer_id", TIMES[table], "score", "scale", "wave", "answered"]
        ours += ["product_id"] if table == "reviews" else []
        columns = {one: name for one in ours if (name := _column(one, named)) is not None}
        _check(table, path, columns, list(file.types))
        rows, least, most = _scores(file, columns["score"])
        if table == "surveys" and "scale" not in columns and least == 0 and most is not None:
            columns |= {"scale": NPS} if 5 < most <= 10 else {}
        source = file.source
        return FeedbackGuess(
            table, path, columns, source.delimiter, source.encoding, rows, least, most
        )


def _column(ours: str, named: Mapping[str, str]) -> str | None:
    return next((named[word] for word in NAMES[ours] if word in named), None)


def _check(table: str, path: Path, columns: Mapping[str, str], there: list[str]) -> None:
    lacking = [one for one in ("customer_id", TIMES[table], "score") if one not in columns]
    if lacking:
        rule = f"{path.name} must have recognisable columns for {', '.join(lacking)}"
        fix = f"Rename them, or write [data.{table}] by hand: docs/tables.md."
        raise DataError(rule, got=there, fix=fix)


def _scores(file: OrdersFiles, column: str) -> tuple[int, float | None, float | None]:
    """The rows, and the least and the largest readable score."""
    score = f"TRY_CAST(CAST({identifier(column)} AS VARCHAR) AS DOUBLE)"
    (row,) = file.engine.rows(
        f"SELECT count(*) AS n, min({score}) AS least, max({score}) AS most FROM {file.relation}"
    )
    least, most = (None if row[key] is None else float(str(row[key])) for key in ("least", "most"))
    return int(str(row["n"])), least, most
