"""The first command: look at a shop's orders and write the settings that fit them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from churn.data.sniff.guess import OrdersGuess, sniff_orders
from churn.errors import ConfigError
from churn.files.postgres.address import is_address
from churn.files.publish import publish_file
from churn.jobs.config_text import config_text
from churn.jobs.result import JobResult, Line, hashed
from churn.jobs.starter_offers import starter_offers

__all__ = ["InitResult", "init", "init_result"]


@dataclass(frozen=True)
class InitResult:
    """The settings written, what they rest on, and the offers, None where there were some."""

    config: Path
    offers: Path | None
    guess: OrdersGuess


def init(
    paths: Sequence[Path], *, out: Path = Path("churn.toml"), force: bool = False
) -> InitResult:
    """Settings for the orders in one file or several alike, and `offers.toml` where none is.

    ConfigError when `out` is there already, unless `force`; DataError when the orders cannot be
    told from the files. Offers that are there are never replaced.
    """
    if any(is_address(str(path)) for path in paths):
        rule = "churn init looks at files, not at a database"
        fix = "Export some rows for it to guess from, or write [data.orders] by hand."
        raise ConfigError(rule, fix=fix)
    if out.exists() and not force:
        rule = f"{out} must not be there yet"
        raise ConfigError(rule, got="a file", fix="Pass --force to replace it, or --out FILE.")
    guess = sniff_orders(*paths)
    _write(out, config_text(guess, folder=out.parent))
    return InitResult(out, _start_offers(out.with_name("offers.toml")), guess)


def init_result(
    paths: Sequence[Path], *, out: Path = Path("churn.toml"), force: bool = False
) -> JobResult:
    """The same as a command's result: what was guessed, on which evidence, and the files."""
    done = init(paths, out=out, force=force)
    guess = done.guess
    mapping: tuple[Line, ...] = tuple(
        (ours, theirs, guess.seen.get(ours, "")) for ours, theirs in guess.columns.items()
    )
    files = [done.config] if done.offers is None else [done.config, done.offers]
    return JobResult(
        command="init",
        resolved={"grain": guess.grain, "columns": dict(guess.columns)},
        rows={"orders": guess.rows_seen},
        files=hashed(*files),
        warnings=guess.warnings,
        tables=(("Guessed mapping", ("ours", "yours", "seen"), mapping),),
    )


def _start_offers(target: Path) -> Path | None:
    if target.exists():
        return None
    _write(target, starter_offers())
    return target


def _write(target: Path, text: str) -> None:
    with publish_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
