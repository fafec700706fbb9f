"""One control plane without an agent of its own, and two machines that have joined it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# The conformance tests' way to start an installation is also that of these tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))

from conformance_support import Installation
from multihost_machines import machines
from multihost_site import Site, saved_image


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[Site]:
    """Machines ``one`` and ``two`` in the cluster ``multihost`` of a control plane on neither."""
    # Engines leave much behind, and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="openecs-multihost-"))
    try:
        with machines(folder, "one", "two") as (fabric, found):
            image = saved_image(busybox_image)
            for machine in found.values():
                machine.engine.load(image)
            installation = Installation(tmp_path_factory.mktemp("plane"), "--no-agent", "--bind", fabric.address)
            installation.up("--advertise-url", f"http://{fabric.address}:{installation.port}")
            site = Site(installation, fabric, found, busybox_image)
            try:
                for name in found:
                    site.join(name)
                yield site
            finally:
                for agent in site.agents.values():
                    agent.kill()
                installation.down("--keep-tasks")
    finally:
        shutil.rmtree(folder)
