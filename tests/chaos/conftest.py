"""Chaos tests: whole processes that are killed, frozen and started again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Services behind load balancers are made and asked as in the tests on the real engine.
sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))
sys.path.insert(1, str(Path(__file__).parent.parent / "docker"))

from chaos_processes import Cell


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[Cell]:
    """A running control plane and an agent on the fake engine, each a process of its own."""
    with Cell(tmp_path) as running:
        yield running
