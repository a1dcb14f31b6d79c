"""Estimated effects: predictions for customers, and their storage as text files with hashes.

`effects/<id>/manifest.json` holds the estimates of each offer and the SHA-256 of the trees, which
are parsed only after their hash is verified. The pointer `current` names the folder in use. With
a key, the manifest is signed like that of a model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Floats
from churn.data.tables import Snapshot
from churn.errors import ConfigError, ModelError
from churn.features.builder import sweep_features
from churn.features.clock import FeatureClock
from churn.modeling.boosting import predict_booster
from churn.modeling.manifest import check_signature, signed
from churn.offers.catalogue import Offer, Offers
from churn.offers.effects import Effects, MoneyTerms, assumed_effects, effect_of_shift
from churn.storage.files import check_name, inside
from churn.storage.manifests import hash_files, verify_files
from churn.storage.publish import publish_directory, read_pointer, swap_pointer
from churn.uplift.average import EffectLine, Estimate, Z
from churn.uplift.experiment import feature_matrix
from churn.uplift.money import MoneyEvidence
from churn.uplift.posterior import LEAST_ERROR, Shifts
from churn.uplift.study import Finding, Study
from churn.uplift.verdict import Verdict

CURRENT = "current"
SCHEMA = 1
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class KnownEffect:
    """The effect of one offer: per customer (`text` holds the trees), or the average as a shift of
    the retention log-odds, low, mean and high. `correlations` are those of its error with the
    errors of other offers.
    """

    offer_id: str
    verdict: Verdict
    line: EffectLine
    shift: tuple[float, float, float]
    text: str | None = None
    correlations: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, finding: Finding, text: str | None) -> Self:
        """The effect of a finding, with the trees if it is individual."""
        shown = (finding.offer_id, finding.verdict, finding.line, finding.shift)
        return cls(*shown, text, finding.correlations)

    @property
    def source(self) -> str:
        """What a plan calls its effect: "combined" with the assumption if too small to tell."""
        return "combined" if self.verdict == "too small to tell" else "measured"

    @property
    def shift_error(self) -> float:
        """The standard error of the shift; infinite if it is unknown."""
        low, _, high = self.shift
        error = (high - low) / (2 * Z)
        return max(error, LEAST_ERROR / 10) if np.isfinite(error) else float("inf")

    def correlation(self, other: str) -> float:
        """The correlation of its error with that of another offer; 1 with itself."""
        return 1.0 if other == self.offer_id else self.correlations.get(other, 0.0)

    def bounds(
        self,
        matrix: np.ndarray,
        churn_probability: Floats,
        known: tuple[float, float, float],
        lean: tuple[float, float],
    ) -> tuple[Floats, ...]:
        """Low, mean and high of each row, clipped so that retention stays in [0, 1].

        `known` are low, mean and high of the shift after the update of the assumption; `lean` is
        how far an average effect is in proportion to the risk, and the mean risk at which it holds,
        see `churn.uplift.money`.
        """
        before = 1 - churn_probability
        if self.text is None:
            even = tuple(effect_of_shift(churn_probability, shift) for shift in known)
            share, mean_risk = lean
            if share == 0:
                return even
            average, risk = self._line(known).average, churn_probability / mean_risk
            levels = (average.low, average.estimate, average.high)
            mixed = ((1 - share) * e + share * a * risk for e, a in zip(even, levels, strict=True))
            return tuple(np.clip(e, -before, 1 - before) for e in mixed)
        predicted = predict_booster(self.text, matrix)
        mean, half = self._line(known).mean(predicted), self._line(known).half_width(predicted)
        return tuple(np.clip(e, -before, 1 - before) for e in (mean - half, mean, mean + half))

    def average_at(self, known: tuple[float, float, float]) -> float:
        """The average effect on the experiment's customers after the update."""
        return self._line(known).average.estimate

    def _line(self, known: tuple[float, float, float]) -> EffectLine:
        """The line with the average that is known after the update."""
        average, (low, mean, high) = self.line.average, known
        width = self.shift[2] - self.shift[0]
        slope = (average.high - average.low) / width if width > 0 else 0.0
        moved = Estimate(
            average.estimate + slope * (mean - self.shift[1]), slope * (high - low) / (2 * Z)
        )
        return replace(self.line, average=moved)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the trees, as plain JSON."""
        average = self.line.average
        return {
            "verdict": self.verdict,
            "average": {"estimate": average.estimate, "error": average.error},
            "slope": self.line.slope,
            "slope_error": self.line.slope_error,
            "centre": self.line.centre,
            "shift": list(self.shift),
            "correlations": dict(self.correlations),
        }

    @classmethod
    def from_dict(cls, offer_id: str, entry: Mapping[str, Any], text: str | None) -> Self:
        """The inverse of `to_dict`; raises KeyError, TypeError or ValueError for other input."""
        verdict, (low, mean, high) = entry["verdict"], entry["shift"]
        if verdict == "individual" and text is None:
            raise ValueError("an individual effect needs its trees")
        line = EffectLine(
            average=Estimate(**entry["average"]),
            slope=float(entry["slope"]),
            slope_error=float(entry["slope_error"]),
            centre=float(entry["centre"]),
        )
        trees = text if verdict == "individual" else None
        correlations = {str(k): float(v) for k, v in entry.get("correlations", {}).items()}
        shift = (float(low), float(mean), float(high))
        return cls(offer_id, verdict, line, shift, trees, correlations)


@dataclass(frozen=True)
class LearntEffects:
    """The effects by offer, the features that the trees take, and the evidence on money."""

    by_offer: Mapping[str, KnownEffect]
    feature_names: tuple[str, ...]
    horizon_days: int
    money: MoneyEvidence | None = None

    @classmethod
    def of_study(cls, study: Study) -> Self:
        """The effects that a study found."""
        by_offer = {
            name: KnownEffect.of(finding, study.texts.get(name))
            for name, finding in study.findings.items()
        }
        return cls(by_offer, study.feature_names, study.horizon_days, study.money)

    def found(self, offers: Sequence[Offer]) -> list[KnownEffect | None]:
        """What an experiment found of each offer; None for offers that were in none."""
        found = [self.by_offer.get(offer.offer_id) for offer in offers]
        return [e if e is not None and np.isfinite(e.shift_error) else None for e in found]

    def shifts(self, offers: Sequence[Offer], *, base_rate: float) -> Shifts:
        """The shifts of the offers' log-odds as they are known after the experiment: what the
        catalogue assumes at `base_rate`, the mean churn probability, updated by what was found.
        """
        assumed, found = Shifts.assumed(offers, base_rate=base_rate), self.found(offers)
        tried = [column for column, effect in enumerate(found) if effect is not None]
        effects = [effect for effect in found if effect is not None]
        if not effects:
            return assumed
        error = np.array([effect.shift_error for effect in effects])
        alike = np.array([[a.correlation(b.offer_id) for b in effects] for a in effects])
        mean = np.array([effect.shift[1] for effect in effects])
        measured = Shifts(mean, alike * np.outer(error, error))
        known = assumed.of(tried).widened(measured).updated(measured)
        mean, covariance = assumed.mean.copy(), assumed.covariance.copy()
        mean[tried], covariance[np.ix_(tried, tried)] = known.mean, known.covariance
        return Shifts(mean, covariance)

    def of(
        self,
        rows: pd.DataFrame,
        churn_probability: Floats,
        offers: Sequence[Offer],
        *,
        base_rate: float,
    ) -> Effects:
        """The effects of the offers on the customers of `rows`, a frame of features.

        What was measured updates the effect that the catalogue assumes at `base_rate`, the mean
        churn probability, see `churn.uplift.posterior`; `source` is "measured", "combined" or
        "assumed", by offer. NaN where the churn probability is unknown. Raises ModelError with the
        names of missing features.
        """
        risk = np.asarray(churn_probability, dtype=float)
        effects = assumed_effects(risk, offers, base_rate=base_rate)
        low, mean, high = (part.copy() for part in (effects.low, effects.mean, effects.high))
        found, known = self.found(offers), self.shifts(offers, base_rate=base_rate)
        uses_trees = any(effect is not None and effect.text for effect in found)
        matrix = self._matrix(rows) if uses_trees else np.empty((0, 0))
        lean, money = self._money(offers, found, known, base_rate=base_rate)
        for column, effect in enumerate(found):
            if effect is not None:
                bounds = effect.bounds(matrix, risk, known.bounds(column), lean[column])
                low[:, column], mean[:, column], high[:, column] = bounds
        source = tuple("assumed" if effect is None else effect.source for effect in found)
        individual = tuple(effect is not None and effect.text is not None for effect in found)
        return Effects(mean, low, high, source, money, individual)

    def _money(
        self,
        offers: Sequence[Offer],
        found: Sequence[KnownEffect | None],
        known: Shifts,
        *,
        base_rate: float,
    ) -> tuple[list[tuple[float, float]], tuple[MoneyTerms | None, ...]]:
        """How the effect of each offer varies with the risk, and its money terms."""
        if self.money is None:
            return [(0.0, 1.0)] * len(offers), (None,) * len(offers)
        averages = {
            effect.offer_id: effect.average_at(known.bounds(column))
            for column, effect in enumerate(found)
            if effect is not None and effect.offer_id in self.money.offers
        }
        lean = self.money.lean(averages)
        leans = [
            (lean, self.money.mean_risk_of(offer.offer_id))
            if offer.offer_id in averages
            else (0.0, 1.0)
            for offer in offers
        ]
        return leans, self.money.terms(offers, averages, 1 - base_rate)

    def _matrix(self, rows: pd.DataFrame) -> np.ndarray:
        missing = [name for name in self.feature_names if name not in rows]
        if missing:
            raise ModelError(
                "measured effects need the features that they were estimated with",
                got=f"none of these: {missing}",
                fix="Build them from that list, or run `churn effects` again.",
            )
        return feature_matrix(rows, self.feature_names)


def measured_effects(
    learnt: LearntEffects, scores: pa.Table, snapshot: Snapshot, offers: Offers, clock: FeatureClock
) -> Effects | None:
    """Effects of the offers on the scored customers, in the order of `scores`; None if none of the
    offers was in an experiment. Features are built, in batches, only if an effect differs by
    customer.
    """
    found = learnt.found(offers.offers)
    if all(effect is None for effect in found):
        return None
    probability = scores["churn_probability"].to_numpy(zero_copy_only=False)
    base_rate = _mean_of_eligible(scores)
    if not any(effect is not None and effect.text for effect in found):
        return learnt.of(pd.DataFrame(), probability, offers.offers, base_rate=base_rate)
    shape = (scores.num_rows, len(offers))
    whole = {name: np.full(shape, np.nan) for name in ("mean", "low", "high")}
    last: Effects | None = None
    for positions, rows in _feature_batches(learnt, scores, snapshot, clock):
        part = learnt.of(rows, probability[positions], offers.offers, base_rate=base_rate)
        for name, matrix in whole.items():
            matrix[positions] = getattr(part, name)
        last = part
    if last is None:
        return None
    return replace(last, mean=whole["mean"], low=whole["low"], high=whole["high"])


def _feature_batches(
    learnt: LearntEffects, scores: pa.Table, snapshot: Snapshot, clock: FeatureClock
) -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
    """Features of the scored customers in batches, with their positions in the scores."""
    built = sweep_features(
        snapshot.tables, [snapshot.as_of], clock, names=learnt.feature_names, undated=True
    )
    ids = scores["customer_id"].combine_chunks()
    for batch in built.batches():
        rows = batch.to_pandas()
        position = pc.index_in(pa.array(rows["customer_id"], ids.type), value_set=ids)
        scored = np.asarray(position.is_valid())
        yield position.drop_null().to_numpy(), rows[scored].reset_index(drop=True)


def _mean_of_eligible(scores: pa.Table) -> float:
    """The mean churn probability of the eligible customers; of all, if none is eligible."""
    probability = scores["churn_probability"].to_numpy(zero_copy_only=False)
    eligible = pc.fill_null(pc.equal(scores["status"], "eligible"), False).to_numpy()
    known = ~np.isnan(probability)
    counted = probability[known & eligible] if (known & eligible).any() else probability[known]
    return float(counted.mean()) if len(counted) else float("nan")


def save_effects(
    effects: LearntEffects,
    directory: Path,
    *,
    effects_id: str,
    facts: Mapping[str, Any],
    signing_key: str | None = None,
) -> Path:
    """Writes the folder `directory`/`effects_id` atomically and points `current` to it.

    `facts` are added to the manifest, which is signed with the key if there is one.
    """
    target = directory / check_name(effects_id, what="effects_id")
    with publish_directory(target) as folder:
        (folder / "trees").mkdir()
        for name, effect in effects.by_offer.items():
            if effect.text is not None:
                path = folder / "trees" / f"{check_name(name, what='offer_id')}.txt"
                path.write_text(effect.text, encoding="utf-8")
        manifest = {
            **facts,
            "schema": SCHEMA,
            "effects_id": effects_id,
            "horizon_days": effects.horizon_days,
            "features": list(effects.feature_names),
            "offers": {name: effect.to_dict() for name, effect in effects.by_offer.items()},
            "money": None if effects.money is None else effects.money.to_dict(),
            "files": hash_files(folder),
        }
        manifest = signed(manifest, signing_key)
        text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
    swap_pointer(directory / CURRENT, effects_id)
    return target


def current_effects(directory: Path, *, signing_key: str | None = None) -> LearntEffects | None:
    """The effects that the pointer `current` names, see `load_effects`; None if there is none."""
    effects_id = read_pointer(directory / CURRENT)
    if effects_id is None:
        return None
    try:
        folder = inside(directory, check_name(effects_id, what="effects_id"))
    except ConfigError:
        rule = f"the pointer {CURRENT!r} must name learnt effects"
        raise ModelError(rule, fix="Run `churn effects` again.") from None
    return load_effects(folder, signing_key=signing_key)


def load_effects(folder: Path, *, signing_key: str | None = None) -> LearntEffects:
    """The effects of a folder; ModelError if a file is missing, altered or foreign, or if a key is
    given and the manifest is not signed with it.
    """
    try:
        manifest = json.loads(inside(folder, "manifest.json").read_text(encoding="utf-8"))
        schema, hashes = manifest["schema"], dict(manifest["files"])
    except UNREADABLE:
        raise _incomplete(folder) from None
    if schema != SCHEMA:
        rule = f"this release reads learnt effects of schema {SCHEMA}"
        raise ModelError(rule, got=schema, fix="Run `churn effects` again.")
    what = {"what": "learnt effects", "again": "run `churn effects` again"}
    check_signature(manifest, signing_key, name=folder.name, **what)
    verify_files(folder, hashes)
    money = manifest.get("money")
    try:
        return LearntEffects(
            by_offer={
                name: KnownEffect.from_dict(name, entry, _trees(folder, name))
                for name, entry in manifest["offers"].items()
            },
            feature_names=tuple(manifest["features"]),
            horizon_days=int(manifest["horizon_days"]),
            money=None if money is None else MoneyEvidence.from_dict(money),
        )
    except (ConfigError, *UNREADABLE):
        raise _incomplete(folder) from None


def _trees(folder: Path, offer_id: str) -> str | None:
    path = inside(folder, f"trees/{check_name(offer_id, what='offer_id')}.txt")
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _incomplete(folder: Path) -> ModelError:
    rule = f"the learnt effects {folder.name!r} must have a complete manifest.json"
    return ModelError(rule, fix="Run `churn effects` again.")
