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
# # Scores, reasons, and what if
#
# Score everyone, see what changed in two weeks, ask why for one household, and try out what the
# model would have said of another history. The example is a grocer's 2,469 households in 2017.

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
# A model of the orders alone, which is all that the scenarios below change. `at_risk` is the
# tenth of the eligible with the highest probability.

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
# Against the scores of two weeks ago. Only who has bought since has recovered; who is no longer
# listed without having bought is just outranked, or has lapsed.

# %%
frame["rise"] = frame["churn_probability"] - frame["probability_before"]
frame.groupby("change")["rise"].agg(["size", "mean"]).round(3)

# %% [markdown]
# Of the newly at risk, the three whose probability rose most, and the family that moved most.

# %%
newly = frame.query("change == 'newly_at_risk'").nlargest(3, "rise")
{name: [round(row["rise"], 3), row["moved"]] for name, row in newly.iterrows()}

# %% [markdown]
# ## Why this household?
#
# The household with the most value at risk. At most three reasons for a higher risk and one for
# a lower one, in its own numbers, strongest first.

# %%
someone = frame.query("at_risk")["value_at_risk"].idxmax()
list(frame.loc[someone, "reasons"])

# %% [markdown]
# All families, with their log-odds. They describe what goes along with lapsing, in this shop and
# this model. They are no causes.

# %%
why = churn.explain(model, today, [someone]).to_pandas()
why[["name", "log_odds", "sentence"]].round(2)

# %% [markdown]
# The same in German: a language is a file of templates.

# %%
german = churn.explain(model, today, [someone], language="de").to_pandas()
list(german["sentence"].head(4))

# %% [markdown]
# ## What if?
#
# Had this household ordered a week ago, what would the model say? One could overwrite
# `recency_days` in its row, but then the row contradicts itself: the counts, the gaps and the
# decayed sums still know of no such order. So the history is edited, and all features are built
# from it. Each scenario is a customer of its own in a small shop; what is learnt from everyone,
# such as the usual gap, comes from the real one.

# %%
own = orders[orders["customer_id"].astype(str) == someone]
usual = own["amount"].median()


def with_order(days_ago):
    """The household's history with one more usual order, so many days before today."""
    when = pd.Timestamp(TODAY) - pd.Timedelta(days=days_ago)
    more = pd.DataFrame({"basket_id": [0], "ordered_at": [when], "amount": [usual]})
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
said = model.predict_frame(rows.drop(columns="cutoff"))
what_if = said[["churn_probability", "value_at_risk"]].assign(recency_days=rows["recency_days"])
what_if.round(3)

# %% [markdown]
# Trees answer in steps, so a point up or down between two days means nothing. The first line
# must be the household's real score, else the scenarios would tell of another model.

# %%
real, again = frame.loc[someone, "churn_probability"], what_if.loc["as it is", "churn_probability"]
round(float(real), 9), round(float(again), 9)

# %% [markdown]
# This is what the model expects of households **like that**. It is an association: it does not
# say that getting this household to order would lower its risk by so much. Who orders by itself
# and who orders after a coupon may differ. What an offer does, only a holdout can tell, and that
# is why every plan keeps one.
