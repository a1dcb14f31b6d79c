"""Random histories of consents and preferences, and an oracle in plain Python.

A moment is a number of hours after the date of the plan. Every row has `at` and `loaded`.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pandas as pd
from hypothesis import strategies as st

BEGINS = datetime(2024, 5, 1, tzinfo=UTC)
CUSTOMERS = ["anna", "ben"]
CHANNELS = ["email", "email", " Email", "EMAIL ", "sms"]
HAPPENED = {"consents": "changed_at", "events": "occurred_at", "preferences": "changed_at"}
OFFERS = {"coupon": ("email", "discount"), "poll": ("email", "survey"), "gift": ("sms", "gift")}

_hours = st.sampled_from([-120, -48, -24, -1, 0, 1, 24, 48])
_moment = st.tuples(_hours, st.sampled_from([0, 0, 1, 36])).map(
    lambda pair: {"at": pair[0], "loaded": pair[0] + pair[1]}
)
_customer = {"customer_id": st.sampled_from(CUSTOMERS)}


def _rows(**columns):
    row = st.fixed_dictionaries(_customer | columns)
    return st.lists(st.builds(lambda row, moment: row | moment, row, _moment), max_size=12)


def _first_and_last(rows):
    kept = []
    for row in sorted(rows, key=lambda row: row["at"]):
        same = [one for one in kept if all(one[n] == row[n] for n in ("customer_id", "channel"))]
        if len(same) == 2:
            kept.remove(same[1])
        kept.append(row)
    return kept


consents = _rows(
    channel=st.sampled_from(CHANNELS),
    purpose=st.sampled_from(["marketing", "Marketing", "marketing", "profiling"]),
    granted=st.sampled_from([True, True, False]),
)
events = _rows(
    event_type=st.sampled_from(["unsubscribe", "visit"]),
    channel=st.sampled_from([None, "", "email", "Sms "]),
)
# Of one customer and channel the ledger keeps two moments: when it was told first and last.
withdrawals = _rows(channel=st.sampled_from(["email", "sms"])).map(_first_and_last)
preferences = _rows(
    channel=st.sampled_from([None, "", "email", "Sms"]),
    kind=st.sampled_from([None, "survey", "Discount "]),
    allowed=st.sampled_from([None, True, False, False]),
    max_contacts=st.sampled_from([None, None, 0, 1, 2]),
    cap_days=st.sampled_from([None, 3, 60]),
)
history = st.fixed_dictionaries(
    {
        "consents": consents,
        "events": events,
        "withdrawals": withdrawals,
        "preferences": preferences,
    }
)
contacts = st.lists(
    st.fixed_dictionaries(
        _customer
        | {"offer_id": st.sampled_from([*OFFERS, "old", None]), "days": st.integers(1, 40)}
    ),
    max_size=5,
)


# Somebody else, with whom every table has rows and all its columns.
STRANGER = {
    **{"customer_id": "zoe", "channel": "email", "purpose": "marketing", "granted": True},
    **{"event_type": "visit", "kind": None, "allowed": None, "max_contacts": None},
    **{"cap_days": None, "at": -500, "loaded": -500},
}


def moment(hours):
    return BEGINS + timedelta(hours=hours)


def table(rows, happened):
    """The rows as a shop's own table."""
    frame = pd.DataFrame(rows)
    frame[happened] = pd.to_datetime([moment(hours) for hours in frame.pop("at")], utc=True)
    frame["loaded_at"] = pd.to_datetime([moment(hours) for hours in frame.pop("loaded")], utc=True)
    return frame


# The oracle


def word(text):
    return (text or "").strip().lower()


def newest(rows, *key):
    """For each key the rows of its newest moment."""
    found = defaultdict(list)
    for row in rows:
        found[tuple(word(row[name]) for name in key)].append(row)
    return {
        place: [row for row in here if row["at"] == max(one["at"] for one in here)]
        for place, here in found.items()
    }


def views(rows, hours, *, sending):
    """The rows known at a moment; to send also those that happened by then, and all."""
    known = [row for row in rows if row["at"] < hours and row["loaded"] < hours]
    if not sending:
        return [known]
    return [known, [row for row in rows if row["at"] < hours], rows]


def said(customer, history):
    """The customer's consents, with whatever else refuses, as rows of one form."""
    rows = [row for row in history["consents"] if row["customer_id"] == customer]
    refused = [
        {"channel": word(row["channel"]) or "email", "at": row["at"], "loaded": row["loaded"]}
        for row in history["events"]
        if row["customer_id"] == customer and row["event_type"] == "unsubscribe"
    ]
    refused += [
        {"channel": row["channel"], "at": row["at"], "loaded": row["at"]}
        for row in history["withdrawals"]
        if row["customer_id"] == customer
    ]
    return rows + [row | {"purpose": "marketing", "granted": False} for row in refused]


def live(customer, channel, history, hours, *, sending, required=True):
    """Whether the customer may be sent something on that channel at that moment."""
    answers = []
    for rows in views(said(customer, history), hours, sending=sending):
        last = newest(rows, "channel", "purpose")
        verdicts = {place: all(row["granted"] for row in here) for place, here in last.items()}
        if any(purpose == "profiling" and not yes for (_, purpose), yes in verdicts.items()):
            return False
        answers.append(verdicts.get((channel, "marketing")))
    return False not in answers and (answers[0] is True or not required)


def withdrew(customer, channel, history):
    """Whether the customer told a withdrawal here, and the last word of all is a refusal."""
    reported = [
        row
        for row in history["withdrawals"]
        if (row["customer_id"], row["channel"]) == (customer, channel)
    ]
    last = newest(said(customer, history), "channel", "purpose").get((channel, "marketing"), [])
    return bool(reported) and not all(row["granted"] for row in last)


def wanted(customer, channel, kind, history, hours, *, sending):
    """Whether no "no" stands that a narrower "yes" does not lift."""
    mine = [row for row in history["preferences"] if row["customer_id"] == customer]
    return all(is_wanted(rows, channel, kind) for rows in views(mine, hours, sending=sending))


def is_wanted(rows, channel, kind):
    no, yes = [], []
    saying = [row for row in rows if row["allowed"] is not None or row["max_contacts"] == 0]
    for (on, of), here in newest(saying, "channel", "kind").items():
        if on not in ("", channel) or of not in ("", kind):
            continue
        says = [False if row["max_contacts"] == 0 else row["allowed"] for row in here]
        if False in says:
            no.append((on, of))
        elif True in says:
            yes.append((on, of))
    return all(any(_is_narrower(one, than=place) for one in yes) for place in no)


def _is_narrower(one, *, than):
    pairs = zip(one, than, strict=True)
    return one != than and all(theirs in (mine, "") for mine, theirs in pairs)


def often_enough(customer, channel, kind, history, made):
    """Whether the customer was contacted as often as one of their own limits allows."""
    mine = [row for row in history["preferences"] if row["customer_id"] == customer]
    (known,) = views(mine, 0, sending=False)
    for (on, of), here in newest(known, "channel", "kind").items():
        limits = [row["max_contacts"] for row in here if row["max_contacts"]]
        if not limits or on not in ("", channel) or of not in ("", kind):
            continue
        days = max(row["cap_days"] or 28 for row in here)
        counted = [
            contact
            for contact in made
            if contact["customer_id"] == customer
            and contact["days"] < days
            and _counts(contact["offer_id"], on, of)
        ]
        if len(counted) >= min(limits):
            return True
    return False


def _counts(offer_id, on, of):
    if offer_id not in OFFERS:
        return True
    channel, kind = OFFERS[offer_id]
    return on in ("", channel) and of in ("", kind)
