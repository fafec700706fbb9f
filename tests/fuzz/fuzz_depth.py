"""How deep fuzzing goes: the same short search in every run, or a long one with other inputs.

``OPENECS_SOAK=1`` (which ``make soak`` sets) searches much longer, with other inputs every time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SOAK = os.environ.get("OPENECS_SOAK") == "1"
EXAMPLES = int(os.environ.get("OPENECS_FUZZ_EXAMPLES", "4000" if SOAK else "100"))

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]
#: What every search here is made with.
SEARCH = (
    settings(deadline=None, print_blob=True, suppress_health_check=_QUIET)
    if SOAK
    else settings(derandomize=True, deadline=None, database=None, suppress_health_check=_QUIET)
)
