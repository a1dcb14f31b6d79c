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
# # From purchases to a plan
#
# The complete workflow on the example: 2,469 households of a grocer in 2017. It runs as of
# 2017-12-03; the last four weeks of the year are used only to check the predictions.

# %%
from pathlib import Path

import pandas as pd

import churn
from churn.features.builder import build_features
from churn.modeling.panel import resolve_panel
from churn.scoring.explain import family_contributions

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())
TODAY = "2017-12-03"

# %% [markdown]
# ## Data
#
# `load_tables` reads the files in `churn.toml` and maps their columns. Unusable rows are dropped
# and counted.

# %%
tables = churn.load_tables(ROOT / "churn.toml")
pd.DataFrame(
    {
        name: {"rows read": audit.rows_read, "rows kept": audit.rows_kept}
        for name, audit in tables.audits.items()
    }
).T

# %% [markdown]
# ## Labels
#
# A household lapses at a cutoff if it buys nothing in the horizon after it. 80 % of the gaps
# between purchases end within `gap_quantile_days`; the horizon is the smallest of 28, 56, 84 and
# 182 days that is not below it.

# %%
snapshot = tables.as_of(TODAY)
panel = resolve_panel(tables, snapshot.as_of)
panel.to_dict()

# %% [markdown]
# One row per customer and cutoff: features from before it, the label from after it. The lapse
# rate is that of eligible customers, who bought in the last two horizons. At the first cutoffs of
# the data, few customers can have lapsed yet.

# %%
dataset = churn.build_dataset(tables, panel.cutoffs, panel.clock)
by_cutoff = dataset.eligible.groupby("cutoff")["lapse"].agg(["size", "mean"])
by_cutoff.index = pd.Index([str(cutoff) for cutoff in panel.cutoffs], name="cutoff")
by_cutoff.round(3)

# %% [markdown]
# ## Train
#
# The model is trained on cutoffs whose label windows had closed before the first test cutoff.

# %%
train = dataset.only(panel.development)
test = dataset.only(panel.blocks.test)
candidate = churn.ChurnModel(seed=7).fit(train)
len(train.eligible), len(test.eligible), candidate.calibration_["lapse"]

# %% [markdown]
# ## Evaluate
#
# The model is compared with four baselines on cutoffs that none of them has seen. The promotion
# gate uses the log loss.

# %%
evaluation = churn.evaluate(candidate, test)
judged = evaluation.to_frame().query("group == 'eligible'").set_index("predictor")
judged[["roc_auc", "roc_auc_low", "roc_auc_high", "log_loss", "brier"]].round(4)

# %% [markdown]
# The difference to each baseline with its 95 % interval; below zero, the model is better.

# %%
pd.DataFrame(
    {
        name: {"difference": gap.estimate, "low": gap.low, "high": gap.high}
        for name, gap in evaluation.against.items()
    }
).T.round(4)

# %% [markdown]
# Are the probabilities calibrated? Predicted and observed lapse rate in each tenth of the rows:

# %%
predicted = candidate.predict_proba(test.eligible[["status", *candidate.feature_names_]])[:, 1]
tenths = pd.qcut(predicted, 10, labels=False, duplicates="drop")
pd.DataFrame({"predicted": predicted, "observed": test.eligible["lapse"].to_numpy()}).groupby(
    tenths
).mean().round(3)

# %% [markdown]
# ## Score
#
# The recipe beats the baselines, so it is fitted on every mature cutoff, and scores everyone.

# %%
model = churn.ChurnModel(seed=7).fit(dataset)
scores = churn.score(model, snapshot, capacity=0.1)
frame = scores.to_pandas()
frame.groupby(["status", "risk_band"])["value_at_risk"].agg(["size", "sum"]).round(2)

# %% [markdown]
# ## One customer's reasons
#
# The customer with the highest value at risk. The sentences contain the customer's own numbers.
# They describe what is associated with the risk, not what causes it.

# %%
customer = frame.query("at_risk").nlargest(1, "value_at_risk").iloc[0]
[customer["customer_id"], round(customer["churn_probability"], 3), *customer["reasons"]]

# %% [markdown]
# The contribution of each feature family to the log-odds of a lapse:

# %%
built = build_features(tables, [snapshot.as_of], model.clock_)
rows = tables.engine.collect(built).to_pandas()
families, parts = family_contributions(model, rows[rows["customer_id"] == customer["customer_id"]])
pd.Series(parts[0], index=families, name="log-odds").sort_values(ascending=False).round(2)

# %% [markdown]
# ## Plan
#
# The plan assigns an offer only if it is worth its cost. The effects in the catalogue are
# assumptions, and each row of the plan states that. A tenth of the customers is held out, so that
# the effect can be measured.

# %%
offers = churn.Offers.load(ROOT / "examples" / "offers.toml")
plan = churn.plan_offers(scores, snapshot, offers, budget=250, consent="assumed")
plan.to_parquet(ROOT / "out" / "notebook_plan.parquet")
pd.Series(plan.summary["offers"] | plan.summary["suppressed"], name="customers")

# %%
money = ("budget", "expected_cost", "expected_gain", "expected_value", "lambda")
pd.Series({name: plan.summary[name] for name in money}, name=plan.summary["currency"]).round(2)

# %% [markdown]
# ## Check the predictions
#
# The four weeks after the cutoff are in the data. `make evaluate` does the same.

# %%
later = churn.Cutoffs((snapshot.as_of,), horizon_days=model.clock_.horizon_days, until=tables.end())
truth = churn.build_dataset(tables, later, panel.clock)
after = churn.evaluate(model, truth).to_frame().query("group == 'eligible'")
after.set_index("predictor")[["rows", "roc_auc", "log_loss", "brier"]].round(4)
