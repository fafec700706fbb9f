"""What most tests of the agent begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from agent_control_plane import ControlPlaneDouble


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlaneDouble]:
    async with ControlPlaneDouble() as double:
        yield double
