"""What is said of one customer: the sentence of a family that is true and weighs most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from churn.features.clock import FeatureClock
from churn.scoring.language import Language
from churn.scoring.topics import TOPICS, Topic

__all__ = ["family_name", "rule_sentence", "sentence", "sentence_pair", "spoken", "status_sentence"]

Words = Mapping[str, Any]


def sentence(family: str, words: Words, weights: Mapping[str, float], speech: Language) -> str:
    """The family's sentence whose features weigh most, of those that are true and known.

    `weights` are the features' log-odds in the direction that is told. Where no sentence speaks
    for what weighs, the family as a whole is named.

    >>> from churn.scoring.language import language
    >>> words = {"return_days": 1.0, "return_share": 0.2}
    >>> sentence("returns", words, {"return_share": 0.3}, language("en"))
    'Returned goods on 1 day, 20% of the value bought.'
    """
    for _, said in _sayings(family, words, weights, speech):
        return said
    named = {"family": family_name(family, speech)}
    return str(speech.say(speech.texts["marks"]["general"], named))


def sentence_pair(
    family: str, before: Words, now: Words, weights: Mapping[str, float], speech: Language
) -> tuple[str, str] | None:
    """One sentence, true of two rows of a customer, with the numbers of each; None without one.

    >>> from churn.scoring.language import language
    >>> before, now = {"return_days": 1.0, "return_share": 0.2}, {"return_days": 0.0}
    >>> sentence_pair("returns", before, now, {"return_share": 0.3}, language("en")) is None
    True
    """
    then = dict(_sayings(family, before, weights, speech))
    both = (
        (then[key], said) for key, said in _sayings(family, now, weights, speech) if key in then
    )
    return next(both, None)


def family_name(family: str, speech: Language) -> str:
    """What a family is called; a user's own family by its own name.

    >>> from churn.scoring.language import language
    >>> family_name("tenure", language("en")), family_name("shoe_sizes", language("de"))
    ('time as a customer', 'shoe sizes')
    """
    known = speech.texts["families"].get(family)
    return family.replace("_", " ") if known is None else str(known["name"])


def rule_sentence(rule: str, words: Words, speech: Language) -> str | None:
    """What a baseline that stands in for the model looks at, in the customer's numbers."""
    return speech.say(speech.texts["rules"][rule], words)


def status_sentence(status: str, words: Words, speech: Language) -> str | None:
    """What is known of a customer for whom the model does not speak."""
    texts = speech.texts["statuses"]
    keys = [status, "young", "new"] if status != "new" else ["young", "new"]
    said = (speech.say(texts[key], words) for key in keys if key in texts)
    return next((text for text in said if text is not None), None)


def spoken(record: Words, clock: FeatureClock, currency: str) -> dict[str, Any]:
    """A row of features with the lengths of time and the currency that sentences name."""
    lengths = {
        "horizon_days": clock.horizon_days,
        "lookback_days": clock.lookback_days,
        "half_horizon_days": clock.window_days,
        "earlier_days": round(1.5 * clock.horizon_days),
        "two_horizons_days": 2 * clock.horizon_days,
    }
    return {**record, **lengths, "currency": currency}


def _sayings(
    family: str, words: Words, weights: Mapping[str, float], speech: Language
) -> Iterator[tuple[str, str]]:
    """Key and sentence of the topics that weigh, are true and known; the heaviest first."""
    texts = speech.texts["families"].get(family, {})
    for topic in sorted(TOPICS.get(family, ()), key=lambda one: -_weight(one, weights)):
        if _weight(topic, weights) > 0 and topic.holds(words):
            said = speech.say(texts[topic.key], words)
            if said is not None:
                yield topic.key, said


def _weight(topic: Topic, weights: Mapping[str, float]) -> float:
    return sum(weights.get(name, 0.0) for name in topic.features)
