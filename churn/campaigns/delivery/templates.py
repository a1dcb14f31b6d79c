"""Messages from Jinja templates: ours, or the shop's own of the same name."""

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
    from jinja2 import Template as JinjaTemplate

    from churn.offers.catalogue import Offer


TEMPLATES = ("offer", "win_back", "birthday", "holiday", "loyalty", "survey", "service")
"""The names of the templates that come with the product."""

_FOLDER = files("churn.campaigns.delivery") / "letters"
_OF_KIND = {
    **dict.fromkeys(("points", "greeting", "content"), "loyalty"),
    **dict.fromkeys(("survey", "service", "win_back"), None),
}


@dataclass(frozen=True)
class Letter:
    """One message as text: its subject in one line, and the same twice."""

    subject: str
    text: str
    html: str


def template_of(offer: Offer) -> str:
    """The name of the template for an offer: the one that it names, else what its occasion, its
    kind or its objective ask for.
    """
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
    """What messages and pages say in that language besides their own text."""
    return tomllib.loads((_FOLDER / language / "words.toml").read_text(encoding="utf-8"))


class Templates:
    """The templates of a language; those in `folder` go before ours of the same name.

    A template is a file NAME.j2 with the blocks subject, headline, body and, if wanted, button: one
    text that layout.txt and layout.html put into their form. NAME.html and NAME.txt, where they
    are, stand for the whole of that part. They run in a sandbox, an unknown variable is an error,
    and HTML escapes what it is given.
    """

    def __init__(self, language: str, *, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            rule = "[delivery.email] templates must be a folder"
            raise ConfigError(rule, got=folder.name, fix="Make it, or leave the key out.")
        self.language = language
        self._text = _environment(language, folder, escape=False)
        self._html = _environment(language, folder, escape=True)

    def render(self, name: str, values: Mapping[str, Any]) -> Letter:
        """The letter of the template of that name; ConfigError where there is none or it fails."""
        said = {**values, "language": self.language, "words": words_of(self.language)["letter"]}
        with _template_errors(name):
            return Letter(
                subject=self._subject(name, said),
                text=_rendered(self._text, name, "txt", said),
                html=_rendered(self._html, name, "html", said),
            )

    def _subject(self, name: str, values: dict[str, Any]) -> str:
        template = self._text.get_template(f"{name}.j2")
        context = template.new_context({**values, "layout": "layout.txt"})
        if "subject" not in template.blocks:
            raise _LackingError("subject")
        return " ".join("".join(template.blocks["subject"](context)).split())


def _rendered(environment: Environment, name: str, ending: str, values: dict[str, Any]) -> str:
    template = _either(environment, f"{name}.{ending}", f"{name}.j2")
    return template.render(values, layout=f"layout.{ending}").strip() + "\n"


def _either(environment: Environment, *names: str) -> JinjaTemplate:
    return environment.select_template(names)


def _environment(language: str, folder: Path | None, *, escape: bool) -> Environment:
    from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    ours = [str(_FOLDER / language), str(_FOLDER)]
    places = ours if folder is None else [str(folder), *ours]
    environment = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(place) for place in places]),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["paragraphs"] = _paragraphs
    environment.globals["lacks"] = _lacks
    return environment


def _paragraphs(text: str) -> list[str]:
    """The parts between empty lines, each in one line, escaped as the text was."""
    kind = type(text)
    return [kind(" ".join(part.split())) for part in re.split(r"\n\s*\n", text.strip())]


@contextmanager
def _template_errors(name: str) -> Iterator[None]:
    """A block whose failures name the template and what is wrong with it."""
    from jinja2 import TemplateError, TemplateNotFound

    try:
        yield
    except TemplateNotFound as missing:
        rule = f"there must be a template {missing.name or name!r}"
        fix = f"Ours are {', '.join(TEMPLATES)}; your own lie in [delivery.email] templates."
        raise ConfigError(rule, fix=fix) from None
    except _LackingError as lacking:
        block = str(lacking)
        rule = f"the template {name!r} must have the block {block}, and {name}.j2 has none"
        fix = f"Write {{% block {block} %}} … {{% endblock %}} into it."
        raise ConfigError(rule, fix=fix) from None
    except (TemplateError, KeyError, TypeError, ValueError, ArithmeticError) as failure:
        rule = f"the template {name!r} must work"
        got = f"{type(failure).__name__}: {failure}"
        raise ConfigError(rule, got=got, fix="Mend it, then look at it with --preview.") from None


class _LackingError(Exception):
    """The name of a compulsory block that no template of a letter has."""


def _lacks(block: str) -> NoReturn:
    """What a layout puts into a block that the letter has to fill."""
    raise _LackingError(block)
