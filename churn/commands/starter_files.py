"""The first `churn.toml` and `offers.toml` that `churn init` writes."""

from __future__ import annotations

import glob
import json
import os
import re
import textwrap
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from churn.data.profiling.columns import ConsentColumn, consent_column
from churn.data.profiling.feedback import FeedbackGuess
from churn.data.profiling.guess import OrdersGuess

COMMENT_COLUMN = 42
COMMENT_WIDTH = 96
MOST_COLUMNS = 6
HEAD = """\
# Settings of churn for this shop. Paths are relative to the folder of this file.
# Lines with "seen" were guessed from the data: review them, then run `churn check`.
"""
DATA = """
[data]
engine = "duckdb"                         # query engine: DuckDB, on this machine
timezone = "UTC"                          # time zone of times without one
day_timezone = "UTC"                      # time zone in which days begin and end
"""
REST = """
[churn]
mode = "purchases"                        # or "contractual": subscriptions that are not renewed
grace_days = 7                            # contractual: days after expiry in which a renewal counts
horizon_days = "auto"                     # lapsed = no purchase in these days; auto: from the data
lookback_days = "auto"                    # eligible = bought in these days; auto: 2 horizons
min_tenure_days = 0                       # customers with a shorter tenure are "new", not eligible
lead_days = 0                             # days between the score and the start of the horizon

[panel]
every_days = "auto"                       # days between cutoffs; auto: half a horizon
cutoffs = 13                              # number of cutoffs for training and test

[value]
margin_rate = 0.3                         # contribution margin as a share of the amount: yours?

[model]
directory = "models"                      # folder of the trained models
seed = 7                                  # the same seed and data give the same model
tune_trials = 0                           # hyperparameter trials; 0: no tuning
most_rows = 3000000                       # with more rows, train on a sample of customers

[tracking]
uri = "sqlite:///mlflow.db"               # MLflow store of all training runs
experiment = "churn"                      # experiment in MLflow
model_name = "churn"                      # model in MLflow's registry

[scoring]
capacity = 0.1                            # share (or number) of customers marked as at risk
rank = "probability"                      # rank by churn probability; "value": by value at risk
language = "en"                           # language of the reasons: "en" or "de"

[offers]
catalogue = "offers.toml"                 # the offers and their costs
budget = 500.0                            # upper limit of a plan's expected cost
holdout = 0.1                             # share of customers without offers, to measure against
consent = "required"                      # opt-in; "assumed": opt-out
"""

