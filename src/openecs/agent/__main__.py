"""``python -m openecs.agent CONFIG.json``."""

from __future__ import annotations

import sys

from openecs.agent.main import main

if __name__ == "__main__":
    sys.exit(main())
