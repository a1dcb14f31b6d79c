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

from churn.data.profiling.consent import ConsentColumn, consent_column
from churn.data.profiling.guess import OrdersGuess

COMMENT_COLUMN = 42
COMMENT_WIDTH = 96
MOST_BESIDE = 6
HEAD = """\
# What `churn` knows about this shop. Paths start at this file's folder.
# Lines with "seen" are guesses from the data: read them once, then run `churn check`.
"""
DATA = """
[data]
engine = "duckdb"                         # what computes: DuckDB, on this machine
timezone = "UTC"                          # the zone of times that name none
day_timezone = "UTC"                      # the zone whose midnights part the days
"""
REST = """
[churn]
mode = "purchases"                        # or "contractual": a subscription that is not renewed
grace_days = 7                            # contractual: days after expiry in which to renew still
horizon_days = "auto"                     # lapsed = no purchase for so long; auto: from the data
lookback_days = "auto"                    # who bought in so many days is judged; auto: 2 horizons
min_tenure_days = 0                       # a customer younger than this is "new", not judged
lead_days = 0                             # days between the score and the start of the horizon

[panel]
every_days = "auto"                       # a training date every so many days; auto: half a horizon
cutoffs = 13                              # how many training and test dates in all

[value]
margin_rate = 0.3                         # share of the amount that is left after costs: yours?

[model]
directory = "models"                      # where trained models are kept
seed = 7                                  # the same seed and data give the same model
tune_trials = 0                           # recipes to try on past dates; 0: the proven one
most_rows = 3000000                       # above that, learn from a sample of customers

[tracking]
uri = "sqlite:///mlflow.db"               # MLflow's record of all trainings
experiment = "churn"                      # its name there
model_name = "churn"                      # the model's name in the registry

[scoring]
capacity = 0.1                            # share (or number) of customers to call at risk
rank = "probability"                      # of lapsing; "value": by the money at risk
language = "en"                           # of reasons: "en" or "de"

[offers]
catalogue = "offers.toml"                 # what can be offered, at what cost
budget = 500.0                            # the most that a plan may be expected to cost
holdout = 0.1                             # share who never get an offer: the yardstick
consent = "required"                      # only who agreed; "assumed": who did not refuse
"""

NEXT_SECTION = "\n[churn]\n"
WRITTEN = {"delimiter": (None, ","), "decimal": (".",), "encoding": ("utf-8",)}
"""How a file is written, and what needs no line; `sheet` and `date_format` need none where None."""
USUAL_ORDER = 40.0
NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
VOUCHER_SHARE = 0.2  # of the mean order
CONTACT_COST, CONTACT_SHARE = 0.01, 1e-5  # an e-mail; of orders in thousands, such as in yen


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a person said that no file tells; None where nothing was said."""

    currency: str | None = None
    margin: float | None = None
    consent: str | None = None


def config_text(guess: OrdersGuess, *, folder: Path, answers: Answers | None = None) -> str:
    """A whole `churn.toml` for a file in `folder`: valid TOML, every key commented."""
    answers = answers or Answers()
    lines = [*_money(guess, answers), "", *_orders(guess, folder), "", *_columns(guess)]
    lines += _order_lines(guess, folder)
    return HEAD + DATA + "\n".join(lines) + "\n" + _answered(REST, answers)


def _answered(text: str, answers: Answers) -> str:
    """The text with a person's answers in the place of the usual values."""
    for key, value in (("margin_rate", answers.margin), ("consent", answers.consent)):
        if value is not None:
            found = re.search(rf"^{key} = .*?# (.*)$", text, re.MULTILINE)
            comment = found[1].removesuffix(": yours?") if found else ""
            line = _line(key, value, comment)
            text = text.replace(found[0], line) if found else text
    return text


def _money(guess: OrdersGuess, answers: Answers) -> list[str]:
    seen = "seen in all rows" if guess.currency else "not told by the data: what is yours?"
    seen = "" if answers.currency else seen
    currency = answers.currency or guess.currency or "USD"
    return [
        _line("currency", currency, seen or "the currency of all amounts"),
        _line("bad_row_limit", 0.01, "share of unusable rows above which loading stops"),
        *_people(guess),
    ]


