"""What the demo tells while it runs: steps, the commands that they stand for, what came of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from churn.jobs.session import Progress, silent

__all__ = ["INDENT", "STEPS", "Say", "Story", "nothing"]

STEPS = 10
INDENT = 7


class Say(Protocol):
    """Tells a reader something that stays."""

    def __call__(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        """Text in a style, so many columns from the left, a mark before each line."""


def nothing(text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
    """Tells nobody."""


@dataclass
class Story:
    """A demo in a folder, told step by step."""

    folder: Path
    say: Say = nothing
    progress: Progress = silent
    told: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        """The configuration of the shop."""
        return self.folder / "churn.toml"

    def path(self, name: str) -> Path:
        """A file of the shop's folder."""
        return self.folder / name

    def begin(self, title: str) -> None:
        """The next step."""
        self.told.append(title)
        self.say(f"\n{len(self.told):>2}/{STEPS}  {title}", style="bold")

    def command(self, words: str) -> None:
        """What one would type to do the same, in the shop's folder but for the first."""
        self.say(f"$ {words}", style="cyan", indent=INDENT)

    def tell(self, text: str) -> None:
        """What came of the step."""
        self.say(text, indent=INDENT)
