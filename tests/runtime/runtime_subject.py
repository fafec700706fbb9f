"""The runtime that a contract test runs against, with what such tests need again and again."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from openecs.agent.runtime.protocol import ContainerInfo, Runtime

FAKE_IMAGE = "openecs-test/busybox:latest"
#: A shell that ends with 5 when asked to, and is healthy once it would.
OBEDIENT = "trap 'exit 5' TERM; touch /tmp/ready; while :; do sleep 0.1; done"
STUBBORN = "trap '' TERM; touch /tmp/ready; while :; do sleep 0.1; done"
PROBE_READY = {"Test": ["CMD-SHELL", "test -e /tmp/ready"], "Interval": 100_000_000, "Retries": 3}


class Subject:
    """A runtime under test, and what differs between a real engine and the fake."""

    def __init__(self, runtime: Runtime, image: str, *, real: bool, podman: bool = False) -> None:
        self.runtime = runtime
        self.image = image
        self.real = real
        #: Podman has words of its own, and does some things in another way.
        self.podman = podman
        self.run = uuid.uuid4().hex[:12]

    def name(self, suffix: str) -> str:
        return f"openecs-contract-{self.run}-{suffix}"

    def body(self, *command: str, labels: dict[str, str] | None = None, **members: Any) -> dict[str, Any]:
        return {
            "Image": self.image,
            "Cmd": list(command),
            "Labels": {"openecs.test.run": self.run, **(labels or {})},
            **members,
        }

    async def create(self, suffix: str, *command: str, labels: dict[str, str] | None = None, **members: Any) -> str:
        return await self.runtime.create(self.name(suffix), self.body(*command, labels=labels, **members))

    async def needs_health_checks(self) -> None:
        """Skip the test on an engine that runs none, such as Podman without systemd."""
        if not (await self.runtime.info()).runs_health_checks:
            pytest.skip("this engine runs no health checks here")

    async def when(self, container_id: str, condition: Callable[[ContainerInfo], bool]) -> ContainerInfo:
        """The container's state once it satisfies the condition."""
        last: ContainerInfo | None = None
        try:
            async with asyncio.timeout(30):
                while True:
                    last = await self.runtime.inspect(container_id)
                    if condition(last):
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"the condition was never met; the last state was {last}")
