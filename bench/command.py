"""What the benchmark commands share: choosing parts, printing the table, renewing the page."""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from machine import facts
from page import write
from table import Row, text_table


def run(description: str, parts: Sequence[str], *, section: str, prefix: str = "") -> None:
    """The command.  Every part is a module ``<prefix><part>_rows`` with ``measure(folder)``, in the order of the table.

    ``section`` names the markers of the table in a page.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", default=",".join(parts), help=f"parts, of: {','.join(parts)}")
    parser.add_argument("--write", type=Path, help="a page whose table is renewed")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    for part in chosen:
        if part not in parts:
            parser.error(f"no part {part!r}")
    machine = facts()
    for name, value in machine:
        print(f"{name}: {value}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="openecs-bench-") as folder:
        for part in chosen:
            started = time.perf_counter()
            rows += importlib.import_module(f"{prefix}{part}_rows").measure(Path(folder) / part)
            print(f"[{part}: {time.perf_counter() - started:.0f} s]", flush=True)
    print()
    print(text_table(rows))
    if arguments.write:
        write(arguments.write, rows, machine, section=section)
