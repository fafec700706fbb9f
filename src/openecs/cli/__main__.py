"""``python -m openecs.cli``: the same program as ``openecs``."""

from __future__ import annotations

from openecs.cli.main import main

main()
