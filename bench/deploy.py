"""``make bench-deploy``: services, placement and deployments against floors and peers, in one run.

Prints one row per figure.  ``--only scale,swarm`` runs a part; ``--write docs/performance.md``
renews the second table of that page.  Not a test: it says ``short`` and ends with 0.
"""

from __future__ import annotations

import command

PARTS = ("placement", "scale", "services", "rollout", "swarm")

if __name__ == "__main__":
    command.run("Measure services and deployments of OpenECS.", PARTS, section="measured-deploy")
