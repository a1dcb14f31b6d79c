"""Rows as an aligned Markdown table."""

from collections.abc import Sequence

__all__ = ["table"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table, its first column left-aligned and every number to the right."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    numeric = [all(_is_number(row[i]) for row in rows) for i in range(len(heads))]
    rule = [
        "-" * (width - 1) + (":" if right else "-")
        for width, right in zip(widths, numeric, strict=True)
    ]
    shown = [_line(line, widths, numeric) for line in lines]
    return "\n".join([shown[0], "| " + " | ".join(rule) + " |", *shown[1:]])


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "| " + " | ".join(padded) + " |"


def _is_number(cell: str) -> bool:
    return not cell or cell[0].isdigit()
