"""Waiting for what another thread or process will do."""

import time

import pytest

LONGEST_WAIT_SECONDS = 120  # a second alone, many where others use the machine


def wait_for(condition):
    """Returns once the condition holds; fails if it has not within two minutes."""
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"it did not happen within {LONGEST_WAIT_SECONDS} seconds")
        time.sleep(0.02)
