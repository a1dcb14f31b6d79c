"""The blocks on what can be trusted and what to decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churn.offers.catalogue import NO_OFFER
from churn.reporting.blocks import Block
from churn.reporting.numbers import Numbers
from churn.reporting.sentences import Number, Sentence

OFFERS_SHOWN = 3
ACTIONS = ("check the data", "refit")
"""Signals of the monitor that somebody has to act on."""
LATE_DAYS = 2
"""Orders that end more days before the publishing are late."""


class Today(Numbers):
    """The blocks `trust` and `decide`."""

    def trust(self) -> Block:
        """Of when everything is, and whether something needs attention."""
        title, row, words = self.words.text("titles/trust"), self.row, self.words
        as_of = words.day(row.as_of)
        if row.orders_until is None:
            sentence = words.sentence("trust/without_orders", as_of=as_of)
            return Block(title, (sentence,), needs_attention=True)
        until, notes = words.day(row.orders_until), self._notes()
        late = (row.published_at.date() - row.orders_until).days
        if late > LATE_DAYS and (row.as_of - row.orders_until).days <= LATE_DAYS:
            n = self.derived("late_days", late)
            sentence = words.sentence("trust/late", late, n=n, until=until)
            return Block(title, (sentence,), details=notes, needs_attention=True)
        alarm = self._alarm()
        if alarm is not None:
            return Block(title, (alarm,), details=notes, needs_attention=True)
        shown = {"as_of": as_of, "until": until, "read": words.moment(row.orders_read_at)}
        if row.model_as_of is None:
            sentence = words.sentence("trust/without_model", **shown)
            reason = self.missing("score")
            return Block(title, (sentence,), reason, details=notes, needs_attention=True)
        shown["model"] = words.day(row.model_as_of)
        if not notes:
            return Block(title, (words.sentence("trust/good", **shown),))
        n = self.derived("notes", len(notes))
        sentence = words.sentence("trust/notes", len(notes), n=n, **shown)
        return Block(title, (sentence,), details=notes)

    def _alarm(self) -> Sentence | None:
        """What the monitor says, if somebody has to act on it."""
        monitor = self.documents.get("monitor") or {}
        signal = next(iter(monitor.get("signal") or []), None)
        if signal is None or signal["action"] not in ACTIONS:
            return None
        early = monitor.get("early") or []
        off = [n for n, one in enumerate(early) if one["state"] == "alarm"]
        if signal["layer"] != "early" or not off:
            return Sentence("trust/alarm", (signal["text"],))
        worst = max(off, key=lambda n: abs(early[n]["deviation"]) / max(early[n]["half"], 1e-12))
        at = f"monitor/early/{worst}"
        return self.words.sentence(
            "trust/refit",
            None,
            expected=self.number("expected", f"{at}/expected"),
            observed=self.number("observed", f"{at}/observed"),
            deviation=self.number("deviation", (f"{at}/deviation", 100.0), unit="change"),
            half=self.number("deviation_half", (f"{at}/half", 100.0)),
        )

    def _notes(self) -> tuple[str, ...]:
        """Warnings of the import, and notes on scores and plan."""
        notes = self.documents.get("notes") or {}
        return tuple(text for name in ("tables", "score", "plan") for text in notes.get(name, ()))

    def decide(self) -> Block:
        """The plan on record, what more budget would bring, and who waits for an answer."""
        title = self.words.text("titles/decide")
        plan = self.documents.get("plan")
        sentences = list(self._plan(plan)) if plan else []
        worklist = (self.documents.get("feedback") or {}).get("worklist") or []
        if worklist:
            n = self.number("unhappy", "feedback/worklist/#", link="feedback")
            value = self.number(
                "unhappy_value", "feedback/worklist/*/value", unit="money", link="feedback"
            )
            sentences.append(self.words.sentence("decide/unhappy", len(worklist), n=n, value=value))
        return Block(title, tuple(sentences), self.missing("plan"), details=self.details("plan"))

    def _plan(self, plan: Mapping[str, Any]) -> list[Sentence]:
        words, offers = self.words, plan["offers"]
        effects = self._effects(plan)
        offered = [name for name, n in offers.items() if name != NO_OFFER and n]
        if not offered:
            return [words.sentence("decide/nobody", effects=effects)]
        n = self.number("with_offer", "plan/customers", (f"plan/offers/{NO_OFFER}", -1.0))
        sentence = words.sentence(
            "decide/worth",
            n.value or 0,
            n=n,
            cost=self.number("cost", "plan/expected_cost", unit="money", link="plan"),
            gain=self.number("gain", "plan/expected_gain", unit="money", link="plan"),
            effects=effects,
        )
        return [sentence, self._offers(offers, offered), *self._more(plan)]

    def _effects(self, plan: Mapping[str, Any]) -> str:
        sources = set(plan.get("effect_sources") or ["assumed"])
        if sources == {"assumed"}:
            return self.words.text("decide/assumed")
        return self.words.text("decide/partly" if "assumed" in sources else "decide/measured")

    def _offers(self, offers: Mapping[str, int], offered: list[str]) -> Sentence:
        """The offers with most customers, the others together, and none."""
        most = sorted(offered, key=lambda name: (-offers[name], name))
        shown = most if len(most) <= OFFERS_SHOWN + 1 else most[:OFFERS_SHOWN]
        parts: list[str | Number] = []
        for name in shown:
            number = self.number(
                name, f"plan/offers/{name}", definition="offer", link="customers?offer"
            )
            parts += [f"{name} ", number, " · "]
        if rest := most[len(shown) :]:
            paths = [f"plan/offers/{name}" for name in rest]
            number = self.number("other_offers", *paths, definition="offer", link="plan")
            parts += [f"{self.words.text('decide/others')} ", number, " · "]
        none = self.number("no_offer", f"plan/offers/{NO_OFFER}", link="plan")
        held = self.number("held_out", "plan/arms/holdout", "plan/arms/control", link="plan")
        form = "decide/none" if held.value == 0 else "decide/none_held_out"
        last = self.words.sentence(form, n=none, held=held)
        return Sentence("decide/offers", (*parts, *last.parts))

    def _more(self, plan: Mapping[str, Any]) -> list[Sentence]:
        """What one more unit of budget, and the next step of the curve, would bring."""
        if plan.get("budget") is None:
            return []
        curve = plan["value_curve"]
        here = [n for n, one in enumerate(curve) if one["budget"] == plan["budget"]]
        above = [n for n in (here[0] + 1,) if n < len(curve) and curve[n]["budget"]] if here else []
        if not plan.get("lambda") or not above:
            return [self.words.sentence("decide/enough")]
        now, then = f"plan/value_curve/{here[0]}", f"plan/value_curve/{above[0]}"
        sentence = self.words.sentence(
            "decide/more",
            unit=self.words.written(1, "money"),
            price=self.number("price", "plan/lambda", unit="cents", link="plan"),
            step=self.number(
                "budget_step",
                f"{then}/budget",
                (f"{now}/budget", -1.0),
                unit="money",
                link="plan",
            ),
            step_net=self.number(
                "step_net",
                f"{then}/expected_value",
                (f"{now}/expected_value", -1.0),
                unit="money",
                link="plan",
            ),
        )
        return [sentence]
