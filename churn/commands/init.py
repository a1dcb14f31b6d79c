"""The first command: look at a shop's orders, write the settings that fit them, and try them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from churn.commands.starter_files import Answers, beside, config_text, starter_offers, with_consents
from churn.commands.summaries.overview import audit_table, overview_tables
from churn.config import load_settings
from churn.data.overview import overview
from churn.data.profiling.guess import OrdersGuess, profile_orders
from churn.data.tables import Tables
from churn.errors import ChurnError, ConfigError
from churn.results.job_result import JobResult, Line, Table, hashed
from churn.storage.postgres.address import is_address
from churn.storage.publish import publish_file

CONSENTS = ("required", "assumed")

Ask = Callable[[str, str], str]
"""A question and its usual answer → what a person answers."""


@dataclass(frozen=True)
class InitResult:
    """The settings written, what they rest on, and the offers, None where there were some;
    `consents` says which column was taken for consent, None where there is none.
    """

    config: Path
    offers: Path | None
    guess: OrdersGuess
    consents: str | None = None


def init(
    paths: Sequence[Path],
    *,
    out: Path = Path("churn.toml"),
    force: bool = False,
    columns: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    ask: Ask | None = None,
) -> InitResult:
    """Settings for the orders in files, folders or globs, and `offers.toml` where none is.

    `columns`, ours → theirs, stand as they are; what neither they, the files nor `answers` tell
    is asked where there is somebody to `ask`. ConfigError when `out` is there already, unless
    `force`; DataError when the orders cannot be told from the files. Offers that are there are
    never replaced.
    """
    if any(is_address(str(path)) for path in paths):
        rule = "churn init looks at files, not at a database"
        fix = "Export some rows for it to guess from, or write [data.orders] by hand."
        raise ConfigError(rule, fix=fix)
    if out.exists() and not force:
        rule = f"{out} must not be there yet"
        raise ConfigError(rule, got="a file", fix="Pass --force to replace it, or --out FILE.")
    given = dict(columns or {})
    guess = profile_orders(*paths, given=given)
    if ask is not None:
        given, answers = _asked(guess, given, answers or Answers(), ask)
        guess = profile_orders(*paths, given=given) if given != (columns or {}) else guess
    settings = config_text(guess, folder=out.parent, answers=answers)
    settings, consents = with_consents(settings, guess, folder=out.parent)
    _write(out, settings)
    text = _offers_text(guess, answers or Answers())
    return InitResult(out, _start_offers(out.with_name("offers.toml"), text), guess, consents)


def _offers_text(guess: OrdersGuess, answers: Answers) -> str:
    """Offers that are scaled to the mean amount, where it is a column of its own."""
    mean = None
    for amount in guess.money[:1] if guess.grain == "order" else ():
        if amount.filled and amount.name == guess.columns["amount"]:
            mean = amount.total / amount.filled
    currency = answers.currency or guess.currency
    return starter_offers(mean, currency=currency, margin_rate=answers.margin or 0.3)


def _asked(
    guess: OrdersGuess, given: Mapping[str, str], answers: Answers, ask: Ask
) -> tuple[dict[str, str], Answers]:
    """What a person says of the amount, the currency, the margin and consent."""
    columns = dict(given)
    if "amount" not in columns and len(guess.money) > 1 and guess.system is None:
        columns = _ask_amount(guess, columns, ask)
    if answers.currency is None and guess.currency is None:
        said = ask("In which currency are the amounts?", "USD")
        answers = replace(answers, currency=said.upper())
    if answers.margin is None:
        question = "What share of an order's amount is left after its costs?"
        answers = replace(answers, margin=_share(ask(question, "0.3")))
    if answers.consent is None:
        question = "Who may get offers: those who agreed (required), or all who did not refuse "
        said = ask(f"{question}(assumed)?", "required")
        answers = replace(answers, consent=said if said in CONSENTS else "required")
    return columns, answers


def _ask_amount(guess: OrdersGuess, columns: dict[str, str], ask: Ask) -> dict[str, str]:
    usual = guess.columns["amount"]
    said = ask(f"Which column is what the customer paid? Beside it: {beside(guess)}.", usual)
    known = {money.name for money in guess.money}
    return {**columns, "amount": said} if said in known and said != usual else columns


def pairs(mapped: Sequence[str]) -> dict[str, str]:
    """Ours → theirs from texts such as `amount=Total`; ConfigError where one has no sign."""
    for each in mapped:
        if "=" not in each or not all(part.strip() for part in each.split("=", 1)):
            rule = "--map must be OURS=THEIRS"
            raise ConfigError(rule, got=each, fix='Write e.g. --map amount="Order Total".')
    parted = (each.split("=", 1) for each in mapped)
    return {ours.strip(): theirs.strip() for ours, theirs in parted}


def given_answers(*, currency: str | None, margin: str | None, consent: str | None) -> Answers:
    """The answers that a command's options give; ConfigError where one is none."""
    if consent is not None and consent not in CONSENTS:
        raise ConfigError(f"--consent must be one of {CONSENTS}", got=consent)
    if currency is not None and not (len(currency) == 3 and currency.isalpha()):
        rule = "--currency must be a code of three letters"
        raise ConfigError(rule, got=currency, fix="Write e.g. EUR.")
    return Answers(
        currency=None if currency is None else currency.upper(),
        margin=None if margin is None else _share(margin),
        consent=consent,
    )