NEXT_SECTION = "\n[churn]\n"
WRITTEN = {"delimiter": (None, ","), "decimal": (".",), "encoding": ("utf-8",)}
"""File format settings, and their default values, which need no line."""
DEFAULT_ORDER = 40.0
NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
VOUCHER_SHARE = 0.2  # of the mean order
CONTACT_COST, CONTACT_SHARE = 0.01, 1e-5  # an e-mail; of orders in thousands, such as in yen


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers to what the files do not state; None if not answered."""

    currency: str | None = None
    margin: float | None = None
    consent: str | None = None


def config_text(guess: OrdersGuess, *, folder: Path, answers: Answers | None = None) -> str:
    """A complete `churn.toml` in `folder`: valid TOML, every key with a comment."""
    answers = answers or Answers()
    lines = [*_money(guess, answers), "", *_orders(guess, folder), "", *_columns(guess)]
    lines += _order_lines(guess, folder)
    return HEAD + DATA + "\n".join(lines) + "\n" + _answered(REST, answers)


def _answered(text: str, answers: Answers) -> str:
    """The text with the answers instead of the default values."""
    for key, value in (("margin_rate", answers.margin), ("consent", answers.consent)):
        if value is not None:
            match = re.search(rf"^{key} = .*?# (.*)$", text, re.MULTILINE)
            comment = match[1].removesuffix(": yours?") if match else ""
            line = key_line(key, value, comment)
            text = text.replace(match[0], line) if match else text
    return text


def _money(guess: OrdersGuess, answers: Answers) -> list[str]:
    seen = "seen in all rows" if guess.currency else "not in the data: what is yours?"
    seen = "" if answers.currency else seen
    currency = answers.currency or guess.currency or "USD"
    return [
        key_line("currency", currency, seen or "currency of all amounts"),
        key_line("bad_row_limit", 0.01, "share of unusable rows above which loading stops"),
        *_people(guess),
    ]


def _people(guess: OrdersGuess) -> list[str]:
    """How customer ids are compared, and which ids are guests."""
    rule = guess.counted.customer_id
    seen = guess.seen.get("customer_id_rule")
    why = f"seen: {seen}" if seen else 'ids are compared as written; or "number", "email"'
    lines = [key_line("customer_id", rule, why)]
    if guess.counted.guests:
        lines.append(
            key_line("guests", guess.counted.guests, f"no customer; seen: {guess.seen['guests']}")
        )
    return lines


def _orders(guess: OrdersGuess, folder: Path) -> list[str]:
    """The source of the orders, and its format where it is not the default."""
    rows = f"seen: {guess.rows_seen:,} rows, {guess.first_date} to {guess.last_date}"
    grain = "a row is a whole order" if guess.grain == "order" else "a row is one line of an order"
    lines = [
        *(_remark(f"Detected system: {guess.system}.") if guess.system else ()),
        *(text for warning in guess.warnings for text in _remark(f"Check: {warning}")),
        *(_remark(f"Other columns of money: {other_money(guess)}.") if other_money(guess) else ()),
        "[data.orders]",
        key_line("source", _sources(guess, folder), rows),
        key_line("grain", guess.grain, f"{grain}; seen: {guess.seen['grain']}"),
    ]
    if guess.sheet is not None:
        lines.append(key_line("sheet", guess.sheet, "the first sheet with a table"))
    if guess.where is not None:
        lines.append(key_line("where", guess.where, f"seen: {guess.seen['where']}"))
    if guess.delimiter not in (None, ","):
        lines.append(key_line("delimiter", guess.delimiter, "separator of values"))
    if guess.decimal != ".":
        lines.append(key_line("decimal", guess.decimal, f"seen: {guess.seen['decimal']}"))
    if guess.encoding != "utf-8":
        lines.append(key_line("encoding", guess.encoding, "seen: characters that are not UTF-8"))
    if guess.date_format is not None:
        lines.append(
            key_line("date_format", guess.date_format, f"seen: {guess.seen['ordered_at']}")
        )
    return lines


def _order_lines(guess: OrdersGuess, folder: Path) -> list[str]:
    """The same files as a table of order lines, if the lines contain their order's total."""
    if not guess.lines:
        return []
    written: list[tuple[str, object, object]] = [
        ("delimiter", guess.delimiter, ","),
        ("decimal", guess.decimal, "."),
    ]
    written += [("encoding", guess.encoding, "utf-8"), ("sheet", guess.sheet, None)]
    return [
        "",
        key_line("[data.order_lines]", None, "order lines, from the same rows"),
        key_line("source", _sources(guess, folder), "as above"),
        *(
            key_line(key, value, "as above")
            for key, value, default in written
            if value not in (None, default)
        ),
        "",
        key_line("[data.order_lines.columns]", None, "ours = theirs"),
        *(key_line(ours, theirs, "") for ours, theirs in guess.lines.items()),
    ]


def _sources(guess: OrdersGuess, folder: Path) -> str | list[str]:
    """The address of the orders, or their files: one, or a list."""
    if guess.address is not None:
        return guess.address
    sources = [_place(path, folder) for path in guess.source]
    return sources if len(sources) > 1 else sources[0]


def other_money(guess: OrdersGuess) -> str:
    """The columns of money that are not the amount, with their sums, the likeliest first."""
    amount, *others = guess.money or (None,)
    if amount is None or amount.name != guess.columns["amount"]:
        return ""
    texts = [
        f"{money} ({_filled(money.filled, guess.rows_seen)})" for money in others[:MOST_COLUMNS]
    ]
    return ", ".join(texts)


def _filled(count: int, rows: int) -> str:
    return f"not 0 in {count:,} of {rows:,} rows"


def _columns(guess: OrdersGuess) -> list[str]:
    notes = {ours: f"seen: {seen}" for ours, seen in guess.seen.items()}
    return [
        key_line("[data.orders.columns]", None, "ours = theirs"),
        *(key_line(ours, theirs, notes.get(ours, "")) for ours, theirs in guess.columns.items()),
    ]


def key_line(key: str, value: object, comment: str) -> str:
    """A key with its value, or the header of a section, with its comment."""
    setting = key if value is None else f"{key} = {_toml(value)}"
    return f"{setting:<{COMMENT_COLUMN - 1}} # {comment}" if comment else setting


def _remark(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, COMMENT_WIDTH)]


