"""The judgement as files: every figure, every picture."""

from __future__ import annotations

from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.pictures import pictures

__all__ = ["judgement_files"]


def judgement_files(judgement: Judgement) -> dict[str, bytes]:
    """`judgement.json` and the pictures: names within a folder, and what they hold."""
    return {"judgement.json": judgement.to_json().encode(), **pictures(judgement)}
