"""``make bench-core``: OpenECS against floors and peers, measured side by side in one run.

Prints one row per figure.  ``--only api,growth`` runs a part; ``--write docs/performance.md``
renews the table of that page.  Not a test: it says ``short`` and ends with 0.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
import time
from pathlib import Path

from machine import facts
from page import write
from table import Row, text_table

#: In the order of the table; every part is a module with ``measure(folder)``.
PARTS = ("docker", "cpu", "api", "growth", "idle", "start")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure OpenECS against floors and peers.")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of: {','.join(PARTS)}")
    parser.add_argument("--write", type=Path, help="a page whose table is renewed")
    arguments = parser.parse_args()
    machine = facts()
    for name, value in machine:
        print(f"{name}: {value}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="openecs-bench-") as folder:
        for part in arguments.only.split(","):
            if part not in PARTS:
                parser.error(f"no part {part!r}")
            started = time.perf_counter()
            rows += importlib.import_module(f"{part}_rows").measure(Path(folder) / part)
            print(f"[{part}: {time.perf_counter() - started:.0f} s]", flush=True)
    print()
    print(text_table(rows))
    if arguments.write:
        write(arguments.write, rows, machine)


if __name__ == "__main__":
    main()
