"""One control plane without an agent of its own, and two machines that have joined it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The conformance tests' way to start an installation is also that of these tests, and the
# client that follows a service is that of the tests with one machine.
sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))
sys.path.insert(1, str(Path(__file__).parent.parent / "docker"))

from multihost_site import Site, opened


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[Site]:
    """Machines ``one`` and ``two`` in the cluster ``multihost`` of a control plane on neither."""
    with opened(tmp_path_factory.mktemp("plane"), busybox_image, "one", "two") as site:
        for name in site.machines:
            site.join(name)
        yield site
