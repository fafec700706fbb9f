"""The resolver's speed alone: ``.venv/bin/python bench/edge_resolver.py``.

``edge_resolver_rows`` has the measurement; ``make bench-edge`` shows its row among the others.
"""

from __future__ import annotations

import command

if __name__ == "__main__":
    command.run("Measure the resolver.", ("edge_resolver",), section="measured-edge")
