"""Renews the measured part of a page, between two markers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from table import Row, markdown_table


def write(page: Path, rows: Sequence[Row], machine: Sequence[tuple[str, str]], *, section: str = "measured") -> None:
    """Replace what is between the markers of a section of ``page`` by the table and the machine's facts."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    text = page.read_text()
    before, begins, rest = text.partition(begin)
    _, ends, after = rest.partition(end)
    if not begins or not ends:
        raise SystemExit(f"{page} has no part between {begin} and {end}")
    facts = "\n".join(f"* {name}: {value}" for name, value in machine)
    page.write_text(f"{before}{begin}\n\n{markdown_table(rows)}\n\n{facts}\n\n{end}{after}")
