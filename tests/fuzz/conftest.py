"""What all fuzzing shares: the product's log is kept for what it says of its own bugs."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
import structlog


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
