"""One installation on the machine's real engine for all tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The conformance tests' way to start an installation is also that of these tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))

from conformance_support import Installation
from docker_world import STAY, World


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, docker_engine: str, busybox_image: str) -> Iterator[World]:
    """A running installation on the machine's engine, with the image that tests run."""
    home = tmp_path_factory.mktemp("world")
    installation = Installation(home, "--runtime", "docker", "--hosts-file", str(home / "hosts"))
    installation.up()
    try:
        yield World(installation, busybox_image)
    finally:
        installation.down()


@pytest.fixture(scope="session", autouse=True)
def long_run(world: World) -> str:
    """A task one of whose containers runs for just over a minute, the least after which ECS restarts it.

    It is started first, so that nobody has to wait that long for it.
    """
    script = "echo run; if test -e /tmp/once; then exit 42; fi; touch /tmp/once; sleep 61; exit 1"
    policy = {"enabled": True, "ignoredExitCodes": [42], "restartAttemptPeriod": 60}
    return world.run(
        world.container("again", script, essential=False, restartPolicy=policy, stopTimeout=2),
        world.container("main", STAY),
    )