def _people(guess: OrdersGuess) -> list[str]:
    """When two customer ids are the same, and which mean nobody."""
    rule = guess.counted.customer_id
    seen = guess.seen.get("customer_id_rule")
    why = f"seen: {seen}" if seen else 'ids are as they are written; or "number", "email"'
    lines = [_line("customer_id", rule, why)]
    if guess.counted.guests:
        lines.append(_line("guests", guess.counted.guests, f"nobody; seen: {guess.seen['guests']}"))
    return lines


def _orders(guess: OrdersGuess, folder: Path) -> list[str]:
    """The orders' source, and how it is written where that is not the usual way."""
    sources = [_place(path, folder) for path in guess.source]
    rows = f"seen: {guess.rows_seen:,} rows, {guess.first_date} to {guess.last_date}"
    grain = "a row is a whole order" if guess.grain == "order" else "a row is one line of an order"
    lines = [
        *(_remark(f"This looks like {guess.system}.") if guess.system else ()),
        *(text for warning in guess.warnings for text in _remark(f"Look: {warning}")),
        *(_remark(f"Beside the amount: {beside(guess)}.") if beside(guess) else ()),
        "[data.orders]",
        _line("source", sources if len(sources) > 1 else sources[0], rows),
        _line("grain", guess.grain, f"{grain}; seen: {guess.seen['grain']}"),
    ]
    if guess.sheet is not None:
        lines.append(_line("sheet", guess.sheet, "of the workbook: the first with a table"))
    if guess.where is not None:
        lines.append(_line("where", guess.where, f"seen: {guess.seen['where']}"))
    if guess.delimiter not in (None, ","):
        lines.append(_line("delimiter", guess.delimiter, "what stands between two values"))
    if guess.decimal != ".":
        lines.append(_line("decimal", guess.decimal, f"seen: {guess.seen['decimal']}"))
    if guess.encoding != "utf-8":
        lines.append(_line("encoding", guess.encoding, "seen: letters that are not UTF-8"))
    if guess.date_format is not None:
        lines.append(_line("date_format", guess.date_format, f"seen: {guess.seen['ordered_at']}"))
    return lines


def _order_lines(guess: OrdersGuess, folder: Path) -> list[str]:
    """The same files as a table of lines, where an order's total stands beside its lines."""
    if not guess.lines:
        return []
    sources = [_place(path, folder) for path in guess.source]
    source = sources if len(sources) > 1 else sources[0]
    written: list[tuple[str, object, object]] = [
        ("delimiter", guess.delimiter, ","),
        ("decimal", guess.decimal, "."),
    ]
    written += [("encoding", guess.encoding, "utf-8"), ("sheet", guess.sheet, None)]
    return [
        "",
        _line("[data.order_lines]", None, "what was bought, line by line: the same rows"),
        _line("source", source, "as above"),
        *(
            _line(key, value, "as above")
            for key, value, usual in written
            if value not in (None, usual)
        ),
        "",
        _line("[data.order_lines.columns]", None, "ours = theirs"),
        *(_line(ours, theirs, "") for ours, theirs in guess.lines.items()),
    ]


def source_line(guess: OrdersGuess, folder: Path) -> str:
    """The line that names the files of the orders, for another table that is read out of them."""
    sources = [_place(path, folder) for path in guess.source]
    return key_line("source", sources if len(sources) > 1 else sources[0], "as above")


def key_line(key: str, value: object, comment: str) -> str:
    """A key with its value, or the head of a section, and the comment beside it."""
    return _line(key, value, comment)


def beside(guess: OrdersGuess) -> str:
    """The columns of money that are not the amount, with their sums, the likeliest first."""
    amount, *others = guess.money or (None,)
    if amount is None or amount.name != guess.columns["amount"]:
        return ""
    texts = [
        f"{money} ({_filled(money.filled, guess.rows_seen)})" for money in others[:MOST_BESIDE]
    ]
    return ", ".join(texts)


def _filled(count: int, rows: int) -> str:
    return f"not 0 in {count:,} of {rows:,} rows"


