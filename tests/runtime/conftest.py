"""The runtimes that the contract tests run against: the fake, and the machine's engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from runtime_subject import FAKE_IMAGE, Subject

from openecs.agent.runtime.docker import DockerRuntime, find_endpoint
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import EngineError
from openecs.clock import SystemClock
from openecs.http import HttpClient
from openecs.ids import RandomIds


async def is_podman() -> bool:
    """Whether the machine's engine is Podman's service."""
    client = HttpClient(find_endpoint(None).address)
    try:
        return (await client.request("GET", "/_ping")).header("Libpod-Api-Version") is not None
    finally:
        await client.close()


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "fake":
        fake = FakeRuntime(SystemClock(), RandomIds())
        fake.add_image(FAKE_IMAGE)
        yield Subject(fake, FAKE_IMAGE, real=False)
        await fake.close()
        return
    image = request.getfixturevalue("busybox_image")
    runtime = DockerRuntime(HttpClient(find_endpoint(None).address))
    subject = Subject(runtime, image, real=True, podman=await is_podman())
    yield subject
    for container_id in await runtime.list([f"openecs.test.run={subject.run}"]):
        with suppress(EngineError):  # Podman keeps a container whose network another one shares.
            await runtime.remove(container_id)
    for container_id in await runtime.list([f"openecs.test.run={subject.run}"]):
        await runtime.remove(container_id)
    await runtime.close()
