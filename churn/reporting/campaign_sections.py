"""The sections of the report on the plan, the results of campaigns, and the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

from churn.offers.catalogue import NO_OFFER
from churn.reporting.pictures import curve_picture, interval_picture
from churn.reporting.section import TO, Maker, Picture, Section
from churn.reporting.tables import CUSTOMERS, MONEY, TEXT, UNKNOWN, Cell, Grid

MODEL_PICTURES = ("calibration", "gain", "backtest")
MODEL_METRICS = ("roc_auc", "average_precision", "lift_at_10_percent", "log_loss", "brier")


class CampaignSections(Maker):
    """Makes them from the documents of the plan, of measurements and of the model."""

    def _plan(self, document: Mapping[str, Any]) -> Section:
        offers = [
            {"offer": name, "customers": count}
            for name, count in document["offers"].items()
            if count and name != NO_OFFER
        ]
        reasons = self.words.forms["leaving"]["outcomes"]
        none = [
            {"reason": reasons.get(code, code), "customers": count}
            for code, count in document["suppressed"].items()
            if count
        ]
        columns, title = self.columns, self._title("plan")
        curve = [
            {"budget": one["budget"], "cost": one["expected_cost"], "net": one["expected_value"]}
            for one in document["value_curve"]
            if one["budget"] is not None
        ]
        grids = (
            columns.grid(title, columns.apart(offers), {"offer": TEXT, "customers": CUSTOMERS}),
            columns.grid(
                self.text("columns/reason"),
                columns.apart(none),
                {"reason": TEXT, "customers": CUSTOMERS},
            ),
        )
        caption = self.words.sentence(
            "report/other_budget", None, currency=document["currency"]
        ).text
        table = columns.grid(caption, curve, {"budget": MONEY, "cost": MONEY, "net": MONEY})
        return Section(
            "plan",
            title,
            pictures=tuple(self._curve(document, curve)),
            open_grids=grids,
            grids=(table,),
            notes=self._notes("plan"),
        )

    def _curve(self, document: Mapping[str, Any], curve: list[dict[str, Any]]) -> Iterator[Picture]:
        if len(curve) < 2:
            return
        budget = document["budget"]
        here = next(((one["budget"], one["net"]) for one in curve if one["budget"] == budget), None)
        finding = self.finding("plan_open")
        if here is not None:
            money = [self.words.written(one, "money") for one in here]
            finding = self.finding("plan", budget=money[0], net=money[1])
        points = [(one["budget"], one["net"]) for one in curve]
        yield Picture(finding, curve_picture("plan", finding, points, here))

    def _results(self, measured: list[dict[str, Any]]) -> Section:
        rows, drawn = [], []
        for one in measured:
            money, label = one["money"], f"{one['campaign_id']} {one['plan_as_of']}"
            margin = self._estimate(money, ("incremental_margin_cuped", "incremental_margin"))
            net = self._estimate(money, ("net_cuped", "net"))
            if net is not None:
                drawn.append((label, *net))
            rows.append(
                {
                    "campaign": label,
                    "treated": money["treated_customers"],
                    "held_out": money["kept_customers"],
                    "margin": margin and margin[0],
                    "margin_interval": self._bounds(margin),
                    "result": net and net[0],
                    "interval": self._bounds(net),
                }
            )
        kinds = {
            "campaign": TEXT,
            **dict.fromkeys(("treated", "held_out"), CUSTOMERS),
            **{"margin": MONEY, "margin_interval": TEXT, "result": MONEY, "interval": TEXT},
        }
        finding = self.finding("results")
        pictures = (Picture(finding, interval_picture("results", finding, drawn)),) if drawn else ()
        return Section(
            "results",
            self._title("results"),
            pictures=pictures,
            open_grids=(self.columns.grid(self._title("results"), rows, kinds),),
        )

    def _estimate(
        self, money: Mapping[str, Any], names: tuple[str, ...]
    ) -> tuple[float, float, float] | None:
        """The first of the amounts that is known, with its bounds."""
        for name in names:
            found = [money.get(f"{name}{end}") for end in ("", "_low", "_high")]
            estimate, low, high = (float("nan") if one is None else float(one) for one in found)
            if isfinite(estimate) and isfinite(low) and isfinite(high):
                return estimate, low, high
        return None

    def _bounds(self, found: tuple[float, float, float] | None) -> str | None:
        if found is None:
            return None
        return f" {TO} ".join(self.words.written(one, "money") for one in found[1:])

    def _model(self, document: Mapping[str, Any]) -> Section:
        judged = [
            one
            for one in (document.get("evaluation") or {}).get("judged") or []
            if one["group"] == "eligible"
        ]
        pictures = [
            Picture(self.finding(name), address=_image(document["pictures"][name]))
            for name in MODEL_PICTURES
            if name in (document.get("pictures") or {})
        ]
        rows = [
            {"model": one["predictor"], **{name: one.get(name) for name in MODEL_METRICS}}
            for one in judged
        ]
        header = (self.text("columns/model"), *(n.replace("_", " ") for n in MODEL_METRICS))
        cells = tuple(
            (
                self.columns.cell(one["model"], TEXT),
                *(self._metric(one[name]) for name in MODEL_METRICS),
            )
            for one in rows
        )
        title = self._title("model")
        if judged:
            first = judged[0]
            title = self.finding(
                "model",
                model=document["model_id"],
                auc=self._metric(first.get("roc_auc")).text,
                log_loss=self._metric(first.get("log_loss")).text,
                rows=self.words.language.number(first.get("rows") or 0),
            )
        grids = (Grid(title, header, cells),) if judged else ()
        return Section("model", self._title("model"), pictures=tuple(pictures), open_grids=grids)

    def _metric(self, value: float | None) -> Cell:
        return Cell(UNKNOWN if value is None else self.words.language.number(value, 4))


def _image(svg: str) -> str:
    """An SVG as an address that an `img` may have without a network."""
    from base64 import b64encode

    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
