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
# # Scores, reasons and scenarios
#
# Score everyone, compare with the scores of two weeks earlier, explain one household, and predict
# for modified histories. The example: 2,469 households of a grocer in 2017.

# %%
from pathlib import Path

import pandas as pd

import churn
from churn.features.builder import newest_population
from churn.modeling.panel import resolve_panel

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())
TODAY, TWO_WEEKS_AGO = "2017-12-03", "2017-11-19"

# %% [markdown]
# ## Score
#
# The model uses orders only, because the scenarios below change nothing else. `at_risk` marks the
# tenth of the eligible customers with the highest churn probability.

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
today = tables.as_of(TODAY)
panel = resolve_panel(tables, today.as_of, count=8)
model = churn.ChurnModel(seed=7).fit(churn.build_dataset(tables, panel.cutoffs, panel.clock))
earlier = churn.score(model, tables.as_of(TWO_WEEKS_AGO), explain="none")
scores = churn.score(model, today, since=earlier)
frame = scores.to_pandas().set_index("customer_id")
frame.groupby(["status", "risk_band"])["value_at_risk"].agg(["size", "sum"]).round(2)

# %% [markdown]
# ## What changed
#
# Changes are relative to the scores of two weeks earlier. Only customers who have bought since
# have recovered; others who are no longer at risk were outranked or have lapsed.

# %%
frame["rise"] = frame["churn_probability"] - frame["probability_before"]
frame.groupby("change")["rise"].agg(["size", "mean"]).round(3)

# %% [markdown]
# The three newly at-risk customers with the largest increase, and the family behind it:

# %%
newly = frame.query("change == 'newly_at_risk'").nlargest(3, "rise")
{name: [round(row["rise"], 3), row["moved"]] for name, row in newly.iterrows()}

# %% [markdown]
# ## Reasons of one household
#
# The household with the highest value at risk. It has at most three reasons for a higher risk and
# one for a lower one, with its own numbers, strongest first.

# %%
household = frame.query("at_risk")["value_at_risk"].idxmax()
list(frame.loc[household, "reasons"])

# %% [markdown]
# All feature families with their log-odds. They describe what is associated with lapsing in this
# shop and this model; they are not causes.

# %%
why = churn.explain(model, today, [household]).to_pandas()
why[["name", "log_odds", "sentence"]].round(2)

# %% [markdown]
# The same in German; a language is a file of templates.

# %%
german = churn.explain(model, today, [household], language="de").to_pandas()
list(german["sentence"].head(4))

# %% [markdown]
# ## Scenarios
#
# What would the model predict if this household had ordered a week ago? Overwriting
# `recency_days` in its row would contradict the counts, gaps and decayed sums, which do not
# include such an order. Therefore the history is edited, and all features are built from it. Each
# scenario is a separate customer in a small shop; population parameters, such as the usual gap,
# come from the real shop.

# %%
own = orders[orders["customer_id"].astype(str) == household]
typical = own["amount"].median()


def with_order(days_ago):
    """The household's history with one more typical order `days_ago`."""
    when = pd.Timestamp(TODAY) - pd.Timedelta(days=days_ago)
    more = pd.DataFrame({"basket_id": [0], "ordered_at": [when], "amount": [typical]})
    return pd.concat([own, more], ignore_index=True)


histories = {"as it is": own} | {
    f"an order {days} days ago": with_order(days) for days in (2, 4, 7, 14, 21)
}
histories["orders 7 and 14 days ago"] = pd.concat([with_order(7), with_order(14).tail(1)])
scenarios = pd.concat([part.assign(customer_id=name) for name, part in histories.items()])

# %%
population = newest_population(tables, today.as_of, model.clock_, model.feature_names_)
invented = churn.Tables.from_frames(scenarios, currency="USD")
built = churn.build_features(
    invented, [today.as_of], model.clock_, names=model.feature_names_, population=population
)
rows = invented.engine.collect(built).to_pandas().set_index("customer_id").loc[list(histories)]
predicted = model.predict_frame(rows.drop(columns="cutoff"))
what_if = predicted[["churn_probability", "value_at_risk"]].assign(
    recency_days=rows["recency_days"]
)
what_if.round(3)

# %% [markdown]
# Trees predict in steps, so a difference of a percentage point between two days means nothing.
# The first row must equal the household's real score, which verifies the scenarios.

# %%
real, again = (
    frame.loc[household, "churn_probability"],
    what_if.loc["as it is", "churn_probability"],
)
round(float(real), 9), round(float(again), 9)

# %% [markdown]
# This is what the model predicts for households **like that**. It is an association: it does not
# mean that making this household order would lower its risk by that much. Households that order
# on their own may differ from those that order because of a coupon. Only a holdout measures the
# effect of an offer, which is why every plan keeps one.
