"""The unsubscribe page: a question with one button, and its answers, without script or cookie."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

from churn.campaigns.delivery.templates import words_of

if TYPE_CHECKING:
    from jinja2 import Template


_FOLDER = files("churn.serving")


@dataclass(frozen=True)
class Pages:
    """The pages of a shop in a language, as HTML."""

    shop: str
    language: str

    @property
    def question(self) -> str:
        """The question whether to unsubscribe."""
        return self._page("title", "ask", button=self._words["button"])

    @property
    def done(self) -> str:
        """Confirmation, the same for the first and every later request."""
        return self._page("done_title", "done")

    @property
    def unknown(self) -> str:
        """The answer to an invalid link, the same for all of them."""
        return self._page("unknown_title", "unknown")

    @cached_property
    def policy(self) -> str:
        """The Content-Security-Policy: the page's own style and form, nothing else."""
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        own = f"style-src 'sha256-{digest}'; form-action 'self'"
        return f"default-src 'none'; {own}; frame-ancestors 'none'; base-uri 'none'"

    @cached_property
    def _style(self) -> str:
        return (_FOLDER / "page.css").read_text(encoding="utf-8")

    @cached_property
    def _template(self) -> Template:
        from jinja2 import Environment

        text = (_FOLDER / "page.html").read_text(encoding="utf-8")
        return Environment(autoescape=True, trim_blocks=True).from_string(text)

    @property
    def _words(self) -> Mapping[str, str]:
        return words_of(self.language)["page"]

    def _page(self, title: str, text: str, *, button: str = "") -> str:
        from markupsafe import Markup

        return self._template.render(
            language=self.language,
            shop=self.shop,
            title=self._words[title],
            text=self._words[text],
            button=button,
            style=Markup(self._style),  # noqa: S704 - a file of the package
        )
