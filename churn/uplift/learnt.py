"""Learnt effects, and their folder of text files: `effects/<id>/`, each with its hash.

`manifest.json` holds the estimates of each offer and the SHA-256 of the trees, which are not parsed
before their hash is verified. The pointer `current` names the folder in use. If a key is set, the
manifest is signed with it, like those of models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from churn.arrays import Floats
from churn.errors import ConfigError, ModelError
from churn.modeling.boosting import predict_booster
from churn.modeling.manifest import check_signature, signed
from churn.offers.effects import Effects, assumed_effects, effect_of_shift
from churn.storage.files import check_name, inside
from churn.storage.manifests import hash_files, verify_files
from churn.storage.publish import publish_directory, read_pointer, swap_pointer
from churn.uplift.average import EffectLine, Estimate
from churn.uplift.experiment import feature_matrix
from churn.uplift.study import Finding, Study
from churn.uplift.verdict import Verdict

if TYPE_CHECKING:
    from churn.offers.catalogue import Offer

MEASURED: tuple[Verdict, ...] = ("individual", "average")

CURRENT = "current"
SCHEMA = 1
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class KnownEffect:
    """One offer's effect: by customer (`text` holds the trees), or the average as a shift of the
    retention log-odds: low, mean and high.
    """

    offer_id: str
    verdict: Verdict
    line: EffectLine
    shift: tuple[float, float, float]
    text: str | None = None

    @classmethod
    def of(cls, finding: Finding, text: str | None) -> Self:
        """The effect of a finding."""
        return cls(finding.offer_id, finding.verdict, finding.line, finding.shift, text)

    @property
    def is_measured(self) -> bool:
        """Whether it replaces the assumed effect."""
        return self.verdict in MEASURED

    def bounds(self, matrix: np.ndarray, churn_probability: Floats) -> tuple[Floats, ...]:
        """Low, mean and high of each row, cut so that probabilities stay between 0 and 1."""
        before = 1 - churn_probability
        if self.text is None:
            return tuple(effect_of_shift(churn_probability, shift) for shift in self.shift)
        predicted = predict_booster(self.text, matrix)
        mean, half = self.line.mean(predicted), self.line.half_width(predicted)
        return tuple(np.clip(e, -before, 1 - before) for e in (mean - half, mean, mean + half))

    def to_dict(self) -> dict[str, Any]:
        """Everything except the trees, as plain JSON."""
        average = self.line.average
        return {
            "verdict": self.verdict,
            "average": {"estimate": average.estimate, "error": average.error},
            "slope": self.line.slope,
            "slope_error": self.line.slope_error,
            "centre": self.line.centre,
            "shift": list(self.shift),
        }

    @classmethod
    def from_dict(cls, offer_id: str, said: Mapping[str, Any], text: str | None) -> Self:
        """The inverse of `to_dict`; KeyError, TypeError or ValueError for anything else."""
        verdict, (low, mean, high) = said["verdict"], said["shift"]
        if verdict == "individual" and text is None:
            raise ValueError("an individual effect needs its trees")
        line = EffectLine(
            average=Estimate(**said["average"]),
            slope=float(said["slope"]),
            slope_error=float(said["slope_error"]),
            centre=float(said["centre"]),
        )
        shown = text if verdict == "individual" else None
        return cls(offer_id, verdict, line, (float(low), float(mean), float(high)), shown)


@dataclass(frozen=True)
class LearntEffects:
    """The known effects by offer, and the features that individual effects use."""

    known: Mapping[str, KnownEffect]
    feature_names: tuple[str, ...]
    horizon_days: int

    @classmethod
    def of_study(cls, study: Study) -> Self:
        """The effects that a study found."""
        known = {
            name: KnownEffect.of(finding, study.texts.get(name))
            for name, finding in study.findings.items()
        }
        return cls(known, study.feature_names, study.horizon_days)

    def measured(self, offer_id: str) -> KnownEffect | None:
        """The offer's measured effect; None if only the assumed one can be used."""
        found = self.known.get(offer_id)
        return found if found is not None and found.is_measured else None

    def of(
        self,
        rows: pd.DataFrame,
        churn_probability: Floats,
        offers: Sequence[Offer],
        *,
        base_rate: float,
    ) -> Effects:
        """The effects of the offers on the customers of `rows`, a frame of features.

        An offer without a measured effect keeps its assumed effect at `base_rate`, the mean churn
        probability; `source` states which, by offer. NaN if the churn probability is unknown.
        Raises ModelError naming the missing features.
        """
        risk = np.asarray(churn_probability, dtype=float)
        effects = assumed_effects(risk, offers, base_rate=base_rate)
        low, mean, high = (part.copy() for part in (effects.low, effects.mean, effects.high))
        found = [self.measured(offer.offer_id) for offer in offers]
        matrix = self._matrix(rows) if any(f is not None and f.text for f in found) else None
        for column, one in enumerate(found):
            if one is not None:
                bounds = one.bounds(np.empty((0, 0)) if matrix is None else matrix, risk)
                low[:, column], mean[:, column], high[:, column] = bounds
        source = tuple("assumed" if one is None else "measured" for one in found)
        return Effects(mean=mean, low=low, high=high, source=source)

    def _matrix(self, rows: pd.DataFrame) -> np.ndarray:
        missing = [name for name in self.feature_names if name not in rows]
        if missing:
            raise ModelError(
                "measured effects need the features that they were learnt from",
                got=f"none of these: {missing}",
                fix="Build the features that they name, or run `churn effects` again.",
            )
        return feature_matrix(rows, self.feature_names)


