"""The page of segments, journey, signals and feedback is what the code declares."""

from pathlib import Path

from churn.analytics.customer_docs import SECTIONS, customer_page
from churn.analytics.segments import SEGMENTS
from churn.analytics.stages import STAGES

PAGE = Path(__file__).parents[2] / "docs" / "segments.md"


def test_the_page_in_docs_is_the_one_that_the_code_makes():
    assert PAGE.read_text(encoding="utf-8") == customer_page() + "\n", "run `make docs`"


def test_every_number_segment_and_stage_has_a_definition():
    text = customer_page()
    for _, _, definitions in SECTIONS:
        for one in definitions.values():
            assert f"| `{one.name}` | {one.unit} | {one.meaning} |" in text
    for name in SEGMENTS:
        assert f"`segment {name}`" in text
    for name in STAGES:
        assert f"`stage {name}`" in text
