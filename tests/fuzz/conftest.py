"""What all fuzzing shares: how deep it goes, and what the product says of its own bugs.

``OPENECS_SOAK=1`` (which ``make soak`` sets) searches much longer, with other inputs every time;
without it every run tries the same inputs.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

SOAK = os.environ.get("OPENECS_SOAK") == "1"
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example, HealthCheck.filter_too_much]

settings.register_profile("openecs-ci", derandomize=True, deadline=None, database=None, suppress_health_check=_QUIET)
settings.register_profile("openecs-soak", deadline=None, print_blob=True, suppress_health_check=_QUIET)


@pytest.fixture(autouse=True, scope="session")
def _profile() -> None:
    settings.load_profile("openecs-soak" if SOAK else "openecs-ci")


@pytest.fixture(autouse=True, scope="module")
def product_bugs() -> Iterator[list[str]]:
    """Tracebacks that the product logged; tests look here when a call answers 500."""
    found: list[str] = []

    def collect(_: Any, __: str, event: dict[str, Any]) -> Any:
        found.append(f"{event.get('event')} {event.get('operation', '')}\n{traceback.format_exc()}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[collect],
        wrapper_class=structlog.make_filtering_bound_logger(40),
        cache_logger_on_first_use=False,
    )
    yield found
    structlog.configure(**before)