def _share(text: str) -> float:
    """A share from `0.3`, `0,3` or `30 %`; ConfigError where it is none."""
    plain = text.strip().replace(",", ".")
    percent = plain.endswith("%")
    try:
        value = float(plain.rstrip("% ")) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        rule = "the margin must be a share above 0 and at most 1"
        raise ConfigError(rule, got=text, fix="Say e.g. 0.3 or 30%.")
    return value


def init_result(
    paths: Sequence[Path],
    *,
    out: Path = Path("churn.toml"),
    force: bool = False,
    columns: Mapping[str, str] | None = None,
    answers: Answers | None = None,
    ask: Ask | None = None,
) -> JobResult:
    """The same as a command's result: what was guessed, on which evidence, the files, and what
    comes out when the orders are read with these settings.
    """
    done = init(paths, out=out, force=force, columns=columns, answers=answers, ask=ask)
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
    """Which of their columns is which of ours, and the money that stands beside the amount."""
    mapping: tuple[Line, ...] = tuple(
        (ours, theirs, guess.seen.get(ours, "")) for ours, theirs in guess.columns.items()
    )
    money: tuple[Line, ...] = tuple(
        (each.name, f"{each.total:,.2f}", f"{each.filled:,}", _role(guess, each.name))
        for each in guess.money
    )
    title = f"This looks like {guess.system}" if guess.system else "Guessed mapping"
    shown = Table(title, ("ours", "yours", "seen"), mapping)
    header = ("yours", "sum", "rows not 0", "taken as")
    return (shown, Table("Columns of money", header, money)) if len(money) > 1 else (shown,)


def _role(guess: OrdersGuess, name: str) -> str:
    return next((ours for ours, theirs in guess.columns.items() if theirs == name), "")


def _tried(result: JobResult, config: Path) -> JobResult:
    """The result with what comes of reading the orders; a refusal is its failure."""
    try:
        settings = load_settings(config)
        erased = settings.erased()
        tables = Tables.from_settings(settings.data, folder=settings.folder, erased=erased)
    except ChurnError as failure:
        cause = f"{config} is written, but its orders cannot be read yet: {failure}"
        return replace(result, failure=cause, exit_code=failure.exit_code)
    try:
        found = overview(tables)
        audits = tables.audits
        shown = (audit_table(audits), *overview_tables(found))
        return replace(
            result,
            audits=audits,
            rows={name: audit.rows_kept for name, audit in audits.items()},
            metrics={"overview": found.to_dict()} if found else {},
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
