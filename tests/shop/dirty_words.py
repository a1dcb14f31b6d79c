"""Consent values as shops write them, their meaning, and who may be contacted: an oracle.

A moment is a whole day from 2024-01-01; `None` stands for a date that cannot be read or has not
come. A channel or purpose is what a refusal by that word closes; `named` is whether a grant by it
names that same channel or purpose.
"""

import math
from datetime import date, timedelta

from hypothesis import strategies as st

FIRST = date(2024, 1, 1)
CHANNELS = ("email", "sms")
ALL = "all"

GRANTED = ["true", "TRUE ", "Yes", " ja", "1", "1.0", "Granted", "opt-in", "Opted In", "SUBSCRIBED"]
NOT_GRANTED = [
    *("false", "False ", "nein", "no", "0", "off", "opted_out", "opt-out", "Unsubscribed"),
    *(None, "", "  ", "perhaps", "-1", "!yes", "yes?", "2", "not granted", "abgemeldet", "STOP"),
]
# A word -> the channel that it closes, whether a grant names it, and what is the same word.
CHANNEL_WORDS = {
    **dict.fromkeys(["email", "E-Mail", " e-mail ", "EMAIL", "e_mail"], ("email", True, "email")),
    **dict.fromkeys(["sms", "SMS ", "Text"], ("sms", True, "sms")),
    **{"newsletter": ("email", False, "newsletter"), None: (ALL, False, ""), " ": (ALL, False, "")},
    **dict.fromkeys(["all", "*", "Alle"], (ALL, False, ALL)),
    **{"mail": (ALL, False, "mail"), "Kanal 7": (ALL, False, "kanal7")},
}
PURPOSE_WORDS = {
    **dict.fromkeys(
        ["marketing", "Marketing ", "e-mail marketing", "Werbung"], ("marketing", True)
    ),
    **dict.fromkeys(["newsletter", None, "", "Aktionen"], ("marketing", False)),
    **dict.fromkeys(["profiling", "Personalisation"], ("profiling", True)),
    **{"all": (ALL, False), "transactional": ("other", True)},
}
# An event's type -> the channel that it closes where the event names none; None closes nothing.
EVENT_WORDS = {
    **dict.fromkeys(["unsubscribe", "Unsubscribed", "UNSUBSCRIBE ", "spam_complaint"], "email"),
    **{"Unsubscribed from SMS Marketing": "sms", "hard_bounce": "email", "STOP": ALL},
    **{"opt-out": ALL, "Abgemeldet": ALL, "visit": None, "add_to_cart": None, "soft bounce": None},
    **{"complaint": None},
}
UNREADABLE = [None, "", "31.06.2023", "yesterday", "0001-01-01", "2099-01-01"]

_day = st.one_of(st.integers(0, 6), st.integers(0, 6), st.none())
_consent = st.fixed_dictionaries(
    {
        "channel": st.sampled_from([*CHANNEL_WORDS, "email", "email"]),
        "purpose": st.sampled_from([*PURPOSE_WORDS, "marketing", "marketing", "marketing"]),
        "granted": st.one_of(st.sampled_from(GRANTED), st.sampled_from(NOT_GRANTED)),
        "day": _day,
        "unreadable": st.sampled_from(UNREADABLE),
    }
)
_event = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(list(EVENT_WORDS)),
        "channel": st.sampled_from([None, "", "email", "SMS ", "Kanal 7"]),
        "day": _day,
        "unreadable": st.sampled_from(UNREADABLE),
    }
)
customers = st.lists(
    st.tuples(st.lists(_consent, max_size=5), st.lists(_event, max_size=1)),
    min_size=20,
    max_size=20,
)


def written(row):
    """The row's date as the shop writes it."""
    return row["unreadable"] if row["day"] is None else str(FIRST + timedelta(days=row["day"]))


def refusals(consents, events, purpose):
    """(channel, day, by which word a grant would lift it) of every refusal of the purpose."""
    for row in consents:
        closes, _, word = _channel(row)
        if row["granted"] not in GRANTED and PURPOSE_WORDS[row["purpose"]][0] in (purpose, ALL):
            yield closes, _day_of(row), word if closes == ALL else closes
    for row in events if purpose == "marketing" else ():
        closed = EVENT_WORDS[row["event_type"]]
        if closed is not None:
            named = (row["channel"] or "").strip().lower()
            closes = {"": closed, "kanal 7": ALL}.get(named, named)
            yield closes, _day_of(row), closes


def grants(consents, purpose):
    """(channel that it names or None, day, word) of every grant of the purpose that is clear."""
    for row in consents:
        channel, named, word = _channel(row)
        right = PURPOSE_WORDS[row["purpose"]] == (purpose, True)
        missing = row["channel"] is None or row["day"] is None or row["purpose"] is None
        if row["granted"] in GRANTED and right and not missing:
            yield channel if named else None, row["day"], word


def _channel(row):
    return CHANNEL_WORDS[row["channel"]]


def _day_of(row):
    return math.inf if row["day"] is None else row["day"]


def standing(consents, events, purpose):
    """The refusals that no later grant of the same word has lifted."""
    given = list(grants(consents, purpose))
    for closes, day, word in refusals(consents, events, purpose):
        if not any(same == word and later > day for _, later, same in given):
            yield closes, day


def agreed(consents, events, channel):
    """True, False, or None where nothing is known, for marketing on the channel."""
    given = [day for named, day, _ in grants(consents, "marketing") if named == channel]
    closed = [
        day for closes, day in standing(consents, events, "marketing") if closes in (channel, ALL)
    ]
    if given and max(given) > max(closed, default=-1):
        return True
    return False if closed else None


def objects(consents):
    """Whether a refusal of profiling stands on any channel."""
    return any(True for _ in standing(consents, [], "profiling"))