def _toml(value: object) -> str:
    """A string, number or list of strings in TOML, which escapes strings as JSON does.

    >>> print(_toml('say "hi"'), _toml(["a.csv", "b.csv"]), _toml(0.01))
    "say \\"hi\\"" ["a.csv", "b.csv"] 0.01
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _place(path: Path, folder: Path) -> str:
    """A file relative to the folder, with characters of glob patterns escaped; a folder or a glob
    as given, so that next month's file is read as well.
    """
    relative = Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()
    return glob.escape(relative) if path.is_file() else relative


def with_consents(text: str, guess: OrdersGuess, *, folder: Path) -> tuple[str, str | None]:
    """The text with [data.consents] if the orders have a column of consent, and a note about it;
    otherwise the unchanged text and None.
    """
    column = consent_column(guess.source)
    if column is None:
        return text, None
    section = "\n".join(["", *_consent_lines(column, guess, folder), ""])
    return text.replace(NEXT_SECTION, section + NEXT_SECTION, 1), consent_note(column)


def consent_note(column: ConsentColumn) -> str:
    """A note that states which column is read as consent, with its counts."""
    unread = f", {column.unread:,} neither" if column.unread else ""
    return (
        f'the column "{column.name}" ({column.yes:,} yes, {column.no:,} no{unread}) is read as '
        "consent to marketing by e-mail: remove [data.consents] if it means something else"
    )


def _consent_lines(column: ConsentColumn, guess: OrdersGuess, folder: Path) -> list[str]:
    defaults = {**WRITTEN, "sheet": (None,), "date_format": (None,)}
    written = [
        key_line(key, getattr(guess, key), "as above")
        for key, default in defaults.items()
        if getattr(guess, key, None) not in default and hasattr(guess, key)
    ]
    quoted = '"' + column.name.replace('"', '""') + '"'
    columns = {
        "customer_id": (guess.columns["customer_id"], ""),
        "changed_at": (guess.columns["ordered_at"], "the newest row of each customer counts"),
        "channel": ("'email'", "in single quotes: a constant"),
        "purpose": ("'marketing'", ""),
        "granted": (column.name, f"seen: {column.yes:,} yes, {column.no:,} no"),
    }
    blanks = [key_line("where", f"{quoted} is not null", "rows without a value are skipped")]
    return [
        key_line("[data.consents]", None, "consent to e-mails, from the orders"),
        key_line("source", _sources(guess, folder), "as above"),
        *written,
        *(blanks if column.unread and guess.grain == "line" else []),
        "",
        key_line("[data.consents.columns]", None, "ours = theirs; a condition is possible"),
        *(key_line(ours, theirs, comment) for ours, (theirs, comment) in columns.items()),
    ]


def with_feedback(text: str, guess: FeedbackGuess, *, folder: Path) -> str:
    """The text with the section of surveys or reviews."""
    section = "\n".join(["", *_feedback_lines(guess, folder), ""])
    return text.replace(NEXT_SECTION, section + NEXT_SECTION, 1)


def _feedback_lines(guess: FeedbackGuess, folder: Path) -> list[str]:
    seen = f"seen: {guess.rows:,} rows"
    if guess.least is not None:
        seen += f", scores of {guess.least:g} to {guess.most:g}"
    written = [
        key_line(key, value, "as seen")
        for key, value in (("delimiter", guess.delimiter), ("encoding", guess.encoding))
        if value not in WRITTEN[key]
    ]
    constant = {"scale": "in single quotes: a constant"} if "scale" in guess.columns else {}
    return [
        key_line(f"[data.{guess.table}]", None, "for churn feedback"),
        key_line("source", _place(guess.source, folder), seen),
        *written,
        "",
        key_line(f"[data.{guess.table}.columns]", None, "ours = theirs"),
        *(
            key_line(ours, theirs, constant.get(ours, "") if theirs.startswith("'") else "")
            for ours, theirs in guess.columns.items()
        ),
    ]


TEMPLATE = Path(__file__).with_name("starter_offers.toml")


def starter_offers(
    mean_order: float | None = None, *, currency: str | None = None, margin_rate: float = 0.3
) -> str:
    """The text of the catalogue for this mean order, or for one of 40 if it is unknown."""
    known = mean_order is not None and mean_order > 0
    order = mean_order if known and mean_order is not None else DEFAULT_ORDER
    money = currency or ""
    seen = f"{order:,.2f} {money}".strip()
    figures = {
        "@SHOP@": (
            f"# Seen: your mean order is {seen}; a margin of {margin_rate:.0%}\n"
            f"# leaves {margin_rate * order:,.2f} of it. The costs below are scaled to that."
            if known
            else f"# The costs are for a mean order of {seen}: replace them with your own."
        ),
        "@CONTACT@": _text(nice(max(CONTACT_COST, CONTACT_SHARE * order))),
        "@VOUCHER@": _text(nice(VOUCHER_SHARE * order)),
        "@DISCOUNT@": _text(0.1 * order),
        "@ORDER@": _text(order),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for mark, value in figures.items():
        text = text.replace(mark, value)
    return text


def nice(amount: float) -> float:
    """The amount rounded to a usual price: its first digit, or a half more.

    >>> [nice(amount) for amount in (8.0, 14.7, 0.0184, 233.0)]
    [8.0, 15.0, 0.02, 250.0]
    """
    unit = 10.0 ** floor(log10(amount))
    nearest = min(NICE, key=lambda value: abs(value - amount / unit))
    return float(f"{nearest * unit:.6g}")


def _text(amount: float) -> str:
    """The amount as TOML writes a float.

    >>> _text(1234.5), _text(0.01)
    ('1234.5', '0.01')
    """
    return repr(round(amount, 2) if amount >= 1 else float(f"{amount:.3g}"))
