"""`churn init`: profiles a shop's orders, writes settings for them, and reads them with these."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from churn.commands.starter_files import (
    Answers,
    config_text,
    other_money,
    starter_offers,
    with_consents,
    with_feedback,
)
from churn.commands.summaries.overview import audit_table, overview_tables
from churn.config import load_settings, with_variables
from churn.data.databases import fetch, is_address
from churn.data.overview import overview
from churn.data.profiling.feedback import profile_feedback
from churn.data.profiling.guess import OrdersGuess, profile_orders
from churn.data.settings import OrdersSource
from churn.data.tables import Tables
from churn.errors import ChurnError, ConfigError
from churn.results.job_result import JobResult, Line, Table, hashed
from churn.storage.publish import publish_file

CONSENTS = ("required", "assumed")

Ask = Callable[[str, str], str]
"""A question and its default answer → the answer."""


@dataclass(frozen=True)
class InitResult:
    """The settings written, the profile that they are based on, and the offers, None if a catalogue
    existed; `consents` states which column is read as consent, None if there is none.
    """

    config: Path
    offers: Path | None
    guess: OrdersGuess
    consents: str | None = None


def init(
    sources: Sequence[Path | str],
    *,
    out: Path = Path("churn.toml"),
    force: bool = False,
    columns: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    ask: Ask | None = None,
    feedback: Mapping[str, Path] | None = None,
) -> InitResult:
    """Settings for the orders in files, folders or globs, or in one table of a database or lake,
    and `offers.toml` if there is none.

    An address is written as given; relative paths in it start at the folder of `out`. `feedback`
    names the files of the tables `surveys` and `reviews`.

    `columns`, ours → theirs, are taken as given; what neither they, the files nor `answers` state
    is asked with `ask`, if given. ConfigError if `out` exists, unless `force`, or if an address
    contains a password; DataError if the files cannot be read as orders. An existing catalogue of
    offers is never replaced.
    """
    if out.exists() and not force:
        rule = f"{out} must not exist yet"
        raise ConfigError(rule, got="a file", fix="Pass --force to replace it, or --out FILE.")
    given = dict(columns or {})
    with _profiling(sources, out.parent) as profiled:
        guess = profiled(given)
        if ask is not None:
            given, answers = _asked(guess, given, answers or Answers(), ask)
            guess = profiled(given) if given != (columns or {}) else guess
        settings = config_text(guess, folder=out.parent, answers=answers)
        settings, consents = with_consents(settings, guess, folder=out.parent)
    for table, path in (feedback or {}).items():
        settings = with_feedback(settings, profile_feedback(table, path), folder=out.parent)
    _write(out, settings)
    text = _offers_text(guess, answers or Answers())
    return InitResult(out, _start_offers(out.with_name("offers.toml"), text), guess, consents)


@contextmanager
def _profiling(
    sources: Sequence[Path | str], folder: Path
) -> Iterator[Callable[[Mapping[str, str]], OrdersGuess]]:
    """The profile of the orders, given columns; a table of a database is copied for the block."""
    texts = [str(source) for source in sources]
    if not any(map(is_address, texts)):
        paths = [Path(source) for source in sources]
        yield lambda given: profile_orders(*paths, given=given)
        return
    for text in texts:
        _check_no_password(text)
    meant = [with_variables(text, os.environ) for text in texts]
    fetched = fetch({"orders": OrdersSource(source=meant)}, folder=folder, whole=True)
    try:
        copy = fetched.tables["orders"]

        def profiled(given: Mapping[str, str]) -> OrdersGuess:
            guess = profile_orders(copy.path, given=given, name=str(copy.address))
            return replace(guess, address=texts[0], decimal=".")  # detected in each run

        yield profiled
    finally:
        fetched.close()


def _check_no_password(text: str) -> None:
    try:
        parts = urlsplit(text)
        given = [parts.password or "", *parse_qs(parts.query).get("password", ())]
    except ValueError:
        return  # refused with its reason where it is read
    if any(secret and not secret.startswith("${") for secret in given):
        rule = "an address must not contain a password, since it is written to the settings"
        fix = "Write ${SHOP_PASSWORD} in its place, in single quotes, and set that variable."
        raise ConfigError(rule, fix=fix)


def _offers_text(guess: OrdersGuess, answers: Answers) -> str:
    """Offers scaled to the mean order, if the amount is one column per order."""
    mean = None
    for amount in guess.money[:1] if guess.grain == "order" else ():
        if amount.filled and amount.name == guess.columns["amount"]:
            mean = amount.total / amount.filled
    currency = answers.currency or guess.currency
    return starter_offers(mean, currency=currency, margin_rate=answers.margin or 0.3)


def _asked(
    guess: OrdersGuess, given: Mapping[str, str], answers: Answers, ask: Ask
) -> tuple[dict[str, str], Answers]:
    """The columns and answers, with questions asked about amount, currency, margin and consent."""
    columns = dict(given)
    if "amount" not in columns and len(guess.money) > 1 and guess.system is None:
        columns = _ask_amount(guess, columns, ask)
    if answers.currency is None and guess.currency is None:
        currency = ask("In which currency are the amounts?", "USD")
        answers = replace(answers, currency=currency.upper())
    if answers.margin is None:
        question = "What share of an order's amount is contribution margin?"
        answers = replace(answers, margin=_share(ask(question, "0.3")))
    if answers.consent is None:
        question = "Who may get offers: customers who opted in (required), or all who did not "
        consent = ask(f"{question}opt out (assumed)?", "required")
        answers = replace(answers, consent=consent if consent in CONSENTS else "required")
    return columns, answers


def _ask_amount(guess: OrdersGuess, columns: dict[str, str], ask: Ask) -> dict[str, str]:
    guessed = guess.columns["amount"]
    question = f"Which column is the amount that the customer paid? Others: {other_money(guess)}."
    amount = ask(question, guessed)
    known = {money.name for money in guess.money}
    return {**columns, "amount": amount} if amount in known and amount != guessed else columns


def pairs(mapped: Sequence[str]) -> dict[str, str]:
    """Ours → theirs from texts such as `amount=Total`; ConfigError if one has no equals sign."""
    for text in mapped:
        if "=" not in text or not all(part.strip() for part in text.split("=", 1)):
            rule = "--map must be OURS=THEIRS"
            raise ConfigError(rule, got=text, fix='Write e.g. --map amount="Order Total".')
    split = (text.split("=", 1) for text in mapped)
    return {ours.strip(): theirs.strip() for ours, theirs in split}


def given_answers(*, currency: str | None, margin: str | None, consent: str | None) -> Answers:
    """The answers given as options; ConfigError if one is invalid."""
    if consent is not None and consent not in CONSENTS:
        raise ConfigError(f"--consent must be one of {CONSENTS}", got=consent)
    if currency is not None and not (len(currency) == 3 and currency.isalpha()):
        rule = "--currency must be a three-letter code"
        raise ConfigError(rule, got=currency, fix="Write e.g. EUR.")
    return Answers(
        currency=None if currency is None else currency.upper(),
        margin=None if margin is None else _share(margin),
        consent=consent,
    )


def _share(text: str) -> float:
    """A share from `0.3`, `0,3` or `30 %`; ConfigError for anything else."""
    plain = text.strip().replace(",", ".")
    percent = plain.endswith("%")
    try:
        value = float(plain.rstrip("% ")) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        rule = "the margin must be a share above 0 and at most 1"
        raise ConfigError(rule, got=text, fix="Write e.g. 0.3 or 30%.")
    return value


def init_result(
    sources: Sequence[Path | str],
    *,
    out: Path = Path("churn.toml"),
    force: bool = False,
    columns: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    ask: Ask | None = None,
    feedback: Mapping[str, Path] | None = None,
) -> JobResult:
    """`init` as a command's result: the guesses with their evidence, the files, and the result of
    reading the orders with these settings.
    """
    done = init(
        sources,
        out=out,
        force=force,
        columns=columns,
        answers=answers,
        ask=ask,
        feedback=feedback,
    )
    guess = done.guess
    files = [done.config] if done.offers is None else [done.config, done.offers]
    result = JobResult(
        command="init",
        resolved={
            "grain": guess.grain,
            "columns": dict(guess.columns),
            "system": guess.system,
            "where": guess.where,
        },
        rows={"orders": guess.rows_seen},
        files=hashed(*files),
        warnings=(
            *guess.notes,
            *guess.warnings,
            *(() if done.consents is None else (done.consents,)),
        ),
        tables=_mapping_tables(guess),
    )
    return _tried(result, done.config)


def _mapping_tables(guess: OrdersGuess) -> tuple[Table, ...]:
    """The mapping of columns, and the columns of money if there are several."""
    mapping: tuple[Line, ...] = tuple(
        (ours, theirs, guess.seen.get(ours, "")) for ours, theirs in guess.columns.items()
    )
    money: tuple[Line, ...] = tuple(
        (column.name, f"{column.total:,.2f}", f"{column.filled:,}", _role(guess, column.name))
        for column in guess.money
    )
    title = f"Detected {guess.system}" if guess.system else "Detected columns"
    shown = Table(title, ("churn", "your column", "evidence"), mapping)
    header = ("your column", "sum", "rows not 0", "used as")
    return (shown, Table("Columns of money", header, money)) if len(money) > 1 else (shown,)


def _role(guess: OrdersGuess, name: str) -> str:
    return next((ours for ours, theirs in guess.columns.items() if theirs == name), "")


def _tried(result: JobResult, config: Path) -> JobResult:
    """The result with the tables of reading the orders; an error becomes its failure."""
    try:
        settings = load_settings(config)
        erased = settings.erased()
        tables = Tables.from_settings(settings.data, folder=settings.folder, erased=erased)
    except ChurnError as failure:
        cause = f"{config} is written, but its orders cannot be read yet: {failure}"
        return replace(result, failure=cause, exit_code=failure.exit_code)
    try:
        months = overview(tables)
        audits = tables.audits
        shown = (audit_table(audits), *overview_tables(months))
        return replace(
            result,
            audits=audits,
            rows={name: audit.rows_kept for name, audit in audits.items()},
            metrics={"overview": months.to_dict()} if months else {},
            tables=(*result.tables, *shown),
        )
    finally:
        tables.close()


def _start_offers(target: Path, text: str) -> Path | None:
    if target.exists():
        return None
    _write(target, text)
    return target


def _write(target: Path, text: str) -> None:
    with publish_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
