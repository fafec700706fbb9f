"""Renews the measured part of a page, between two markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from table import Row, markdown_table

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"


def write(page: Path, rows: Sequence[Row], machine: Sequence[tuple[str, str]]) -> None:
    """Replace what is between the markers of ``page`` by the table and the machine's facts."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no part between {BEGIN} and {END}")
    facts = "\n".join(f"* {name}: {value}" for name, value in machine)
    page.write_text(f"{before}{BEGIN}\n\n{markdown_table(rows)}\n\n{facts}\n\n{END}{after}")
