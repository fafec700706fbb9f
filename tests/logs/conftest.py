from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from openecs.clock import ManualClock
from openecs.logs.store import LogStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@asynccontextmanager
async def opened(path: Path | None, clock: ManualClock, **options: int) -> AsyncIterator[LogStore]:
    store = LogStore(path, clock, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def reopen(tmp_path: Path, clock: ManualClock) -> Callable[..., Awaitable[LogStore]]:
    """``async with reopen() as store``: the store of the test's directory, started anew."""
    return lambda **options: opened(tmp_path, clock, **options)


@pytest.fixture(params=["disk", "memory"])
async def store(request, tmp_path: Path, clock: ManualClock) -> AsyncIterator[LogStore]:
    """An open store of either kind: both keep the same promises."""
    async with opened(tmp_path if request.param == "disk" else None, clock, segment_bytes=2000) as store:
        yield store
