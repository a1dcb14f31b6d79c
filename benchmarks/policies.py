"""Offer policies on a shop of another design (`second_shop.py`): their true money.

    python benchmarks/policies.py [--seeds 1 2 3] [--by-lot .5 .1 0] [--strength 1]

The product's choice, learners of the literature on the same data, simple rules, the best policy on
observables, and an oracle of everything hidden. Without a limit, and with a quarter of what the
best policy on observables would spend. The learners share the product's lapse probabilities,
margins at stake and costs; they differ in whom an offer is thought to move, and learn from nothing
but contacts that a lot decided. Three rows replace a part of the product's worth by the truth, to
show which part costs how much. `--strength 2` doubles how easily offers win customers back.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from second_shop import ASSUMED, Shop

from churn.errors import GateError
from churn.modeling.boosting import BoosterSettings, fit_booster, predict_booster
from churn.offers.allocation.allocate import allocate
from churn.offers.allocation.knapsack import picked
from churn.offers.allocation.problem import Limits
from churn.offers.catalogue import NO_OFFER
from churn.offers.effects import Effects, Worth, offer_worth
from churn.offers.targeting import Targeting
from churn.uplift.learners import LearnerSettings, TLearner
from churn.uplift.learnt import LearntEffects
from churn.uplift.study import Study, StudySettings, study

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OFFERS = tuple(offer.offer_id for offer in ASSUMED)
LEARNING = LearnerSettings(threads=1)
PRODUCT = "the product"


@dataclass(frozen=True)
class Scores:
    """What the product's model says of the customers of now."""

    risk: Floats
    value_at_risk: Floats

    @classmethod
    def of(cls, shop: Shop) -> Scores:
        """Trees of lapse and of the margin if retained, from past contacts that got nothing."""
        quiet = shop.past[shop.past["offer_id"] == NO_OFFER]
        stayed = quiet[quiet["retained"] == 1]
        lapse = _fitted(shop, quiet, 1 - quiet["retained"], "binary")
        margin = _fitted(shop, stayed, stayed["margin"], "tweedie")
        return cls(lapse, lapse * margin)

    @property
    def base_rate(self) -> float:
        """The mean churn probability."""
        return float(self.risk.mean())

    def worth(self, shop: Shop, measured: Effects | None) -> Worth:
        """What offers are worth by the product."""
        return offer_worth(
            self.risk,
            self.value_at_risk,
            ASSUMED,
            base_rate=self.base_rate,
            order_amount=shop.now["mean_order"].to_numpy(),
            measured=measured,
        )


def _fitted(shop: Shop, rows: pd.DataFrame, target: pd.Series[float], objective: str) -> Floats:
    """Predictions for now by trees as of the product's model."""
    settings = BoosterSettings(
        objective=objective,
        feature_names=shop.names,
        rounds=200,
        num_leaves=15,
        learning_rate=0.02,
        min_rows_in_leaf=50,
        feature_share=0.8,
        row_share=0.8,
        l2=1.0,
        seed=0,
        threads=1,
    )
    text = fit_booster(_matrix(shop, rows), target.to_numpy(), settings)
    return predict_booster(text, _matrix(shop, shop.now))


def _matrix(shop: Shop, rows: pd.DataFrame) -> NDArray[np.float32]:
    return rows[list(shop.names)].to_numpy(dtype="float32")


@dataclass(frozen=True)
class BestWorth:
    """To each customer the offer that is worth most, if more than nothing; both n x 4."""

    worth: Floats
    cost: Floats

    def choice(self, budget: float) -> Ints:
        """The column of each customer's offer, -1 for none, within a budget of expected costs."""
        return allocate(self.worth, self.cost, Limits(budget=budget)).choice


@dataclass(frozen=True)
class OneOffer:
    """The same offer to customers in this order, `most` of them, until the budget is spent."""

    offer: int
    order: Ints
    most: int
    cost: Floats

    def choice(self, budget: float) -> Ints:
        """See `BestWorth.choice`."""
        first = self.order[: self.most]
        choice = np.full(len(self.order), -1)
        choice[first[np.cumsum(self.cost[first, self.offer]) <= budget]] = self.offer
        return choice


Policy = BestWorth | OneOffer


def learnt_effects(shop: Shop) -> tuple[Study | None, LearntEffects | None]:
    """What the product learns from the past; nothing if nothing was decided by lot."""
    try:
        found = study(shop.experiment(), StudySettings(learning=LEARNING))
    except GateError:
        return None, None
    return found, LearntEffects.of_study(found)


