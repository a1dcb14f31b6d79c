"""Subscriptions without an end: an expiry that is empty, a word such as `never`, or far away.

An unreadable expiry is not one of them: it is counted as unusable.
"""

from datetime import date

from churn.data.casts import NUMERIC, is_text, text_sql
from churn.data.days import day_number
from churn.data.engines.base import Engine, literal
from churn.data.notations.look import given_sql
from churn.data.words import bare_word_sql, words_sql

OPEN_DAY = day_number(date(2099, 1, 1))
"""From this day on, an expiry such as 9999-12-31 means that there is none."""

NO_END = "9000-01-01T12:00:00+00:00"
LONG_AGO = "1900-01-01"  # 0001-01-01 stands for a missing date
# WooCommerce writes 0 where a subscription has no end.
WORDS = frozenset(
    (
        *("never", "open", "openended", "forever", "unlimited", "indefinite", "infinite", "noend"),
        *("infinity", "ongoing", "perpetual", "lifetime", "active", "unbefristet", "laufend", "0"),
    )
)


def open_end_sql(theirs: str, types: dict[str, str], cast: str) -> str:
    """The SQL of an expiry that `cast` reads: far in the future if there is none."""
    name = text_sql(theirs, types)
    open_ended = [f"{name} IS NULL"]
    if is_text(types[theirs]):
        open_ended += [f"NOT {given_sql(name)}", f"{bare_word_sql(name)} IN {words_sql(WORDS)}"]
    elif NUMERIC.match(types[theirs]):
        open_ended.append(f"{name} = 0")
    far = f"{literal(NO_END)}::TIMESTAMPTZ"
    return (
        f"CASE WHEN {' OR '.join(open_ended)} THEN {far} "
        f"WHEN isinf({cast}) OR {cast} < '{LONG_AGO}'::TIMESTAMPTZ THEN {far} ELSE {cast} END"
    )


def count_open(engine: Engine) -> tuple[str, ...]:
    """A note on the number of subscriptions without an end."""
    (row,) = engine.rows(
        f"SELECT count(*) AS n FROM subscriptions WHERE expires_local_day >= {OPEN_DAY}"
    )
    return (f"{row['n']:,} rows have no end and run until they are cancelled",) if row["n"] else ()
