"""The rows of a benchmark and the table that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("measure", "floor or peer", "its value", "ours", "ratio", "goal", "")


@dataclass(frozen=True)
class Row:
    """One measured figure beside what it is judged by.

    ``ratio`` is ours over the floor's or peer's.  ``goal`` is in words, ``ok`` whether it is met.
    """

    measure: str
    peer: str
    peer_value: str
    ours: str
    ratio: float
    goal: str
    ok: bool

    @property
    def verdict(self) -> str:
        return "ok" if self.ok else "short"

    def cells(self) -> tuple[str, ...]:
        """What the table shows, in the order of ``HEAD``."""
        return (self.measure, self.peer, self.peer_value, self.ours, _ratio(self.ratio), self.goal, self.verdict)


def text_table(rows: Sequence[Row]) -> str:
    """The rows as aligned columns for a terminal."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown_table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [_markdown(HEAD), _markdown(["---"] * len(HEAD)), *(_markdown(row.cells()) for row in rows)]
    return "\n".join(lines)


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ratio(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
