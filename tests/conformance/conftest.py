"""Whole installations for tests: the real program, started by its own command.

``fake`` has the fake engine and is shared by a test process; ``real`` has the machine's
container engine.  Clients are boto3's and the AWS CLI's, unmodified.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from conformance_support import Installation


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running installation on the fake engine."""
    installation = Installation(tmp_path_factory.mktemp("fake"), "--runtime", "fake")
    installation.up()
    yield installation
    installation.down()


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, docker_engine: str) -> Iterator[Installation]:
    """A running installation on the machine's engine."""
    installation = Installation(tmp_path_factory.mktemp("real"), "--runtime", "docker")
    installation.up()
    yield installation
    installation.down()


@pytest.fixture
def ecs(fake: Installation) -> Any:
    return fake.client("ecs")


@pytest.fixture
def apart(fake: Installation, name: str) -> Any:
    """An ECS client in a region that no other test uses: lists hold only what the test made.

    The machine is in no cluster of it; Fargate tasks run there.
    """
    return fake.client("ecs", name)


@pytest.fixture
def cluster(ecs: Any, name: str) -> str:
    """An empty cluster of the test's own, without container instances."""
    ecs.create_cluster(clusterName=name)
    return name


@pytest.fixture
def name() -> str:
    """A name that no other test uses."""
    return "t" + uuid.uuid4().hex[:12]
