"""Fixtures of the EC2 tests."""

from __future__ import annotations

import pytest
from ec2_kit import Api


@pytest.fixture
def api() -> Api:
    return Api()
