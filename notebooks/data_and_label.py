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
# What a purchase history holds, what counts as lapsed, and how a question about the future
# becomes rows that a model can learn from. The example is a grocer's 2,469 households in 2017.

# %%
from pathlib import Path

import pandas as pd

import churn
from churn.data.days import day_number
from churn.modeling.panel import resolve_panel

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())

# %% [markdown]
# ## One purchase after another
#
# A household's purchases are all that is needed. Here every basket is one order: its household,
# its time, and what was paid. Tables may come from files that `churn.toml` names, or, as here,
# from memory.

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
# A basket whose lines sum to zero is an order, but no purchase. Nothing is guessed and nothing is
# dropped without being counted.

# %%
pd.Series(
    {
        "above zero: purchases": (orders["amount"] > 0).sum(),
        "exactly zero": (orders["amount"] == 0).sum(),
        "below zero: returns": (orders["amount"] < 0).sum(),
    }
)

# %% [markdown]
# ## How long is too long?
#
# Households differ: some come every other day, some once a month. Of the gaps between two
# purchase days, this is how long each lasts.

# %%
days = orders.assign(day=orders["ordered_at"].dt.normalize())[["customer_id", "day"]]
days = days.drop_duplicates().sort_values(["customer_id", "day"])
gaps = days.groupby("customer_id")["day"].diff().dt.days.dropna()
gaps.describe(percentiles=[0.5, 0.8, 0.9, 0.99]).round(1)

# %% [markdown]
# Those figures flatter: heavy buyers have most of the gaps, and who never came back has none.
# `resolve_panel` gives each household one vote and counts the gap that the end of the data cut
# short. A horizon is then the smallest of 28, 56, 84 and 182 days in which four of five gaps end.

# %%
panel = resolve_panel(tables, tables.as_of("2017-12-03").as_of, count=8)
panel.to_dict()

# %% [markdown]
# ## The same household, twice
#
# At a cutoff we pretend that it is that day. Features see what happened before, the label what
# comes from that day on. One household, at every cutoff of the panel:

# %%
dataset = churn.build_dataset(tables, panel.cutoffs, panel.clock)
named = {day_number(cutoff): str(cutoff) for cutoff in panel.cutoffs}
rows = dataset.rows.assign(cutoff=dataset.rows["cutoff"].map(named))
wavering = rows[rows["status"] == "eligible"].groupby("customer_id")["lapse"].agg(["size", "mean"])
someone = wavering.query("size == 8 and mean == 0.5").index[0]
told = ["cutoff", "status", "recency_days", "purchase_days", "mean_gap_days"]
rows.loc[rows["customer_id"] == someone, [*told, "lapse", "decline"]].round(1)

# %% [markdown]
# `lapse` is 1 where no purchase follows within the horizon, `decline` where net spend falls under
# half of the usual. A lapse is a decline. It is no verdict for ever: the same household may lapse
# at one cutoff and be back at the next.
#
# ## Who is asked about
#
# Only who bought within the lookback is `eligible`. Telling who left long ago from who came
# yesterday is easy and worthless, so the model neither learns from the others nor is judged on
# them.

# %%
rows.groupby(["cutoff", "status"])["lapse"].agg(["size", "mean"]).round(3)

# %% [markdown]
# ## Nothing leaks
#
# The label window must not reach into the features. If every order from the cutoff on is taken
# out of the history, the features stay the same. The largest difference, rounded to nine digits
# because sums in another order round differently:

# %%
cutoff = panel.cutoffs.dates[-1]
past = churn.Tables.from_frames(orders[orders["ordered_at"] < pd.Timestamp(cutoff)])


def features_at_cutoff(history):
    built = churn.build_features(history, [cutoff], panel.clock)
    rows = history.engine.collect(built).to_pandas().set_index("customer_id").sort_index()
    return rows.drop(columns="status")


whole, cut = features_at_cutoff(tables), features_at_cutoff(past)
float((whole - cut).abs().max().max().round(9)), whole.isna().equals(cut.isna())
