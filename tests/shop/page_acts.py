"""Acts of the pages whose commands only note that they were asked for."""

from dataclasses import replace

from churn.serving.dashboard.acts import Acts, Outcome

PLAN_RUN = "page-plan"
LEFT_OUT = {"consent_refused": 5, "expired": 1}


class Performed:
    """What was asked for, in place of the minutes that it takes. `failure` is how it ends."""

    def __init__(self, failure=""):
        self.made, self.failure = [], failure

    def __call__(self, act, *, progress):
        self.made.append((act.kind, act.to or act.budget, act.by, act.run_id))
        if act.kind == "plan":
            worth = {"expected_cost": act.budget, "expected_value": 3 * act.budget}
            return Outcome({"customers_with_offer": 90, **worth})
        sent = act.kind == "send"
        progress("sending: 40 of 84" if sent else "checking consent")
        facts = {"plan_run_id": act.plan_run_id, "campaign_id": "winter", "sent_on": "2018-01-01"}
        facts |= {"offered": 90, "left_out": LEFT_OUT, "to_send": 84, "sent": 84 * sent}
        return Outcome(facts | {"exported": 84}, ("a note of the command",), self.failure)


class Record:
    """The acts of an earlier service, in place of a ledger."""

    def __init__(self, *acts):
        self.acts = {act.key: act for act in acts}

    def find(self, key):
        return self.acts.get(key)

    def newest(self):
        one = {"started_at": "2018-01-01", "by": "anna", "kind": "plan", "to": ""}
        return [{**one, "status": "done", "budget": 5.0, "customers": 9, "run_id": "r"}]


def page_acts(folder, performed, *earlier):
    """The acts of pages whose plan lies in the folder; `earlier` ones are on record."""
    return Acts(
        performed,
        Record(*earlier),
        plan_file=folder / "plan.parquet",
        plan_run_id=lambda: PLAN_RUN,
        transports=["email"],
        audiences=["list", "meta"],
    )


def ended(acts, key):
    """The act with that key, once it has ended."""
    act = acts.find(key)
    while act.state == "running":
        acts._thread.join(10)
        act = acts.find(key)
    return replace(act)
