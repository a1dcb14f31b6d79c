"""Consents in a first `churn.toml`: read out of the orders where a column says who agreed."""

from __future__ import annotations

from pathlib import Path

from churn.data.sniff.consent import ConsentColumn, consent_column
from churn.data.sniff.guess import OrdersGuess
from churn.jobs.config_text import key_line, source_line

__all__ = ["found_note", "with_consents"]

NEXT_SECTION = "\n[churn]\n"
WRITTEN = {"delimiter": (None, ","), "decimal": (".",), "encoding": ("utf-8",)}
"""How a file is written, and what needs no line; `sheet` and `date_format` need none where None."""


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
