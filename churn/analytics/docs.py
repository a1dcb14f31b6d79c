"""The page of every number that analyses show, from the code: `python -m churn.analytics.docs`.

An analysis adds its section to `SECTIONS`: a heading, a text in Markdown, and its definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from churn.analytics.cohorts import COHORTS
from churn.analytics.definitions import Definition
from churn.analytics.metric_cells import NAMES
from churn.analytics.metric_definitions import METRICS
from churn.analytics.splits import SPLITS
from churn.analytics.subscriptions import SUBSCRIPTIONS

INTRODUCTION = """\
# Retention

Generated from the definitions in the code by `make docs`. The terminal, `--json`, files and this
page use the same ones. Rates are in percent, money is in the currency of `[data]`.

All analyses see what features see: the orders before `as_of` (exclusive), in the versions that had
arrived by then. Erased customers are not in the tables; customers who object to profiling are left
out and counted. An order with an amount above zero is a purchase; an order that was cancelled on
the same day is none.
"""

METRICS_TEXT = """\
`churn metrics` shows the balance of customers and what belongs to it, period by period.

**Balance.** A customer is *active* at a date if they bought in the last A days before it
(`[metrics] active_days`; default: the lookback). S were active at the start of a period, E at its
end. S = kept + lost and E = kept + new + won back, to the customer, in every cell of every split.
The retention rate is (E - N) / S, where N is everyone active at the end who was not at the start:
new *and* won back. With new customers alone the formula can exceed 100 %.

**Periods** (`[metrics] period`) have 28 days and end at `as_of`, or are calendar months, quarters
or years. The rate of the same period of last year and of the preceding period are shown beside it.
A period that the data does not cover is partial: it is marked and compared with nothing. In the
first A days of the data everyone looks new, so periods that begin there have no rates. There is no
target unless you set one (`[metrics] target_percent`): the rate depends on A and on the period.

**Changed periods.** If orders have a `loaded_at`, a past period is what it was when it could first
be reported, or it says what changed: `changed: 3 late orders`.

**Costs.** `[data.costs]` holds costs by day and category. Those of `[metrics] retention_costs`,
plus the expected cost of plans that were exported or sent by the ledger, are the retention cost;
those of `acquisition_costs` the acquisition cost. Other categories are reported as unused.

**Splits** (`--by`, `[metrics] by`): a customer is in one cell for a whole period, by what was known
when it began.

**By segment**: the segment that a customer had when the period began, by the frozen bounds
([segments.md](segments.md#segments)). If none are frozen yet, they are learnt and written to
`segments.json`, and a note says so. Segments count all orders before their date, and last year's
customers had had less time to place them: the rate of last year is therefore empty by segment, and
[`churn signals`](segments.md#signals) compares segments over equal windows. In Python, pass the
clock and what `churn.segments` returned:

```python
found, frozen = churn.segments(tables, clock)
churn.metrics(tables, active_days=56, by=["segment"], clock=clock, frozen=frozen)
```
"""

CELLS_TEXT = """\
`--customers CELL --out FILE` writes the customers of a number instead of the numbers. A cell is the
name of the number and the keys of its row:

```sh
churn metrics --customers lost,period=2017-12-04 --out lost.csv
churn metrics --by channel --customers "kept,period=2017-12-04,channel=web" --out kept.parquet
```

The list has the columns `run_id`, `as_of`, `customer_id` and `cell`. It says nothing about consent:
that is checked when a list is exported or sent. `churn score --explain FILE` gives the reasons of
its customers, and `churn plan --customers FILE` plans for them alone:

```sh
churn metrics --customers lost --out lost.csv
churn plan --customers lost.csv --out plan.parquet
churn export plan.parquet --to win_back.csv
```

Consent, the holdout, cooldowns and caps apply as in any plan. Everyone else is left out and
counted. A campaign has one plan per date: give each list a campaign of its own.
"""


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    title: str
    text: str
    definitions: Mapping[str, Definition]


def _splits() -> str:
    rows = [
        f"| `{one.name}` | {one.meaning} | {f'`{one.needs}`' if one.needs else ''} |"
        for one in SPLITS.values()
    ]
    return "\n".join(["| split | cell of a customer | needs |", "|---|---|---|", *rows])


COHORTS_TEXT = """\
`churn cohorts` follows customers from their first purchase: a triangle with a row per cohort and
age in periods (`[metrics] period`), and two survival curves. An open cell, whose period has not
ended, is empty and carries the date on which it closes. There are no averages over cohorts, because
they would mix cohorts of different maturity. Cohorts of the first active days of the data also hold
customers who had bought before the data begins; they are marked with an asterisk.

Python: `churn.cohorts(tables, active_days=…)`; the tables are `cohorts`, `second_purchase`, `lapse`
and `frequency`.
"""

SUBSCRIPTIONS_TEXT = """\
If `[data.subscriptions]` is connected, `churn metrics` also shows the balance of subscribers and of
monthly recurring revenue (the table `subscriptions` in `--json` and Python). A subscription that is
renewed within `[churn] grace_days` is not lost. A customer has one price at a time: the `amount` of
the term that began last, per 30.4375 days; of a term without an end, the `amount` itself.
"""

SECTIONS = (
    Section("Metrics", METRICS_TEXT, METRICS),
    Section("Subscriptions", SUBSCRIPTIONS_TEXT, SUBSCRIPTIONS),
    Section("Cohorts", COHORTS_TEXT, COHORTS),
)


def page() -> str:
    """Markdown: the introduction, a section per analysis with its definitions, and the cells."""
    sections = [_section(one) for one in SECTIONS]
    sections[0] += f"\n\n### Splits\n\n{_splits()}"
    names = ", ".join(f"`{name}`" for name in NAMES)
    named = f"Metrics: {names}. Cohorts: `cohort_size`, `customers`."
    cells = f"## From a number to its customers\n\n{CELLS_TEXT}\n{named}"
    return "\n\n".join([INTRODUCTION.rstrip(), *sections, cells])


def _section(one: Section) -> str:
    rows = [
        f"| `{number.name}` | {number.unit} | {number.meaning} | {number.source} |"
        for number in one.definitions.values()
    ]
    table = "\n".join(["| number | unit | definition | source |", "|---|---|---|---|", *rows])
    return f"## {one.title}\n\n{one.text}\n{table}"


if __name__ == "__main__":
    print(page())
