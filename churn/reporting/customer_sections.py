"""The sections of the report on the customer base: retention to feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churn.reporting.pictures import bar_picture
from churn.reporting.section import TO, Maker, Picture, Section
from churn.reporting.tables import CUSTOMERS, MONEY, NUMBER, PERCENT, TEXT, Grid, triangle

PERIODS_SHOWN = 13
LOOKS_SHOWN = 40
WORKLIST_SHOWN = 50


class CustomerSections(Maker):
    """Makes them from the documents of the analyses."""

    def _retention(self, document: Mapping[str, Any]) -> Section:
        rows = [one for one in document["periods"] if one["split"] == "all"][-PERIODS_SHOWN:]
        kinds = {
            "period": TEXT,
            **dict.fromkeys(
                ("active_at_start", "kept", "lost", "new", "won_back", "active_at_end"), CUSTOMERS
            ),
            **dict.fromkeys(("retention_rate_percent", "half", "last_year"), PERCENT),
            "orders": NUMBER,
            "net_revenue": MONEY,
        }
        shown = [_with_half(self._apart(one)) for one in rows]
        grid = self.columns.grid(self._title("retention"), shown, kinds)
        return Section(
            "retention",
            self._title("retention"),
            open_grids=(grid,),
            notes=self._notes("metrics"),
            definitions=self._defined(document),
        )

    def _apart(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The row without the numbers that a hidden one could be calculated from."""
        hidden = {
            name: None
            for name, small in (
                ("won_back", self.columns.hides(row["new"])),
                ("new", self.columns.hides(row["won_back"])),
                ("kept", self.columns.hides(row["lost"])),
                ("retention_rate_percent", self.columns.hides(row["lost"])),
            )
            if small
        }
        return {**row, **hidden}

    def _cohorts(self, document: Mapping[str, Any]) -> Section:
        grid = triangle(self.columns, self.finding("cohorts"), document)
        return Section(
            "cohorts",
            self._title("cohorts"),
            open_grids=(grid,),
            notes=self._notes("cohorts"),
            definitions=self._defined(document),
        )

    def _segments(self, document: Mapping[str, Any]) -> Section:
        rows = document["segments"]
        seen = {one["segment"]: one["customers"] for one in self.columns.apart(rows)}
        total = sum(one["customers"] for one in rows)
        most = max(rows, key=lambda one: one["customers"])
        number = self.words.language.number
        finding = self.finding(
            "segments",
            segment=most["segment"].capitalize(),
            n=number(most["customers"]),
            total=number(total),
        )
        bars = [
            (
                one["segment"],
                0.0 if self.columns.hides(one["customers"]) else seen[one["segment"]] or 0.0,
                self.columns.cell(seen[one["segment"]], CUSTOMERS).text,
            )
            for one in rows
        ]
        kinds = {
            "segment": TEXT,
            "customers": CUSTOMERS,
            "share": PERCENT,
            "active": CUSTOMERS,
            **dict.fromkeys(("recency_days", "purchase_days"), NUMBER),
            "net_spend": MONEY,
            "spend_share": PERCENT,
        }
        since = document["resolved"]["since"]
        moved = self.columns.matrix(
            self.finding("migration", since=since),
            self.text("columns/segment"),
            document["migration"],
            ("from_segment", "to_segment"),
        )
        names = ("share", "spend_share", "net_spend", "active")
        shown = [self._few(one, names) for one in self.columns.apart(rows)]
        return Section(
            "segments",
            self._title("segments"),
            pictures=(Picture(finding, bar_picture("segments", finding, bars)),),
            open_grids=(moved,),
            grids=(self.columns.grid(self._title("segments"), shown, kinds),),
            notes=self._notes("segments"),
            definitions=self._defined(document),
        )

    def _few(self, row: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any]:
        """The row without what would tell a hidden number of customers."""
        few = row["customers"] is None or self.columns.hides(row["customers"])
        return {**row, **dict.fromkeys(names)} if few else row

    def _journey(self, document: Mapping[str, Any]) -> Section:
        kinds = {
            "stage": TEXT,
            **dict.fromkeys(("at_start", "stayed", "out", "into", "at_end"), CUSTOMERS),
            "most_go_to": TEXT,
            "median_days": NUMBER,
        }
        away = self.text("not_connected")
        rows = [
            one if one["connected"] else {**one, "most_go_to": away} for one in document["stages"]
        ]
        resolved = document["resolved"]
        title = self.finding("journey", start=resolved["start"], end=resolved["end"])
        ladder = self.columns.grid(title, rows, kinds)
        matrix = self.columns.matrix(
            self.finding("transitions"),
            self.text("columns/stage"),
            document["transitions"],
            ("from_stage", "to_stage"),
        )
        return Section(
            "journey",
            self._title("journey"),
            open_grids=(ladder, *self._frictions(document), matrix),
            notes=self._notes("journey"),
            definitions=self._defined(document),
        )

    def _frictions(self, document: Mapping[str, Any]) -> Iterator[Grid]:
        rows = document.get("frictions") or []
        shown = [
            {
                **one,
                "interval": self._interval(one["ratio_low"], one["ratio_high"]),
            }
            for one in rows
        ]
        kinds = {
            "friction": TEXT,
            "lapses": CUSTOMERS,
            "observed": CUSTOMERS,
            "expected": NUMBER,
            "ratio": NUMBER,
            "interval": TEXT,
        }
        if shown:
            yield self.columns.grid(self.finding("frictions"), shown, kinds)

    def _signals(self, document: Mapping[str, Any]) -> Section:
        looks = sorted(
            document["looks"],
            key=lambda one: (not one["signal"], 2.0 if one["p_value"] is None else one["p_value"]),
        )
        rows = [
            {
                "group": f"{one['split']} {one['value']}",
                "customers": one["customers"],
                "before": one["percent_before"],
                "now": one["percent"],
                "change": one["change"],
                "half": one["half_width"],
            }
            for one in looks[:LOOKS_SHOWN]
            if not self.columns.hides(one["customers"])
            and not self.columns.hides(one["customers_before"])
        ]
        kinds = {
            "group": TEXT,
            "customers": CUSTOMERS,
            **dict.fromkeys(("before", "now", "change", "half"), PERCENT),
        }
        return Section(
            "signals",
            self._title("signals"),
            grids=(self.columns.grid(self._title("signals"), rows, kinds),),
            notes=self._notes("signals"),
            definitions=self._defined(document),
        )

    def _interval(self, low: float | None, high: float | None) -> str | None:
        if low is None or high is None:
            return None
        number = self.words.language.number
        return f"{number(low, 1)} {TO} {number(high, 1)}"

    def _feedback(self, document: Mapping[str, Any]) -> Section:
        rows = [
            {
                **one,
                "interval": self._interval(one["score_low"], one["score_high"]),
            }
            for one in document["scores"]
            if not self.columns.hides(one["responded"])
        ]
        kinds = {
            **dict.fromkeys(("source", "wave"), TEXT),
            **dict.fromkeys(("asked", "responded"), CUSTOMERS),
            "measure": TEXT,
            "score": PERCENT,
            "interval": TEXT,
        }
        grids = [self.columns.grid(self._title("feedback"), rows, kinds)]
        if self.ids:
            listed = document["worklist"][:WORKLIST_SHOWN]
            names = {
                "customer_id": TEXT,
                "value": MONEY,
                "source": TEXT,
                "score": NUMBER,
                "responded_on": TEXT,
            }
            grids.append(
                self.columns.grid(document["definitions"]["worklist"]["meaning"], listed, names)
            )
        return Section(
            "feedback",
            self._title("feedback"),
            open_grids=tuple(grids),
            notes=self._notes("feedback"),
            definitions=self._defined(document),
        )


def _with_half(row: Mapping[str, Any]) -> dict[str, Any]:
    low, high = row["retention_rate_percent_low"], row["retention_rate_percent_high"]
    known = row["retention_rate_percent"] is not None
    return {
        **row,
        "half": (high - low) / 2 if known else None,
        "last_year": row["retention_rate_last_year_percent"],
    }
