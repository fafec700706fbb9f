"""``python -m openecs.agent.dns DIRECTORY [--address A --port P]``."""

from __future__ import annotations

import sys

from openecs.agent.dns.process import main

sys.exit(main(sys.argv[1:]))
