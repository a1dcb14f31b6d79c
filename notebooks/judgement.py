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
# # The model's judgement
#
# A model is worth what it says about days that it has not seen. This notebook judges one the way
# `churn train` does, and shows two ways of judging that flatter.

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
# A row per household and cutoff. The newest two cutoffs are the test; the model learns from
# cutoffs whose labels were closed before the first of them.

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
# ## Is it better than a simple rule?
#
# Four rules are fitted on the same rows. `low` and `high` are a 95 % interval over households,
# because the same household stands in many rows.

# %%
model = churn.ChurnModel(seed=7).fit(train)
evaluation = churn.evaluate(model, test, replicates=50)
judged = evaluation.to_frame().query("group == 'eligible'").set_index("predictor")
judged[["roc_auc", "roc_auc_low", "roc_auc_high", "log_loss", "lift_at_10_percent"]].round(4)

# %% [markdown]
# The gate of `churn train` looks at the difference in log loss. The model is promoted only if the
# interval of its difference to the best rule lies below zero.

# %%
gap = evaluation.against[evaluation.best_baseline]
pd.Series(
    {"difference": gap.estimate, "low": gap.low, "high": gap.high}, name=evaluation.best_baseline
).round(4)

# %% [markdown]
# ## Two ways to fool oneself
#
# First: split rows at random. Then the same household, two weeks apart, is in both halves.
# Second: judge on everyone, though nobody needs a model to know that who left long ago is gone.

# %%
rng = np.random.default_rng(7)
rows = train.eligible.reset_index(drop=True)
half = rng.random(len(rows)) < 0.5
wild = {"seed": 7, "num_leaves": 31, "rounds": 250, "min_rows_in_leaf": 5}


def auc(fitted, part):
    said = fitted.predict_proba(part[["status", *fitted.feature_names_]])[:, 1]
    return roc_auc_score(part["lapse"], said)


def fitted_on(part, **settings):
    return churn.ChurnModel(**settings).fit(churn.Dataset(part, train.cutoffs, train.clock, names))


names = train.feature_names
pd.DataFrame(
    {
        "the product's settings": [
            auc(fitted_on(rows[half], seed=7), rows[~half]),
            auc(model, test.eligible),
            auc(model, test.rows),
        ],
        "a larger, wilder model": [
            auc(fitted_on(rows[half], **wild), rows[~half]),
            auc(wilder := fitted_on(rows, **wild), test.eligible),
            auc(wilder, test.rows),
        ],
    },
    index=["AUC, rows at random", "AUC, later cutoffs", "AUC, later cutoffs, everyone"],
).round(4)

# %% [markdown]
# Only the middle line is about the question. Where the first one prefers another model than the
# middle one does, it is the first that is wrong.
#
# ## Can the probabilities be believed?
#
# In each tenth of the test rows: what was said, and what happened.

# %%
said = model.predict_proba(test.eligible[["status", *model.feature_names_]])[:, 1]
tenth = pd.qcut(said, 10, labels=[f"tenth {n}" for n in range(1, 11)])
happened = test.eligible["lapse"].to_numpy()
tenths = pd.DataFrame({"said": said, "happened": happened}).groupby(tenth, observed=True)
tenths.mean().round(3)

# %% [markdown]
# ## How many would one have reached?
#
# Whoever looks after the tenth with the highest risk reaches this share of all who lapsed.

# %%
order = np.argsort(-said)
shares = {f"{share:.0%}": int(share * len(order)) for share in (0.05, 0.1, 0.2, 0.3, 0.5)}
pd.Series(
    {name: happened[order[:count]].sum() / happened.sum() for name, count in shares.items()},
    name="share of the lapsed",
).round(3)

# %% [markdown]
# ## What it looks at
#
# The mean size of what each family of features adds to the log-odds. Families that measure
# nearly the same share their weight, so a small one is not a useless one, and none is a cause.

# %%
families, parts = family_contributions(model, test.eligible)
weight = pd.Series(np.abs(parts).mean(axis=0), index=families, name="mean |log-odds|")
weight.sort_values(ascending=False).round(3)
