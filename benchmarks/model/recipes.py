"""What was tried in place of the shipped recipe, each judged on forward folds beside it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import lightgbm
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from churn.modeling.baselines import fit_baselines, predict_baseline
from churn.modeling.dataset import Dataset
from churn.modeling.metrics import paired_log_loss_difference, roc_auc
from churn.modeling.model import ChurnModel
from churn.modeling.portable import logit, sigmoid

from .shops import Shop

__all__ = ["recipe_table"]

SHIPPED = ChurnModel(seed=7, threads=1)
FIRST_RELEASE = {"learning_rate": 0.05, "feature_fraction": 0.8}
MORE_OVERDUE = (
    *("recency_days", "overdue_ratio", "overdue_z", "recency_over_longest_gap"),
    *("p_no_purchase_in_horizon", "expected_gap_days"),
)
MORE_ACTIVE = (
    *("decayed_days_short", "decayed_days_medium", "decayed_days_long", "active_window_share"),
    *("p_alive", "expected_purchase_days", "purchase_days_7d", "purchase_days_14d"),
    *("purchase_days_30d", "purchase_days_60d", "purchase_days_90d", "purchase_days_180d"),
)

Rows = pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Trees:
    """LightGBM as the shipped recipe has it, but for what is said here; log-odds of lapsing.

    `parameters` are LightGBM's own; `half_life` weighs rows down by their age, in horizons;
    `additive_rounds` come first and see one feature a tree; with `soft_once` a single purchase
    in the horizon counts as that share of a lapse; `start` is the rule whose log-odds are
    improved upon.
    """

    parameters: Mapping[str, object] = field(default_factory=dict)
    rounds: int = SHIPPED.rounds
    seeds: int = 1
    half_life: float | None = None
    monotone: bool = False
    additive_rounds: int = 0
    soft_once: float | None = None
    start: str | None = None

    def __call__(self, learnt: Dataset, later: Rows) -> np.ndarray:
        runs = [self._one(learnt, later, SHIPPED.seed + k) for k in range(self.seeds)]
        return np.mean(runs, axis=0)

    def _one(self, learnt: Dataset, later: Rows, seed: int) -> np.ndarray:
        names, rows = list(learnt.feature_names), learnt.eligible
        base = _parameters(names) | dict(self.parameters) | {"seed": seed}
        if self.monotone:
            base["monotone_constraints"] = [_direction(name) for name in names]
        if self.soft_once is not None:
            base["objective"] = "cross_entropy"
        booster = None
        if self.additive_rounds:
            alone = [[k] for k in range(len(names))]
            lonely = base | {"num_leaves": 4, "interaction_constraints": alone}
            booster = lightgbm.train(lonely, self._data(learnt, rows), self.additive_rounds)
        data, begin = self._data(learnt, rows), np.zeros(len(later))
        if self.start is not None:
            rule = Rule(name=self.start)
            data.set_init_score(rule(learnt, rows))
            begin = rule(learnt, later)
        booster = lightgbm.train(base, data, self.rounds, init_model=booster)
        return np.asarray(begin + booster.predict(_matrix(later, names), raw_score=True))

    def _data(self, learnt: Dataset, rows: Rows) -> lightgbm.Dataset:
        target, weight = rows["lapse"].to_numpy(), None
        if self.soft_once is not None:
            target = np.where(rows["horizon_orders"] == 1, self.soft_once, target)
        if self.half_life is not None:
            age = rows["cutoff"].max() - rows["cutoff"].to_numpy()
            weight = 2.0 ** (-age / (self.half_life * learnt.clock.horizon_days))
        matrix = _matrix(rows, list(learnt.feature_names))
        return lightgbm.Dataset(matrix, label=target, weight=weight, free_raw_data=False)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A logistic line over every feature: signed logarithms, winsorised, standardised, ridge."""

    strength: float = 0.001

    def __call__(self, learnt: Dataset, later: Rows) -> np.ndarray:
        names, rows = list(learnt.feature_names), learnt.eligible
        known, asked = (_signed_logs(_matrix(one, names)) for one in (rows, later))
        low, high = np.nanquantile(known, [0.005, 0.995], axis=0)
        known, asked = np.clip(known, low, high), np.clip(asked, low, high)
        mean, scale = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        gone = np.isnan(known).mean(axis=0) > 0.005

        def terms(values: np.ndarray) -> np.ndarray:
            return np.hstack([np.nan_to_num((values - mean) / scale), np.isnan(values[:, gone])])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a line that has not quite converged is good enough
            line = LogisticRegression(C=self.strength, max_iter=300)
            line.fit(terms(known), rows["lapse"])
        return np.asarray(line.decision_function(terms(asked)))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One of the baselines."""

    name: str

    def __call__(self, learnt: Dataset, later: Rows) -> np.ndarray:
        buyers = learnt.rows[learnt.rows["purchase_days"] > 0]
        spec = fit_baselines(learnt.eligible, buyers, learnt.clock)[self.name]
        return np.asarray(logit(predict_baseline(spec, later)))


Part = Trees | Line | Rule


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Parts that are mixed in log-odds, and the panel that they learn from."""

    parts: tuple[tuple[float, Part], ...]
    dense: bool = False
    count: int = 0


def _trees(rounds: int = SHIPPED.rounds, **parameters: object) -> Recipe:
    return Recipe(parts=((1.0, Trees(parameters=parameters, rounds=rounds)),))


def _alone(part: Part) -> Recipe:
    return Recipe(parts=((1.0, part),))


def _mixed(share: float, part: Part) -> Recipe:
    return Recipe(parts=((1 - share, Trees()), (share, part)))


