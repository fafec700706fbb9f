from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from logs_client import Logs

from openecs.clock import ManualClock
from openecs.logs.store import LogStore


@pytest.fixture
async def logs() -> AsyncIterator[Logs]:
    clock = ManualClock()
    store = LogStore(None, clock)
    await store.open()
    yield Logs(store, clock)
    await store.close()


@pytest.fixture
async def stream(logs: Logs) -> Logs:
    """The same, with the group ``g`` and the stream ``s``."""
    await logs.CreateLogGroup(log_group_name="g")
    await logs.CreateLogStream(log_group_name="g", log_stream_name="s")
    return logs
