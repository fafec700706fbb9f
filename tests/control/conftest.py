"""What most tests of controllers begin with: virtual time and a small installation in it."""

from __future__ import annotations

import pytest
from control_kit import World

from openecs.control.virtual_time import VirtualTime


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def world(time: VirtualTime) -> World:
    return World(time)
