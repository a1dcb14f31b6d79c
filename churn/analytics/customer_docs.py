"""The page docs/segments.md, from the definitions in the code:
`python -m churn.analytics.customer_docs`.
"""

from __future__ import annotations

from collections.abc import Mapping

from churn.analytics import feedback_report, journey, segments_shown, signals_shown
from churn.analytics.definitions import Definition

INTRODUCTION = """\
# Segments, journey, signals, feedback

Generated from the definitions in the code by `make docs`. The terminal, `--json` and this page use
the same ones.

These commands describe the customer base as of a date, exclusive (`--as-of`). `--out FILE` writes
their main table as `.parquet`, `.csv`, `.xlsx` or to a PostgreSQL table; `--json` contains all
tables and definitions. `--customers CELL --out FILE` writes the customers behind a number instead.
Consent is read when such a list is exported, not here. Erased customers are not in the tables;
customers who object to profiling are left out and counted.

In Python, `churn.segments`, `churn.journey`, `churn.signals` and `churn.feedback` return an
`Analysis`: `found.table("migration")` is an Arrow table, `found.definitions` what its numbers mean.
`churn.segments` also returns what is to be frozen:

```python
clock = churn.FeatureClock(horizon_days=28, lookback_days=56)
found, frozen = churn.segments(tables, clock, as_of="2017-11-01")
later, _ = churn.segments(tables, clock, as_of="2017-12-01", frozen=frozen)
moved = churn.journey(tables, clock, as_of="2017-12-01", frozen=frozen)
```
"""

SEGMENTS_TEXT = """\
`churn segments` shows the base by segment and by cluster, a persona of each, and the migration
since an earlier date (`--since`, by default 28 days before). Figures of personas are medians. The
segments are the same in scores, in `segments` of `offers.toml`, and here.

**Bounds are learnt once.** The first run of `churn score`, `churn plan` or `churn segments` learns
the cut points of the scores R, F and M from the eligible customers of its date and writes them to
`segments.json` next to `churn.toml`; so do `churn journey`, `churn signals` and `churn metrics --by
segment`, with a note. Later runs apply them: a customer who buys nothing and crosses no cut point
keeps the segment. `churn segments --refit` learns them again, raises their version, and records the
crosswalk from the old segments to the new ones in the ledger. Keep the file with the configuration.
A cut point lies between two different values, so that ties are never split, and no class is empty
as long as there are five different values.

**Clusters** are sought by k-means among active customers with two purchase days or more, on the
winsorised logarithms of purchase days, net spend and recency, and frozen with the bounds. They are
published only if every cluster is found again in 50 bootstrap samples (mean Jaccard similarity of
at least 0.75) and all are tighter than the clusters of a single normal distribution. Otherwise the
answer is "no stable groups".

**Migration.** The rows of active segments sum to S, the columns to E, as in the balance of
customers. Segments at the earlier date are those by what was known then.

Cells: `customers,segment=loyal`; `customers,cluster=1`; `migrated,from=loyal,to=lapsed`.

```sh
churn segments
churn segments --customers migrated,from=loyal,to=lapsed --out lost_loyal.csv
```
"""

JOURNEY_TEXT = """\
`churn journey` shows in which stage customers were at the start of a period (`--since`, by default
28 days before) and at its end, how long they stay in a stage, where money leaves, and which
frictions precede lapses. A stage that the connected tables cannot show is "not connected": aware
needs sign-up times or events, considering needs events of the type `visit` or `cart`.

**Frictions** are late deliveries, tickets, complaints, low scores of reviews and NPS, carts without
a purchase on that day or the next, returns, and unhappy responses in `[data.surveys]` and
`[data.reviews]`. At up to 12 dates of the last year, active customers with a friction in the
horizon before the date are compared with customers without it, in the same stratum of recency,
purchase days and orders in that time: who orders more has more late deliveries. A lapse is no
purchase in the horizon after the date. A friction is named if its ratio is above 1 beyond chance,
at a false discovery rate of 5 % over all kinds. It precedes lapses; whether it causes them, only an
experiment can tell.

Cells: `stage,stage=at risk` (at the end); `moved,from=repeat,to=at risk`.
"""

SIGNALS_TEXT = """\
`churn signals` compares the share kept in the last complete period (`--period`: a number of days,
`month`, `quarter` or `year`; default: `[metrics] period`) with the same period of last year, for
everyone and in every group. The usual answer is that nothing moved beyond chance. It needs the
active days, a year and the period in orders: 13 months and more. With less, the error says from
which date on it will work.

Groups are made from what is known at the start of each period, from the same length of time before
it, or from attributes that do not change. For segments that length is what the data has before last
year's period, so that last year's customers had as much time to become loyal: a segment may
therefore differ from the one in `churn segments`, which counts all orders. Category needs order
lines with one, campaign a `campaign_id` of contacts, events or redemptions. A group is tested if at
least 30 customers kept and 30 lost are expected in both periods. It is a signal if its change is
significant over all groups that were looked at and differs from the change of everyone else. Once a
signal is found, its customers are set aside before the next is sought, so that groups that merely
overlap with it are not reported. The change of the total is split into mix (who was there) and rate
(what the groups did); the parts add up exactly.

Cells: `lost,split=region,value=north`; `kept,split=segment,value=loyal`; `start` for everyone
active at the start.
"""

FEEDBACK_TEXT = """\
`churn feedback` reads `[data.surveys]` and `[data.reviews]` ([tables.md](tables.md#surveys)). No
score is shown without its number of responses and interval. Of each customer, the latest response
per wave counts. An NPS is computed only from scores of 0 to 10: if the table has no column `scale`,
a 0 must occur among them, because scores of 1 to 10 and of 1 to 5 mean something else.

**Worklist.** `--out worklist.csv` writes the unhappy customers to answer first. Pass it to the
plan, and these customers get offers with the objective `service` only; all others in the catalogue
wait (`service_first` in [outputs.md](outputs.md#suppression-codes)):

```sh
churn feedback --scores scores.parquet --out worklist.csv
churn plan --scores scores.parquet --worklist worklist.csv --out plan.parquet
```

Cells: `detractors,source=surveys,wave=2024-q1`; likewise `promoters`, `passives`, `satisfied`,
`unhappy`, `responded`, `asked`.
"""

SECTIONS: tuple[tuple[str, str, Mapping[str, Definition]], ...] = (
    ("Segments", SEGMENTS_TEXT, segments_shown.DEFINITIONS),
    ("Journey", JOURNEY_TEXT, journey.DEFINITIONS),
    ("Signals", SIGNALS_TEXT, signals_shown.DEFINITIONS),
    ("Feedback", FEEDBACK_TEXT, feedback_report.DEFINITIONS),
)


def customer_page() -> str:
    """Markdown with a section per command, its text and its definitions."""
    return "\n".join([INTRODUCTION, *(_section(*section) for section in SECTIONS)]).rstrip("\n")


def _section(heading: str, text: str, definitions: Mapping[str, Definition]) -> str:
    header = "| number | unit | definition | source |\n|---|---|---|---|"
    rows = "\n".join(
        f"| `{one.name}` | {one.unit} | {one.meaning} | {one.source} |"
        for one in definitions.values()
    )
    return f"## {heading}\n\n{text}\n{header}\n{rows}\n"


if __name__ == "__main__":
    print(customer_page())
