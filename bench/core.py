"""``make bench-core``: OpenECS against floors and peers, measured side by side in one run.

Prints one row per figure.  ``--only api,growth`` runs a part; ``--write docs/performance.md``
renews the table of that page.  Not a test: it says ``short`` and ends with 0.
"""

from __future__ import annotations

import command

PARTS = ("docker", "cpu", "api", "growth", "idle", "start")

if __name__ == "__main__":
    command.run("Measure OpenECS against floors and peers.", PARTS, section="measured")
