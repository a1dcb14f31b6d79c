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
# # The data and the label
#
# What a purchase history contains, what counts as lapsed, and how a question about the future
# becomes rows that a model can learn from. The example: 2,469 households of a grocer in 2017.

# %%
from pathlib import Path

import pandas as pd

import churn
from churn.data.days import day_number
from churn.modeling.panel import resolve_panel

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())

# %% [markdown]
# ## The purchase history
#
# Only the households' purchases are needed. Here, every basket is one order with its household,
# time and amount. Tables come from the files in `churn.toml` or, as here, from memory.

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
orders[["customer_id", "ordered_at", "amount"]].head()

# %%
tables = churn.Tables.from_frames(orders, currency="USD")
audit = tables.audits["orders"]
first, last = tables.span()
pd.Series(
    {
        "rows read": audit.rows_read,
        "rows kept": audit.rows_kept,
        "first day": first,
        "last day": last,
    }
)

# %% [markdown]
# A basket whose lines sum to zero is an order, but not a purchase. Nothing is guessed, and every
# dropped row is counted.

# %%
pd.Series(
    {
        "above zero: purchases": (orders["amount"] > 0).sum(),
        "exactly zero": (orders["amount"] == 0).sum(),
        "below zero: returns": (orders["amount"] < 0).sum(),
    }
)

# %% [markdown]
# ## Choosing the horizon
#
# Households differ: some buy every other day, others once a month. This is the distribution of
# the gaps between purchase days, in days.

# %%
days = orders.assign(day=orders["ordered_at"].dt.normalize())[["customer_id", "day"]]
days = days.drop_duplicates().sort_values(["customer_id", "day"])
gaps = days.groupby("customer_id")["day"].diff().dt.days.dropna()
gaps.describe(percentiles=[0.5, 0.8, 0.9, 0.99]).round(1)

# %% [markdown]
# These figures are biased: heavy buyers contribute most gaps, and households that never returned
# none. `resolve_panel` weights all households equally and includes gaps that are censored by the
# end of the data. The horizon is the smallest of 28, 56, 84 and 182 days in which 80 % of the
# gaps end.

# %%
panel = resolve_panel(tables, tables.as_of("2017-12-03").as_of, count=8)
panel.to_dict()

# %% [markdown]
# ## One household at several cutoffs
#
# At a cutoff, features describe what happened before that day, and the label what happens from
# that day on. One household at every cutoff of the panel:

# %%
dataset = churn.build_dataset(tables, panel.cutoffs, panel.clock)
named = {day_number(cutoff): str(cutoff) for cutoff in panel.cutoffs}
rows = dataset.rows.assign(cutoff=dataset.rows["cutoff"].map(named))
wavering = rows[rows["status"] == "eligible"].groupby("customer_id")["lapse"].agg(["size", "mean"])
household = wavering.query("size == 8 and mean == 0.5").index[0]
columns = ["cutoff", "status", "recency_days", "purchase_days", "mean_gap_days"]
rows.loc[rows["customer_id"] == household, [*columns, "lapse", "decline"]].round(1)

# %% [markdown]
# `lapse` is 1 if no purchase follows within the horizon, `decline` if net spend falls below half
# of the usual. Every lapse is a decline. It is not permanent: the same household may lapse at one
# cutoff and return by the next.
#
# ## Eligible customers
#
# Only customers who bought within the lookback are `eligible`. Separating long-gone customers
# from active ones is easy and worthless, so the model is neither trained nor evaluated on the
# others.

# %%
rows.groupby(["cutoff", "status"])["lapse"].agg(["size", "mean"]).round(3)

# %% [markdown]
# ## Nothing leaks
#
# Features must not depend on the label window. If every order from the cutoff on is removed from
# the history, the features stay the same. This is the largest difference, rounded to nine digits
# because sums in another order are rounded differently:

# %%
cutoff = panel.cutoffs.dates[-1]
past = churn.Tables.from_frames(orders[orders["ordered_at"] < pd.Timestamp(cutoff)])


def features_at_cutoff(history):
    built = churn.build_features(history, [cutoff], panel.clock)
    rows = history.engine.collect(built).to_pandas().set_index("customer_id").sort_index()
    return rows.drop(columns="status")


whole, cut = features_at_cutoff(tables), features_at_cutoff(past)
float((whole - cut).abs().max().max().round(9)), whole.isna().equals(cut.isna())
