"""Messages from Jinja templates: built in, or the shop's own of the same name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from churn.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Environment

    from churn.offers.catalogue import Offer


TEMPLATES = ("offer", "win_back", "birthday", "holiday", "loyalty", "survey", "service")
"""The names of the built-in templates."""

_FOLDER = files("churn.campaigns.delivery") / "letters"
_OF_KIND = {
    **dict.fromkeys(("points", "greeting", "content"), "loyalty"),
    **dict.fromkeys(("survey", "service", "win_back"), None),
}


@dataclass(frozen=True)
class RenderedMessage:
    """The content of one message: its subject line, text and HTML."""

    subject: str
    text: str
    html: str


def template_of(offer: Offer) -> str:
    """The template of an offer: the one it names, else by occasion, kind or objective."""
    if offer.template is not None:
        return offer.template
    if offer.birthday_within_days is not None:
        return "birthday"
    if offer.holiday is not None:
        return "holiday"
    kind = _OF_KIND.get(offer.kind, "win_back" if offer.aim == "win_back" else "offer")
    return kind or offer.kind


@cache
def words_of(language: str) -> Mapping[str, Mapping[str, str]]:
    """Common phrases of messages and pages in that language."""
    return tomllib.loads((_FOLDER / language / "words.toml").read_text(encoding="utf-8"))


class Templates:
    """The templates of a language; those in `folder` override built-in ones of the same name.

    A template is a file NAME.j2 with the blocks subject, headline, body and, optionally, button,
    which layout.txt and layout.html turn into both formats. NAME.html and NAME.txt, if present,
    replace that format entirely. Templates run in a sandbox, an unknown variable is an error, and
    HTML is escaped.
    """

    def __init__(self, language: str, *, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            rule = "[delivery.email] templates must be a folder"
            raise ConfigError(rule, got=folder.name, fix="Create it, or remove the key.")
        self.language = language
        self._text = _environment(language, folder, escape=False)
        self._html = _environment(language, folder, escape=True)

    def render(self, name: str, values: Mapping[str, Any]) -> RenderedMessage:
        """The message of that template. Raises ConfigError if it does not exist or fails."""
        variables = {
            **values,
            "language": self.language,
            "words": words_of(self.language)["letter"],
        }
        with _template_errors(name):
            return RenderedMessage(
                subject=self._subject(name, variables),
                text=_rendered(self._text, name, "txt", variables),
                html=_rendered(self._html, name, "html", variables),
            )

    def _subject(self, name: str, values: dict[str, Any]) -> str:
        template = self._text.get_template(f"{name}.j2")
        context = template.new_context({**values, "layout": "layout.txt"})
        if "subject" not in template.blocks:
            raise _MissingBlockError("subject")
        return " ".join("".join(template.blocks["subject"](context)).split())


def _rendered(environment: Environment, name: str, ending: str, values: dict[str, Any]) -> str:
    template = environment.select_template([f"{name}.{ending}", f"{name}.j2"])
    return template.render(values, layout=f"layout.{ending}").strip() + "\n"


def _environment(language: str, folder: Path | None, *, escape: bool) -> Environment:
    from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    built_in = [str(_FOLDER / language), str(_FOLDER)]
    folders = built_in if folder is None else [str(folder), *built_in]
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = _paragraphs
    environment.globals["lacks"] = _lacks
    return environment


def _paragraphs(text: str) -> list[str]:
    """The paragraphs, each on one line, escaped as the text was."""
    kind = type(text)
    return [kind(" ".join(part.split())) for part in re.split(r"\n\s*\n", text.strip())]


@contextmanager
def _template_errors(name: str) -> Iterator[None]:
    """Converts failures into ConfigError that names the template and the problem."""
    from jinja2 import TemplateError, TemplateNotFound

    try:
        yield
    except TemplateNotFound as missing:
        rule = f"there must be a template {missing.name or name!r}"
        fix = f"Built in are {', '.join(TEMPLATES)}; your own go into [delivery.email] templates."
        raise ConfigError(rule, fix=fix) from None
    except _MissingBlockError as missing_block:
        block = str(missing_block)
        rule = f"the template {name!r} must have the block {block}, and {name}.j2 has none"
        fix = f"Write {{% block {block} %}} … {{% endblock %}} into it."
        raise ConfigError(rule, fix=fix) from None
    except (TemplateError, KeyError, TypeError, ValueError, ArithmeticError) as failure:
        rule = f"the template {name!r} must work"
        got = f"{type(failure).__name__}: {failure}"
        raise ConfigError(rule, got=got, fix="Fix it, then check it with --preview.") from None


class _MissingBlockError(Exception):
    """A required block is missing; holds its name."""


def _lacks(block: str) -> NoReturn:
    """Called by a layout for a required block that the template lacks."""
    raise _MissingBlockError(block)