def _columns(guess: OrdersGuess) -> list[str]:
    notes = {ours: f"seen: {seen}" for ours, seen in guess.seen.items()}
    return [
        _line("[data.orders.columns]", None, "ours = theirs"),
        *(_line(ours, theirs, notes.get(ours, "")) for ours, theirs in guess.columns.items()),
    ]


def _line(key: str, value: object, comment: str) -> str:
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
    """A file as seen from the folder, with what a glob would take for a pattern escaped; a folder
    or a glob as it was given, so that next month's file is read as well.
    """
    relative = Path(os.path.relpath(path.absolute(), folder.resolve())).as_posix()
    return glob.escape(relative) if path.is_file() else relative


def with_consents(text: str, guess: OrdersGuess, *, folder: Path) -> tuple[str, str | None]:
    """The text with [data.consents] where the orders have a column of consent, and what to say of
    it; the text as it is and None where they have none.
    """
    found = consent_column(guess.source)
    if found is None:
        return text, None
    section = "\n".join(["", *_lines(found, guess, folder), ""])
    return text.replace(NEXT_SECTION, section + NEXT_SECTION, 1), found_note(found)


def found_note(found: ConsentColumn) -> str:
    """What was taken for consent, with its counts."""
    unread = f", {found.unread:,} neither" if found.unread else ""
    return (
        f'the column "{found.name}" ({found.yes:,} yes, {found.no:,} no{unread}) is read as '
        "consent to marketing by e-mail: take [data.consents] out if it means something else"
    )


def _lines(found: ConsentColumn, guess: OrdersGuess, folder: Path) -> list[str]:
    usual = {**WRITTEN, "sheet": (None,), "date_format": (None,)}
    written = [
        key_line(key, getattr(guess, key), "as above")
        for key, without in usual.items()
        if getattr(guess, key, None) not in without and hasattr(guess, key)
    ]
    quoted = '"' + found.name.replace('"', '""') + '"'
    columns = {
        "customer_id": (guess.columns["customer_id"], ""),
        "changed_at": (guess.columns["ordered_at"], "the newest row of each customer counts"),
        "channel": ("'email'", "in single quotes: a constant"),
        "purpose": ("'marketing'", ""),
        "granted": (found.name, f"seen: {found.yes:,} yes, {found.no:,} no"),
    }
    blanks = [key_line("where", f"{quoted} is not null", "rows that say nothing are skipped")]
    return [
        key_line("[data.consents]", None, "who agreed to e-mails, as the orders say"),
        source_line(guess, folder),
        *written,
        *(blanks if found.unread and guess.grain == "line" else []),
        "",
        key_line("[data.consents.columns]", None, "ours = theirs; a condition is possible"),
        *(key_line(ours, theirs, comment) for ours, (theirs, comment) in columns.items()),
    ]


TEMPLATE = Path(__file__).with_name("starter_offers.toml")


def starter_offers(
    mean_order: float | None = None, *, currency: str | None = None, margin_rate: float = 0.3
) -> str:
    """The text of the catalogue for a shop whose orders come to so much on average; for one of
    which nothing is known, for orders of 40.
    """
    known = mean_order is not None and mean_order > 0
    order = mean_order if known and mean_order is not None else USUAL_ORDER
    money = currency or ""
    seen = f"{order:,.2f} {money}".strip()
    figures = {
        "@SHOP@": (
            f"# Seen: an order of yours comes to {seen} on average; a margin of {margin_rate:.0%}\n"
            f"# leaves {margin_rate * order:,.2f} of it. Costs below are scaled to that."
            if known
            else f"# Costs are for a shop whose orders come to {seen}: put in your own."
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
    """An amount as people set it: its first digit, or a half more.

    >>> [nice(amount) for amount in (8.0, 14.7, 0.0184, 233.0)]
    [8.0, 15.0, 0.02, 250.0]
    """
    unit = 10.0 ** floor(log10(amount))
    nearest = min(NICE, key=lambda one: abs(one - amount / unit))
    return float(f"{nearest * unit:.6g}")


def _text(amount: float) -> str:
    """The amount as TOML writes a float.

    >>> _text(1234.5), _text(0.01)
    ('1234.5', '0.01')
    """
    return repr(round(amount, 2) if amount >= 1 else float(f"{amount:.3g}"))
