"""The packet filter and the interfaces of a host alone: ``.venv/bin/python bench/edge_network.py``.

``edge_network_rows`` has the measurement; ``make bench-edge`` shows its rows among the others.
"""

from __future__ import annotations

import command

if __name__ == "__main__":
    command.run("Measure the networks of a host.", ("edge_network",), section="measured-edge")