def policies(shop: Shop, scores: Scores, worth: Worth) -> dict[str, Policy]:
    """All policies by name."""
    cost, stake, truth = worth.cost, worth.at_stake[:, None], shop.truth
    found: dict[str, Policy] = {PRODUCT: BestWorth(targeted(worth, scores), cost)}
    found[f"{PRODUCT}, per customer"] = BestWorth(worth.value, cost)
    found["treat nobody"] = BestWorth(np.zeros_like(cost), cost)
    best = best_on_average(shop)
    count = len(shop.now)
    riskiest = np.argsort(-scores.risk)
    found["best average offer, riskiest half"] = OneOffer(best, riskiest, count // 2, cost)
    found["best average offer, everybody"] = OneOffer(best, riskiest, count, cost)
    for learner, fit in LEARNERS.items() if shop.by_lot.any() else ():
        found[learner] = BestWorth(fit(shop) * stake - cost, cost)
    found[f"{PRODUCT}, with true costs"] = BestWorth(worth.gain - truth.cost, truth.cost)
    found[f"{PRODUCT}, with true effects"] = BestWorth(truth.effect * stake - cost, cost)
    both = BestWorth(truth.effect * stake - truth.cost, truth.cost)
    found[f"{PRODUCT}, with true effects and costs"] = both
    found["best on observables"] = BestWorth(observable_net(shop), truth.cost)
    found["oracle"] = BestWorth(truth.net, truth.cost)
    return found


def targeted(worth: Worth, scores: Scores) -> Floats:
    """What offers are worth to the product's plan, NaN where it would not give them."""
    known = np.isfinite(worth.value)
    chosen = Targeting.of(worth, known, scores.risk, ASSUMED)
    return np.where(chosen.allowed, chosen.worth.value, np.nan)


def best_on_average(shop: Shop) -> int:
    """The offer with the highest mean margin less costs in the past contacts by lot; without any,
    the one that is assumed to move most customers.
    """
    lot = shop.past[shop.by_lot]
    if lot.empty:
        return int(np.argmax([offer.effect for offer in ASSUMED]))
    money = (lot["margin"] - lot["cost"]).groupby(lot["offer_id"]).mean()
    return int(np.argmax(money.loc[list(OFFERS)]))


def t_learner(shop: Shop) -> Floats:
    """Effects on P(retained) by two models an offer."""
    data = shop.experiment()
    return TLearner.fit(data, OFFERS, LEARNING).effects(_matrix(shop, shop.now))


def dr_learner(shop: Shop) -> Floats:
    """Effects on P(retained) by econml's DR-learner, LightGBM in all its parts."""
    from econml.dr import DRLearner

    learner = DRLearner(
        model_propensity=_constant(),
        model_regression=_trees(150, 8),
        model_final=_trees(100, 4),
        cv=3,
        random_state=0,
    )
    return _econml(shop, learner)


def causal_forest(shop: Shop) -> Floats:
    """Effects on P(retained) by econml's causal forest with double machine learning."""
    from econml.dml import CausalForestDML

    forest = CausalForestDML(
        model_y=_trees(150, 8),
        model_t=_constant(),
        discrete_treatment=True,
        n_estimators=100,
        min_samples_leaf=50,
        max_samples=0.2,
        cv=3,
        n_jobs=1,
        random_state=0,
    )
    return _econml(shop, forest)


def _trees(rounds: int, leaves: int) -> object:
    from lightgbm import LGBMRegressor

    return LGBMRegressor(
        n_estimators=rounds,
        num_leaves=leaves,
        learning_rate=0.05,
        min_child_samples=100,
        n_jobs=1,
        random_state=0,
        verbose=-1,
    )


def _constant() -> object:
    """The propensities of a lot do not depend on features."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="prior")


def _econml(shop: Shop, learner: object) -> Floats:
    """The effects of the offers, n x 4, by a learner of econml."""
    lot = shop.past[shop.by_lot]
    treatment = lot["offer_id"].map({NO_OFFER: 0} | {name: 1 + k for k, name in enumerate(OFFERS)})
    matrix, now = (np.nan_to_num(_matrix(shop, rows), nan=-1.0) for rows in (lot, shop.now))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit(lot["retained"].to_numpy(), treatment.to_numpy(), X=matrix)
        return np.column_stack([learner.effect(now, T0=0, T1=1 + k) for k in range(len(OFFERS))])


LEARNERS: Mapping[str, Callable[[Shop], Floats]] = {
    "T-learner": t_learner,
    "DR-learner (econml)": dr_learner,
    "causal forest (econml)": causal_forest,
}


def observable_net(shop: Shop) -> Floats:
    """The true net money of each offer as far as features show it: trees in five folds of
    customers, of its ratio to the customer's mean order.
    """
    scale = shop.now["mean_order"].to_numpy() + 1.0
    matrix, net = _matrix(shop, shop.now), shop.truth.net / scale[:, None]
    fold = np.random.default_rng(0).permutation(len(net)) % 5
    found = np.empty_like(net)
    for number in range(5):
        inside = fold == number
        for column in range(net.shape[1]):
            trees = _trees(200, 15).fit(matrix[~inside], net[~inside, column])
            found[inside, column] = trees.predict(matrix[inside])
    return found * scale[:, None]


@dataclass(frozen=True)
class Judged:
    """One shop: the money of each policy without and with a budget, and what the product said."""

    seed: int
    by_lot: float
    strength: float
    money: pd.DataFrame
    facts: dict[str, Any]
    seconds: float


def judged(customers: int, by_lot: float, seed: int, strength: float) -> Judged:
    """The true money of all policies in one shop."""
    began = process_time()
    shop = Shop.made(customers, share_by_lot=by_lot, seed=seed, strength=strength)
    scores = Scores.of(shop)
    found, learnt = learnt_effects(shop)
    risk = scores.risk
    measured = learnt and learnt.of(shop.now, risk, ASSUMED, base_rate=scores.base_rate)
    worth = scores.worth(shop, measured)
    everything = policies(shop, scores, worth)
    observables = everything["best on observables"].choice(np.inf)
    budget = 0.25 * float(picked(shop.truth.cost, observables).sum())
    rows = {}
    for name, policy in everything.items():
        choices = {"free": policy.choice(np.inf), "budget": policy.choice(budget)}
        rows[name] = {key: _money(shop, choice) for key, choice in choices.items()}
        rows[name]["treated"] = float((choices["free"] >= 0).mean())
    choice = everything[PRODUCT].choice(np.inf)
    facts = {
        "contacts by lot": int(shop.by_lot.sum()),
        "customers": len(shop.now),
        "promised": float(picked(everything[PRODUCT].worth, choice).sum()),
        "earned": _money(shop, choice),
        **told(shop, found, worth),
    }
    return Judged(seed, by_lot, strength, pd.DataFrame(rows).T, facts, process_time() - began)


def _money(shop: Shop, choice: Ints) -> float:
    return float(picked(shop.truth.net, choice).sum())


def told(shop: Shop, found: Study | None, worth: Worth) -> dict[str, Any]:
    """How often 90 % intervals hold the true effect: `averages` of the contacts by lot, with
    whether a plan uses them; `tenths` of the customers of now by predicted effect, of offers
    whose effect is not merely assumed.
    """
    averages, verdicts, tenths = [], {}, []
    lot = shop.by_lot
    for column, offer in enumerate(OFFERS):
        if found is None:
            continue
        finding = found.findings[offer]
        verdicts[offer] = finding.verdict
        true = float(shop.past_effect[lot, column].mean())
        holds = finding.line.average.low <= true <= finding.line.average.high
        averages.append((holds, finding.verdict != "too small to tell"))
        if worth.effects.source[column] != "assumed":
            tenths += _tenths(worth.effects, shop.truth.effect, column)
    return {"averages": averages, "tenths": tenths, "verdicts": verdicts}


def _tenths(effects: Effects, truth: Floats, column: int) -> list[bool]:
    """Whether the mean interval of each tenth holds its mean true effect."""
    mean, low, high = (part[:, column] for part in (effects.mean, effects.low, effects.high))
    parts = np.array_split(np.argsort(mean, kind="stable"), 10)
    return [bool(low[p].mean() <= truth[p, column].mean() <= high[p].mean()) for p in parts]


def table(shops: list[Judged]) -> str:
    """Money of the policies of shops that differ in their seeds alone, as Markdown."""
    lines = [
        "| policy | treated | no limit, % of oracle | % of best on observables "
        "| a quarter, % of oracle | % of best on observables |",
        "|---|---|---|---|---|---|",
    ]
    some = [shop.money for shop in shops]
    for name in some[0].index:
        treated = np.mean([money.loc[name, "treated"] for money in some])
        cells = [
            _share(some, name, of, limit)
            for limit in ("free", "budget")
            for of in ("oracle", "best on observables")
        ]
        lines.append(f"| {name} | {treated:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(some: list[pd.DataFrame], name: str, of: str, limit: str) -> str:
    """The money of a policy over that of another, of all shops together and of the extremes."""
    one, other = (np.array([m.loc[row, limit] for m in some]) for row in (name, of))
    if name == of:
        return "100"
    each = 100 * one / other
    return f"{100 * one.sum() / other.sum():.0f} [{each.min():.0f}, {each.max():.0f}]"


def facts_table(shops: list[Judged]) -> str:
    """What the product said of each shop, beside what is true, as Markdown."""
    lines = [
        "| seed | contacts by lot | individual | average | too small to tell | promised | earned "
        "| averages held | of these used | tenths held | CPU s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for shop in shops:
        facts, averages = shop.facts, shop.facts["averages"]
        cells = [
            f"{shop.seed}",
            f"{facts['contacts by lot']:,}",
            *(
                ", ".join(k for k, v in facts["verdicts"].items() if v == verdict)
                for verdict in ("individual", "average", "too small to tell")
            ),
            f"{facts['promised']:,.0f}",
            f"{facts['earned']:,.0f}",
            _held([holds for holds, _ in averages]),
            _held([holds for holds, is_used in averages if is_used]),
            _held(facts["tenths"]),
            f"{shop.seconds:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _held(holds: list[bool]) -> str:
    return f"{sum(holds)} of {len(holds)}" if holds else ""


def main() -> None:
    """Prints two tables for each share that a lot decided."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--by-lot", type=float, nargs="+", default=[0.5, 0.1, 0.0])
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--customers", type=int, default=20_000)
    asked = parser.parse_args()
    for share in asked.by_lot:
        shops = [judged(asked.customers, share, seed, asked.strength) for seed in asked.seeds]
        print(f"{share:.0%} of the past contacts by lot, strength {asked.strength:g}\n")
        print(table(shops), facts_table(shops), sep="\n\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
