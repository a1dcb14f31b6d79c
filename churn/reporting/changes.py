"""The blocks on what moved, what was earned, and who is leaving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from churn.reporting.blocks import Block, LeavingRow
from churn.reporting.numbers import LEAST_EVENTS, Numbers
from churn.reporting.sentences import Sentence

LEAVING = 10
MIX_SHARE = 0.8
"""The share of a change that a mix has to explain to be named."""


class Changes(Numbers):
    """The blocks `moved`, `earned` and `leaving`."""

    def moved(self) -> Block:
        """Signals against the same period of last year; usually that nothing moved."""
        title = self.words.text("titles/moved")
        document = self.documents.get("signals")
        if not document:
            return Block(title, missing=self.missing("signals"))
        looks = document["looks"]
        total = next((one for one in looks if one["split"] == "everyone"), None) or looks[0]
        if total["p_value"] is None:
            least = min(_fewest(total, ""), _fewest(total, "_before"))
            sentence = self.words.sentence(
                "moved/too_few",
                n=self.derived("needed", least),
                needed=self.derived("needed", LEAST_EVENTS),
            )
            return Block(title, (sentence,))
        signals = [n for n, one in enumerate(looks) if one["signal"]]
        if signals:
            shown = tuple(self._moved(looks, n, total) for n in signals[:2])
            return Block(title, shown, details=self.details("signals"))
        sentences = [self._mix(document, total), self._nothing(looks)]
        shown = tuple(one for one in sentences if one is not None)
        return Block(title, shown[:1], details=self.details("signals"))

    def _look(self, looks: list[dict[str, Any]], place: int) -> dict[str, Any]:
        at, one = f"signals/looks/{place}", looks[place]
        group = self.words.text("moved/everyone")
        if one["split"] in self.words.forms["moved"]["splits"]:
            group = self.words.sentence(f"moved/splits/{one['split']}", value=one["value"]).text
        return {
            "group": group,
            "before": self.number("look_before", f"{at}/percent_before", unit="percent"),
            "now": self.number("look_now", f"{at}/percent", unit="percent", link="signals"),
            "half": self.number("look_half", f"{at}/half_width", unit="half"),
        }

    def _moved(self, looks: list[dict[str, Any]], place: int, total: Mapping[str, Any]) -> Sentence:
        one, shown = looks[place], self._look(looks, place)
        part: object = ""
        if one is not total:
            points = one["change"] * one["customers"] / max(total["customers"], 1)
            part = self.words.sentence(
                "moved/part",
                part=self.derived("part", points, unit="points"),
                total=self.derived("total_change", total["change"], unit="points"),
            )
        customers = self.number("look_customers", f"signals/looks/{place}/customers")
        return self.words.sentence("moved/moved", **shown, customers=customers, part=part)

    def _nothing(self, looks: list[dict[str, Any]]) -> Sentence:
        tested = [n for n, one in enumerate(looks) if one["p_value"] is not None]
        place = min(tested, key=lambda n: looks[n]["p_value"])
        count = self.number("looks", "signals/looks/#", link="signals")
        return self.words.sentence("moved/nothing", looks=count, **self._look(looks, place))

    def _mix(self, document: Mapping[str, Any], total: Mapping[str, Any]) -> Sentence | None:
        """That the mix explains a change of everyone, if it does."""
        if total["half_width"] is None or abs(total["change"]) <= total["half_width"]:
            return None
        parts = document.get("parts") or []
        explains = any(one["mix"] / one["change"] >= MIX_SHARE for one in parts if one["change"])
        return self.words.sentence("moved/mix") if explains else None

    def earned(self) -> Block:
        """The newest measured campaign."""
        title, words = self.words.text("titles/earned"), self.words
        measured = self.documents.get("measurements") or []
        if not measured:
            return Block(title, missing=self.missing("measurements"))
        one, campaign = measured[0], measured[0]["campaign_id"]
        if one.get("why_not") or not one["effects"]:
            why = str(one.get("why_not") or "-").rstrip(".")
            return Block(
                title, (words.sentence("earned/not_comparable", campaign=campaign, why=why),)
            )
        sentences = [self._net(one), *self._saved(one)]
        groups = {"treated": "treated_customers", "kept": "kept_customers"}
        counts = {
            name: self.number(name, f"measurements/0/money/{key}", link="campaigns")
            for name, key in groups.items()
        }
        days = {
            "from": words.day(date.fromisoformat(one["plan_as_of"])),
            "to": words.day(date.fromisoformat(one["closes"])),
        }
        sentences.append(words.sentence("earned/groups", **counts, **days))
        if not one["closed"]:
            sentences.append(words.sentence("earned/interim", to=days["to"]))
        return Block(title, tuple(sentences))

    def _net(self, one: Mapping[str, Any]) -> Sentence:
        """The net result, adjusted for what was predicted where it is; margin without a cost."""
        money = one["money"]
        names = ("net_cuped", "net", "incremental_margin_cuped", "incremental_margin")
        name = next(name for name in names if money.get(name) is not None)
        at = f"measurements/0/money/{name}"
        low, high = (
            self.number("net", f"{at}{end}", unit="money", definition="net_bound")
            for end in ("_low", "_high")
        )
        proven = (self.known(f"{at}_low") or 0) > 0 or (self.known(f"{at}_high") or 0) < 0
        form = "proven" if proven else "unproven"
        if name.startswith("incremental"):
            form = f"margin_{form}"
        net = self.number("net", at, unit="money", link="campaigns")
        campaign = one["campaign_id"]
        return self.words.sentence(f"earned/{form}", campaign=campaign, net=net, low=low, high=high)

    def _saved(self, one: Mapping[str, Any]) -> list[Sentence]:
        """The customers kept, if that is significant."""
        retained, money = one["effects"]["retained"], one["money"]
        if retained["verdict"] != "more" or money["incremental_retained"] is None:
            return []
        bounds = {
            end: self.derived(
                "saved",
                retained["plain"][end] * money["treated_customers"],
                definition="saved_bound",
            )
            for end in ("low", "high")
        }
        saved = self.number("saved", "measurements/0/money/incremental_retained")
        return [self.words.sentence("earned/saved", saved=saved, **bounds)]

    def leaving(self, customers: Sequence[Mapping[str, Any]]) -> Block:
        """The customers at risk with most at stake."""
        title, words = self.words.text("titles/leaving"), self.words
        if self.documents.get("score") is None:
            return Block(title, missing=self.missing("score"))
        n = self.number("at_risk", "score/at_risk", link="customers?at_risk")
        if n.value == 0:
            return Block(title, (words.sentence("leaving/nobody"),))
        value = self.number(
            "at_risk_value", "score/value_at_risk_of_those_at_risk", unit="money", link="customers"
        )
        rows = tuple(self._leaving(one) for one in customers[:LEAVING])
        if not rows:
            return Block(title, (words.sentence("leaving/without_ids", n=n, value=value),))
        shown = self.derived("listed", len(rows))
        sentence = words.sentence("leaving/title", len(rows), shown=shown, n=n, value=value)
        return Block(title, (sentence,), rows=rows)

    def _leaving(self, one: Mapping[str, Any]) -> LeavingRow:
        stake, risk = one["value_at_risk"], one["churn_probability"]
        return LeavingRow(
            one["customer_id"],
            None if stake is None else self.derived("value_at_risk", stake, unit="cents"),
            None
            if risk is None
            else self.derived("churn_probability", 100 * risk, unit="rounded_percent"),
            one["reason_1"] or "",
            self._offer(one),
        )

    def _offer(self, one: Mapping[str, Any]) -> Sentence:
        words, outcome = self.words, one["offer_outcome"]
        if outcome is None:
            return words.sentence("leaving/no_plan")
        if outcome == "offer":
            net = one["expected_net"]
            if net is None:
                return Sentence("leaving/offered", (one["offer_id"],))
            number = self.derived("expected_net", net, unit="cents")
            return words.sentence("leaving/offered", offer=one["offer_id"], net=number)
        reasons = words.forms["leaving"]["outcomes"]
        code = one["outcome_reason"] or outcome
        return words.sentence("leaving/no_offer", reason=reasons.get(code, code))


def _fewest(look: Mapping[str, Any], end: str) -> int:
    kept, total = look[f"kept{end}"], look[f"customers{end}"]
    return int(min(kept, total - kept))
