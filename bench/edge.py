"""``make bench-edge``: load balancing, networks and names against floors and peers, in one run.

Prints one row per figure.  ``--only proxy,resolver`` runs a part; ``--write docs/performance.md``
renews the third table of that page.  Not a test: it says ``short`` and ends with 0.  Needs root.
"""

from __future__ import annotations

import os
import sys

import command

PARTS = ("proxy", "rollout", "network", "traffic", "resolver", "hosts")

if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("bench: needs root, for network namespaces of its own")
    command.run(
        "Measure load balancing, networks and names of OpenECS.", PARTS, section="measured-edge", prefix="edge_"
    )
