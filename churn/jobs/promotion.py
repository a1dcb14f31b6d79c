"""The champion of a models folder: moved in one step, with its history in the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from churn.config import Settings
from churn.errors import ModelError
from churn.files.ledger import Ledger, Promotion
from churn.files.publish import read_pointer, swap_pointer
from churn.files.records import Cause
from churn.modeling.manifest import CHAMPION

__all__ = ["ModelsFolder", "line_of_champions"]


@dataclass(frozen=True)
class ModelsFolder:
    """A folder of bundles and the pointer to their champion; `name` is its name in the ledger."""

    directory: Path
    name: str

    @classmethod
    def of(cls, settings: Settings, directory: Path | None = None) -> ModelsFolder:
        """The folder that the settings name, or another; named as seen from the settings' file."""
        place = (directory or settings.path(settings.model.directory)).absolute()
        return cls(place, Path(os.path.relpath(place, settings.folder)).as_posix())

    @property
    def champion(self) -> str | None:
        """What the pointer says now; None where there is none."""
        return read_pointer(self.directory / CHAMPION)

    def promote(
        self,
        ledger: Ledger,
        model_id: str,
        *,
        expected: str | None,
        run_id: str,
        cause: Cause,
        reason: str | None = None,
    ) -> None:
        """Moves the pointer and records the move: a run that is killed leaves both or neither.

        BusyError naming who won, where the champion is no longer the `expected` one.
        """
        promotion = Promotion(
            run_id=run_id,
            directory=self.name,
            model_id=model_id,
            previous=expected,
            cause=cause,
            reason=reason,
        )
        with ledger.promoting(promotion):
            swap_pointer(self.directory / CHAMPION, model_id, expected=expected)

    def line(self, ledger: Ledger) -> list[str]:
        """The champions that a rollback leads through, the present one last."""
        return line_of_champions(self.history(ledger), self.champion)

    def history(self, ledger: Ledger) -> list[Promotion]:
        """The promotions that moved the pointer, the oldest first: not the last one, where its run
        was killed before it did.
        """
        known, present = ledger.promotions(self.name), self.champion
        unmoved = known and known[-1].model_id != present and known[-1].previous == present
        return known[:-1] if unmoved else known

    def former(self, ledger: Ledger) -> str:
        """The champion before the present one; ModelError where none is known."""
        line = self.line(ledger)
        if len(line) < 2:
            rule = "a rollback needs a champion before the present one"
            fix = "Name a model with `churn models promote ID`."
            raise ModelError(rule, got="none on record", fix=fix)
        return line[-2]


def line_of_champions(history: Sequence[Promotion], present: str | None) -> list[str]:
    """The champions in office one after the other, those that were rolled back taken out.

    >>> def move(model_id, cause="promotion"):
    ...     return Promotion(
    ...         run_id="r", directory="models", model_id=model_id, previous=None, cause=cause
    ...     )
    >>> line_of_champions([move("a"), move("b"), move("c"), move("b", "rollback")], "b")
    ['a', 'b']
    """
    line: list[str] = []
    for move in history:
        _note(line, move.previous)  # known already, unless somebody wrote the pointer by hand
        if move.cause == "rollback" and move.model_id in line:
            del line[_last(line, move.model_id) + 1 :]
        else:
            _note(line, move.model_id)
    _note(line, present)
    return line


def _note(line: list[str], model_id: str | None) -> None:
    if model_id is not None and line[-1:] != [model_id]:
        line.append(model_id)


def _last(line: Sequence[str], model_id: str) -> int:
    return len(line) - 1 - list(reversed(line)).index(model_id)
