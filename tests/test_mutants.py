"""The faults of `make mutants` can be applied, and their tests exist.

That they are caught takes many minutes, and is looked at by hand.
"""

import pytest
from mutants import MUTANTS, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_every_fault_applies_to_the_code_and_names_existing_tests(mutant):
    text = (ROOT / mutant.file).read_text()
    compile(mutant.planted(text), mutant.file, "exec")
    assert mutant.planted(text) != text
    assert all((ROOT / test).is_file() for test in mutant.tests)


def test_there_are_at_least_twenty_four():
    assert len({mutant.name for mutant in MUTANTS}) >= 24
