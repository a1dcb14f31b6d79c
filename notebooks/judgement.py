# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Model evaluation
#
# A model must be evaluated on days that it has not seen. This notebook evaluates one as
# `churn train` does, and shows two kinds of evaluation that are too optimistic.

# %%
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import churn
from churn.modeling.panel import resolve_panel
from churn.scoring.explain import family_contributions

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())

# %% [markdown]
# ## Past and future
#
# There is one row per household and cutoff. The two newest cutoffs are the test set; the model is
# trained on cutoffs whose label windows had closed before the first of them.

# %%
lines = pd.read_parquet(
    ROOT / "data" / "complete_journey" / "order_lines.parquet",
    columns=["household_id", "basket_id", "transaction_timestamp", "sales_value"],
)
orders = lines.groupby("basket_id", as_index=False).agg(
    customer_id=("household_id", "first"),
    ordered_at=("transaction_timestamp", "first"),
    amount=("sales_value", "sum"),
)
tables = churn.Tables.from_frames(orders, currency="USD")
panel = resolve_panel(tables, tables.as_of("2017-12-03").as_of, count=8)
dataset = churn.build_dataset(tables, panel.cutoffs, panel.clock)
train, test = dataset.only(panel.development), dataset.only(panel.blocks.test)
pd.DataFrame(
    {
        name: {
            "cutoffs": f"{part.cutoffs.dates[0]} .. {part.cutoffs.dates[-1]}",
            "eligible rows": len(part.eligible),
            "lapsed": round(part.eligible["lapse"].mean(), 3),
        }
        for name, part in (("train", train), ("test", test))
    }
).T

# %% [markdown]
# ## Is it better than the baselines?
#
# Four baselines are fitted on the same rows. `low` and `high` are a 95 % interval, bootstrapped
# over households, because each household has several rows.

# %%
model = churn.ChurnModel(seed=7).fit(train)
evaluation = churn.evaluate(model, test, replicates=50)
judged = evaluation.to_frame().query("group == 'eligible'").set_index("predictor")
judged[["roc_auc", "roc_auc_low", "roc_auc_high", "log_loss", "lift_at_10_percent"]].round(4)

# %% [markdown]
# The gate of `churn train` uses the difference in log loss. The model is promoted only if the
# interval of its difference to the best baseline lies below zero.

# %%
gap = evaluation.against[evaluation.best_baseline]
pd.Series(
    {"difference": gap.estimate, "low": gap.low, "high": gap.high}, name=evaluation.best_baseline
).round(4)

# %% [markdown]
# ## Two optimistic evaluations
#
# First: rows are split at random, so the same household, two weeks apart, is in both halves.
# Second: the model is evaluated on all customers, including those who obviously left long ago.

# %%
rng = np.random.default_rng(7)
rows = train.eligible.reset_index(drop=True)
half = rng.random(len(rows)) < 0.5
large = {"seed": 7, "num_leaves": 31, "rounds": 250, "min_rows_in_leaf": 5}


def auc(fitted, part):
    predicted = fitted.predict_proba(part[["status", *fitted.feature_names_]])[:, 1]
    return roc_auc_score(part["lapse"], predicted)


def fitted_on(part, **settings):
    return churn.ChurnModel(**settings).fit(churn.Dataset(part, train.cutoffs, train.clock, names))


names = train.feature_names
pd.DataFrame(
    {
        "default settings": [
            auc(fitted_on(rows[half], seed=7), rows[~half]),
            auc(model, test.eligible),
            auc(model, test.rows),
        ],
        "a larger model": [
            auc(fitted_on(rows[half], **large), rows[~half]),
            auc(larger := fitted_on(rows, **large), test.eligible),
            auc(larger, test.rows),
        ],
    },
    index=["AUC, rows at random", "AUC, later cutoffs", "AUC, later cutoffs, everyone"],
).round(4)

# %% [markdown]
# Only the second row answers the question. If the first one prefers another model, it is wrong.
#
# ## Are the probabilities calibrated?
#
# Predicted and observed lapse rate in each tenth of the test rows:

# %%
predicted = model.predict_proba(test.eligible[["status", *model.feature_names_]])[:, 1]
tenth = pd.qcut(predicted, 10, labels=[f"tenth {n}" for n in range(1, 11)])
observed = test.eligible["lapse"].to_numpy()
tenths = pd.DataFrame({"predicted": predicted, "observed": observed}).groupby(tenth, observed=True)
tenths.mean().round(3)

# %% [markdown]
# ## Gain
#
# The share of all lapsing customers among those with the highest risk:

# %%
order = np.argsort(-predicted)
shares = {f"{share:.0%}": int(share * len(order)) for share in (0.05, 0.1, 0.2, 0.3, 0.5)}
pd.Series(
    {name: observed[order[:count]].sum() / observed.sum() for name, count in shares.items()},
    name="share of the lapsed",
).round(3)

# %% [markdown]
# ## Feature families
#
# The mean absolute contribution of each feature family to the log-odds. Families that measure
# nearly the same share their contribution, so a small one is not useless; and none is a cause.

# %%
families, parts = family_contributions(model, test.eligible)
weight = pd.Series(np.abs(parts).mean(axis=0), index=families, name="mean |log-odds|")
weight.sort_values(ascending=False).round(3)
