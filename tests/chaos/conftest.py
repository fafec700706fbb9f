"""Chaos tests: whole processes that are killed, frozen and started again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos_processes import Cell


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    """A running control plane and an agent on the fake engine, each a process of its own."""
    with Cell(tmp_path) as running:
        yield running
