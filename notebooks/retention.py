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
# # How retention stands
#
# The balance of customers by period and segment, cohorts and survival curves, the journey, and the
# customers behind a number. The example: 2,469 households of a grocer in 2017.

# %%
from pathlib import Path

import churn
from churn.analytics.metric_cells import metric_customers

here = Path.cwd()
ROOT = next(folder for folder in (here, *here.parents) if (folder / "churn.toml").is_file())

# %% [markdown]
# ## The balance
#
# A household is active if it bought in the last 56 days. Whoever is active at the start of a
# period is kept or lost at its end; whoever arrives is new or won back. The rate of retention is
# never shown without these counts. The first periods have no rates: the data begins in January, so
# everyone looks new.

# %%
tables = churn.load_tables(ROOT / "churn.toml")
metrics = churn.metrics(tables, active_days=56, by=["redeemer"])
periods = metrics.table().to_pandas()
balance = ["period", "active_at_start", "kept", "lost", "new", "won_back", "active_at_end"]
everyone = periods[periods["split"] == "all"]
everyone[[*balance, "retention_rate_percent"]].tail(6).round(1)

# %% [markdown]
# Every number has its definition, the same as on the terminal and in the documentation.

# %%
metrics.definitions["retention_rate_percent"].meaning

# %% [markdown]
# Purchases of the same periods. The median of the days between purchases is a Kaplan-Meier
# estimate, because some gaps are still open.

# %%
purchases = ["period", "buyers", "orders", "average_order_value", "days_between_purchases_median"]
everyone[[*purchases, "net_revenue_retention_percent"]].tail(6).round(1)

# %% [markdown]
# Households that had redeemed a coupon shortly before the period, beside the others. The balance
# holds in each of the two cells. The coupons were not sent at random, so the difference is not
# their effect.

# %%
newest = periods[(periods["split"] == "redeemer") & (periods["period"] == "2017-12-04")]
newest[["value", *balance[1:], "retention_rate_percent"]].round(1)

# %% [markdown]
# The lifetime value so far, and what is expected in a year with the interval of the mean.

# %%
metrics.table("value").to_pandas().round(1)

# %% [markdown]
# ## From a number to its customers

# %%
lost = metric_customers(tables, "lost,period=2017-12-04", active_days=56)
lost.to_pandas().head()

# %% [markdown]
# ## Cohorts
#
# The share of each cohort that bought, by periods since the first purchase. The cohorts of the
# first 56 days also hold older customers.

# %%
cohorts = churn.cohorts(tables, active_days=56)
triangle = cohorts.table().to_pandas()
triangle.pivot(index="cohort", columns="age", values="customers_percent").round(0)

# %% [markdown]
# ## Survival
#
# The share without a second purchase day, so many days after the first.

# %%
second = cohorts.table("second_purchase").to_pandas().set_index("days")
second.loc[[7, 30, 90, 180], ["at_risk", "survival", "survival_low", "survival_high"]].round(3)

# %% [markdown]
# ## Segments
#
# Cut points are learnt once and then frozen: here on 1 November, and applied on 4 December. The
# figures of a persona are medians.

# %%
clock = churn.FeatureClock(horizon_days=28, lookback_days=56)
_, frozen = churn.segments(tables, clock, as_of="2017-11-01")
segments, frozen = churn.segments(tables, clock, as_of="2017-12-04", frozen=frozen)
shown = ["segment", "customers", "active", "recency_days", "purchase_days", "spend_share"]
segments.table().to_pandas()[shown].round(1)

# %%
segments.table("personas").to_pandas()["persona"].head(3).to_list()

# %% [markdown]
# Retention by segment. A household is in the segment that it had when the period began, so the
# cells of the four weeks from 4 December are the active households above.

# %%
by_segment = churn.metrics(
    tables, active_days=56, by=["segment"], value_days=None, clock=clock, frozen=frozen
)
cells = by_segment.table().to_pandas()
cells = cells[(cells["split"] == "segment") & (cells["period"] == "2017-12-04")]
cells[["value", *balance[1:], "retention_rate_percent"]].round(1)

# %% [markdown]
# ## The journey
#
# Where households were on 4 December, and where they were four weeks later. Stages that the tables
# cannot show are not connected.

# %%
journey = churn.journey(tables, clock, since="2017-12-04", frozen=frozen)
transitions = journey.table("transitions").to_pandas()
transitions.pivot(index="from_stage", columns="to_stage", values="customers")

# %% [markdown]
# ## Signals
#
# What moved against the same period of last year. It needs more than a year of orders; a shorter
# history is refused, with the date from which on it works.

# %%
try:
    answer = churn.signals(tables, active_days=56, clock=clock, frozen=frozen).notes
except churn.DataError as error:
    answer = str(error)
answer
