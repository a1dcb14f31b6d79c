"""Texts of CSV files that no spreadsheet runs as a formula, and the same texts read back.

A text that would begin a formula gets an apostrophe before it. So does one that begins with
apostrophes before such a text: taking one apostrophe off then always gives back what was written,
`=x` from `'=x` and `'=x` from `''=x`.
"""

from __future__ import annotations

from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["begins_formula", "guarded", "unguarded"]

Texts: TypeAlias = "pa.Array | pa.ChunkedArray"

# Signs that begin a formula, also as wide, small or raised ones, which some programs take for them.
_SIGNS = r"=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}"
_RAISED = r"\x{207A}\x{207B}\x{207C}\x{208A}\x{208B}\x{208C}\x{2212}"
# What is not seen before such a sign: spaces, breaks, controls, marks, letters without a shape.
_UNSEEN = r"\pZ\pC\pM\x{115F}\x{1160}\x{3164}\x{FFA0}\x{2800}"
_FORMULA = rf"(?:[\t\r\n\x00]|[{_UNSEEN}]*[{_SIGNS}{_RAISED}])"
_GUARDED = rf"^'+{_FORMULA}"
_NEEDS_GUARD = rf"^'*{_FORMULA}"


def begins_formula(texts: Texts) -> Texts:
    """Whether each text would begin a formula in a spreadsheet, or looks like a guarded one.

    >>> begins_formula(pa.array(["=1+1", " +49", "'=x", "anna", "'twas"])).to_pylist()
    [True, True, True, False, False]
    """
    return pc.match_substring_regex(texts, _NEEDS_GUARD)


def guarded(texts: Texts) -> Texts:
    """The texts, an apostrophe before those that would begin a formula.

    >>> guarded(pa.array(["=1+1", "'=x", "anna"])).to_pylist()
    ["'=1+1", "''=x", 'anna']
    """
    return pc.if_else(begins_formula(texts), pc.binary_join_element_wise("'", texts, ""), texts)


def unguarded(texts: Texts) -> Texts:
    """The texts as they were before `guarded`.

    >>> unguarded(pa.array(["'=1+1", "''=x", "anna", "'twas"])).to_pylist()
    ['=1+1', "'=x", 'anna', "'twas"]
    """
    without = pc.utf8_slice_codeunits(texts, 1)
    return pc.if_else(pc.match_substring_regex(texts, _GUARDED), without, texts)
