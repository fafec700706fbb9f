"""``make bench-observe``: logs, metrics and what is measured of containers, against floors and peers, in one run.

Prints one row per figure.  ``--only logs`` runs a part; ``--write docs/performance.md`` renews
the table of that page.  Not a test: it says ``short`` and ends with 0.
"""

from __future__ import annotations

from pathlib import Path

import command

#: Every part is a file ``observe_<part>_rows.py`` beside this one.
PARTS = ("logs", "metrics", "alarm", "agent", "awslogs")

if __name__ == "__main__":
    there = tuple(part for part in PARTS if Path(__file__).with_name(f"observe_{part}_rows.py").exists())
    command.run("Measure logs, metrics and alarms of OpenECS.", there, section="measured-observe", prefix="observe_")