def save_effects(
    effects: LearntEffects,
    directory: Path,
    *,
    effects_id: str,
    facts: Mapping[str, Any],
    signing_key: str | None = None,
) -> Path:
    """The folder `directory`/`effects_id`, complete or absent, which `current` then names.

    `facts` are added to the manifest; a key signs it.
    """
    target = directory / check_name(effects_id, what="effects_id")
    with publish_directory(target) as folder:
        (folder / "trees").mkdir()
        for name, one in effects.known.items():
            if one.text is not None:
                path = folder / "trees" / f"{check_name(name, what='offer_id')}.txt"
                path.write_text(one.text, encoding="utf-8")
        manifest = {
            **facts,
            "schema": SCHEMA,
            "effects_id": effects_id,
            "horizon_days": effects.horizon_days,
            "features": list(effects.feature_names),
            "offers": {name: one.to_dict() for name, one in effects.known.items()},
            "files": hash_files(folder),
        }
        shown = signed(manifest, signing_key)
        text = json.dumps(shown, indent=1, sort_keys=True, allow_nan=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    swap_pointer(directory / CURRENT, effects_id)
    return target


def current_effects(directory: Path, *, signing_key: str | None = None) -> LearntEffects | None:
    """The effects that the pointer `current` of a directory names; None if there are none yet.

    With a key they must be signed with it.
    """
    named = read_pointer(directory / CURRENT)
    if named is None:
        return None
    try:
        folder = inside(directory, check_name(named, what="effects_id"))
    except ConfigError:
        rule = f"the pointer {CURRENT!r} must name learnt effects"
        raise ModelError(rule, fix="Run `churn effects` again.") from None
    return load_effects(folder, signing_key=signing_key)


def load_effects(folder: Path, *, signing_key: str | None = None) -> LearntEffects:
    """The effects of a folder; ModelError if a file is missing, altered or foreign, or if the
    manifest is not signed with the given key.
    """
    try:
        manifest = json.loads(inside(folder, "manifest.json").read_text(encoding="utf-8"))
        known, hashes = manifest["schema"], dict(manifest["files"])
    except UNREADABLE:
        raise _not_whole(folder) from None
    if known != SCHEMA:
        rule = f"this release reads learnt effects of schema {SCHEMA}"
        raise ModelError(rule, got=known, fix="Run `churn effects` again.")
    what = {"what": "learnt effects", "again": "run `churn effects` again"}
    check_signature(manifest, signing_key, name=folder.name, **what)
    verify_files(folder, hashes)
    try:
        return LearntEffects(
            known={
                name: KnownEffect.from_dict(name, said, _trees(folder, name))
                for name, said in manifest["offers"].items()
            },
            feature_names=tuple(manifest["features"]),
            horizon_days=int(manifest["horizon_days"]),
        )
    except (ConfigError, *UNREADABLE):
        raise _not_whole(folder) from None


def _trees(folder: Path, offer_id: str) -> str | None:
    path = inside(folder, f"trees/{check_name(offer_id, what='offer_id')}.txt")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _not_whole(folder: Path) -> ModelError:
    rule = f"the learnt effects {folder.name!r} must have a complete manifest.json"
    return ModelError(rule, fix="Run `churn effects` again.")