RECIPES: dict[str, Recipe] = {
    "shipped": _alone(Trees()),
    "release 0.1.0: rate .05, 150 rounds, 80 % of features": _trees(150, **FIRST_RELEASE),
    "80 % of features, 250 rounds": _trees(250, feature_fraction=0.8),
    "15 % of features, 300 rounds": _trees(300, feature_fraction=0.15),
    "300 rounds": _trees(300),
    "rate .01, 350 rounds": _trees(350, learning_rate=0.01),
    "6 leaves, 300 rounds": _trees(300, num_leaves=6),
    "31 leaves, 150 rounds": _trees(150, num_leaves=31),
    "100 rows in a leaf, L2 of 10": _trees(min_data_in_leaf=100, lambda_l2=10.0),
    "L2 of 30, 300 rounds": _trees(300, lambda_l2=30.0),
    "40 % of rows": _trees(bagging_fraction=0.4),
    "path smoothing 30": _trees(path_smooth=30.0),
    "extra-trees": _trees(extra_trees=True),
    "linear leaves, 7 of them, 150 rounds": _trees(
        150, linear_tree=True, linear_lambda=10.0, num_leaves=7
    ),
    "DART, rate .05, 150 rounds": _trees(150, boosting="dart", learning_rate=0.05),
    "two seeds averaged": _alone(Trees(seeds=2)),
    "monotone in recency, overdue, frequency": _alone(Trees(monotone=True)),
    "newer rows weigh more, half-life 4 H": _alone(Trees(half_life=4.0)),
    "one purchase counts as a fifth of a lapse": _alone(Trees(soft_once=0.2)),
    "150 additive rounds of 4 leaves, then 100": _alone(Trees(additive_rounds=150, rounds=100)),
    "more cutoffs in the same time": Recipe(parts=((1.0, Trees()),), dense=True),
    "twice as many cutoffs, further back": Recipe(parts=((1.0, Trees()),), count=26),
    "logistic line over all features": _alone(Line()),
    "30 % of that line": _mixed(0.3, Line()),
    "logistic RFM": _alone(Rule(name="logistic_rfm")),
    "20 % of logistic RFM": _mixed(0.2, Rule(name="logistic_rfm")),
    "20 % of BG/NBD": _mixed(0.2, Rule(name="bg_nbd")),
    "from BG/NBD's log-odds as the start": _alone(Trees(start="bg_nbd")),
}


def recipe_table(shop: Shop, say: Callable[[str], None]) -> list[list[str]]:
    """A row for each recipe: AUC and log loss over the folds, and differences to the shipped one
    in units of .0001, the log loss with its 95 % interval over customers.
    """
    cache: dict[tuple[object, ...], np.ndarray] = {}
    shipped = _heard(shop, RECIPES["shipped"], cache)
    rows = []
    for name, recipe in RECIPES.items():
        say(f"{shop.name}: {name}")
        heard = _heard(shop, recipe, cache)
        rows.append([name, *_figures(heard, shipped)])
    return rows


def _figures(heard: Rows, shipped: Rows) -> tuple[str, ...]:
    auc, before = _auc(heard), _auc(shipped)
    gap = paired_log_loss_difference(
        heard["lapse"], heard["said"], shipped["said"], heard["customer_id"], replicates=500, seed=1
    )
    happened = np.where(heard["lapse"] == 1, heard["said"], 1 - heard["said"])
    return (
        f"{auc:.4f}",
        f"{1e4 * (auc - before):+.0f}",
        f"{-np.log(happened).mean():.4f}",
        f"{1e4 * gap.estimate:+.0f} [{1e4 * gap.low:+.0f}, {1e4 * gap.high:+.0f}]",
    )


def _auc(heard: Rows) -> float:
    """The mean over the cutoffs: customers are ranked among those of their day."""
    return float(
        np.mean([roc_auc(one["lapse"], one["said"]) for _, one in heard.groupby("cutoff")])
    )


def _heard(shop: Shop, recipe: Recipe, cache: dict[tuple[object, ...], np.ndarray]) -> Rows:
    """What a recipe says at the cutoff of each fold."""
    found = []
    for cutoff in shop.judged():
        later = shop.at(cutoff).eligible
        line = sum(
            share * _score(shop, part, recipe, cutoff, later, cache) for share, part in recipe.parts
        )
        found.append(later[["customer_id", "cutoff", "lapse"]].assign(said=sigmoid(line)))
    return pd.concat(found, ignore_index=True)


def _score(
    shop: Shop,
    part: Part,
    recipe: Recipe,
    cutoff: date,
    later: Rows,
    cache: dict[tuple[object, ...], np.ndarray],
) -> np.ndarray:
    key = (repr(part), recipe.dense, recipe.count, cutoff)
    if key not in cache:
        step = shop.dense_step_days if recipe.dense else 0
        dense = shop.panel * (shop.horizon // 2) // shop.dense_step_days
        count = dense if recipe.dense else recipe.count
        learnt = shop.rows.only(shop.learnt_by(cutoff, step_days=step, count=count))
        cache[key] = part(learnt, later)
    return cache[key]


def _parameters(names: list[str]) -> dict[str, object]:
    model = ChurnModel(**SHIPPED.get_params())
    model.feature_names_ = names
    return model._settings("lapse").parameters()


def _direction(name: str) -> int:
    return int(name in MORE_OVERDUE) - int(name in MORE_ACTIVE)


def _matrix(rows: Rows, names: list[str]) -> np.ndarray:
    return rows[names].to_numpy(dtype="float32", na_value=np.nan)


def _signed_logs(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)), dtype="float64")
