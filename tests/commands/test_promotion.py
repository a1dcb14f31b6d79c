"""The champion and its history change in one step; the loser of a race gets an error."""

import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.commands.model_store import ModelStore, line_of_champions
from churn.errors import BusyError, ModelError
from churn.storage.ledger import Ledger
from churn.storage.records import Promotion


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    return ModelStore(tmp_path / "models", "models")


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.start_run("models", run_id="run-1")
        yield ledger


def promote(folder, ledger, model_id, *, expected, cause="promotion", reason=None):
    folder.promote(ledger, model_id, expected=expected, run_id="run-1", cause=cause, reason=reason)


def test_a_promotion_is_recorded_with_its_time(folder, ledger):
    promote(folder, ledger, "m-1", expected=None, reason="first")
    assert folder.champion == "m-1"
    (move,) = ledger.promotions("models")
    assert (move.model_id, move.previous, move.reason) == ("m-1", None, "first")
    assert move.promoted_at.tzinfo is not None


def test_a_late_promotion_is_an_error_and_not_recorded(folder, ledger):
    """Fault 34."""
    promote(folder, ledger, "m-1", expected=None)
    with pytest.raises(
        BusyError, match=r"must still contain nothing.*got 'm-1'|got 'm-1'\. Another"
    ):
        promote(folder, ledger, "m-2", expected=None)
    assert folder.champion == "m-1"
    assert [move.model_id for move in ledger.promotions("models")] == ["m-1"]


def test_of_two_simultaneous_promotions_one_wins_and_the_other_is_an_error(
    folder, ledger, tmp_path
):
    """Fault 34: both have read the same champion before either replaces it."""
    promote(folder, ledger, "m-1", expected=None)
    together = threading.Barrier(2)
    won, lost = [], []

    def race(name):
        with Ledger(tmp_path / "ledger.db") as own:
            together.wait(30)
            try:
                promote(folder, own, name, expected="m-1")
                won.append(name)
            except BusyError as failure:
                lost.append(str(failure))

    racers = [threading.Thread(target=race, args=(name,)) for name in ("m-2", "m-3")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert (len(won), len(lost)) == (1, 1)
    assert folder.champion == won[0]
    assert "must still contain 'm-1' to be moved" in lost[0]
    assert f"got '{won[0]}'. Another run has moved it" in lost[0]
    assert [move.model_id for move in ledger.promotions("models")] == ["m-1", won[0]]


def test_folders_of_models_have_histories_of_their_own(folder, ledger, tmp_path):
    (tmp_path / "others").mkdir()
    promote(folder, ledger, "m-1", expected=None)
    promote(ModelStore(tmp_path / "others", "others"), ledger, "m-2", expected=None)
    assert folder.line(ledger) == ["m-1"]
    assert [move.model_id for move in ledger.promotions("others")] == ["m-2"]


def test_repeated_rollbacks_go_further_back(folder, ledger):
    for model_id, before in (("m-1", None), ("m-2", "m-1"), ("m-3", "m-2")):
        promote(folder, ledger, model_id, expected=before)
    for present, wanted in (("m-3", "m-2"), ("m-2", "m-1")):
        assert folder.former(ledger) == wanted
        promote(folder, ledger, wanted, expected=present, cause="rollback")
    with pytest.raises(
        ModelError, match=r"requires a previous champion.*`churn models promote ID`"
    ):
        folder.former(ledger)


def test_a_champion_without_history_can_be_rolled_back_to(folder, ledger):
    (folder.directory / "champion").write_text("m-old\n")
    promote(folder, ledger, "m-1", expected="m-old")
    assert folder.former(ledger) == "m-old"


def test_a_pointer_edited_by_hand_is_part_of_the_history(folder, ledger):
    promote(folder, ledger, "m-1", expected=None)
    (folder.directory / "champion").write_text("m-3\n")
    assert folder.line(ledger) == ["m-1", "m-3"]
    promote(folder, ledger, "m-2", expected="m-3")
    assert folder.line(ledger) == ["m-1", "m-3", "m-2"]


@given(moves=st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=12))
def test_rollbacks_retrace_the_promotions_like_a_stack(moves):
    """Each move is a promotion to a letter, or a rollback if that is possible."""
    record: list[Promotion] = []
    stack: list[str] = []

    def note(name, cause):
        previous = record[-1].model_id if record else None
        record.append(
            Promotion(run_id="r", directory="d", model_id=name, previous=previous, cause=cause)
        )

    for name, back in moves:
        if back and len(stack) > 1:
            stack.pop()
            note(stack[-1], "rollback")
        elif not back and (not stack or stack[-1] != name):
            stack.append(name)
            note(name, "promotion")
    assert line_of_champions(record, stack[-1] if stack else None) == stack


KILLED = """
import os, signal, sys
from pathlib import Path
from churn.storage.ledger import Ledger
from churn.commands.model_store import ModelStore

real = os.replace
def killing(old, new):
    if Path(new).name == "champion":
        if sys.argv[2] == "after":
            real(old, new)
        os.kill(os.getpid(), signal.SIGKILL)
    real(old, new)

home = Path(sys.argv[1])
with Ledger(home / "ledger.db") as ledger:
    run = ledger.start_run("models")
    os.replace = killing
    folder = ModelStore(home / "models", "models")
    move = {"run_id": run, "cause": "promotion", "reason": "it was killed"}
    folder.promote(ledger, "m-2", expected="m-1", **move)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_promotion_is_complete_or_absent(folder, ledger, tmp_path, when):
    promote(folder, ledger, "m-1", expected=None)
    command = [sys.executable, "-c", KILLED, str(tmp_path), when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    moved = when == "after"
    assert folder.champion == ("m-2" if moved else "m-1")
    reasons = [move.reason for move in folder.history(ledger)]
    assert reasons[1:] == (["it was killed"] if moved else [])
    promote(folder, ledger, "m-3", expected=folder.champion, reason="again")
    names = [move.model_id for move in ledger.promotions("models")]
    assert names == (["m-1", "m-2", "m-3"] if moved else ["m-1", "m-3"])
