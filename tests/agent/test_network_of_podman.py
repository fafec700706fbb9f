"""Taking down a task's network on an engine that keeps the container which others joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from agent_payloads import container, task

from openecs.agent.engine.limits import CgroupLimits
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.pause_image import EngineImporter
from openecs.agent.network.routed import RoutedNetwork, refusal
from openecs.agent.network.select import open_network
from openecs.agent.runtime.protocol import EngineError


class KeepingEngine:
    """Podman in the one respect that matters: ``pause`` stays while ``main`` exists."""

    def __init__(self, refusal: str) -> None:
        self.containers = {"pause": "running", "main": "exited"}
        self._refusal = refusal

    async def list(self, labels: Sequence[str] = ()) -> list[str]:
        return [name for name in self.containers if name == "pause"]

    async def stop(self, container_id: str, timeout: int) -> None:  # noqa: ASYNC109
        self.containers[container_id] = "exited"

    async def remove(self, container_id: str) -> None:
        if container_id == "pause" and "main" in self.containers:
            raise EngineError(self._refusal)
        del self.containers[container_id]


def test_a_node_whose_engine_shares_no_name_servers_refuses_awsvpc(tmp_path: Path) -> None:
    engine: Any = KeepingEngine("unused")
    driver = open_network(engine, "x86_64", "/nowhere.sock", tmp_path, shares_name_servers=False)
    # What the host itself lacks is told first.
    assert (refusal() or "name servers") in (driver.refusal or "")


def network(engine: Any, folder: Path) -> RoutedNetwork:
    def no_connection() -> Any:
        raise AssertionError("nothing is imported here")

    return RoutedNetwork(engine, EngineImporter(no_connection), "x86_64", HostNetwork(folder))


async def test_a_container_that_is_still_needed_ends_now_and_goes_later(tmp_path: Path) -> None:
    engine = KeepingEngine("container p has dependent containers which must be removed before it: m")
    payload = task(container())
    await network(engine, tmp_path).detach(payload)
    assert engine.containers == {"pause": "exited", "main": "exited"}
    await engine.remove("main")
    await network(engine, tmp_path).detach(payload)
    assert engine.containers == {}


async def test_the_group_of_podmans_monitor_goes_with_the_tasks(tmp_path: Path) -> None:
    payload = task(container(), cpu=0.5, memory=64)
    limits = CgroupLimits("1", "cgroupfs", tmp_path)
    for controller in ("memory", "pids"):
        (tmp_path / controller / (limits.parent(payload) or "").lstrip("/") / "conmon").mkdir(parents=True)
    await limits.remove(payload)
    assert list(tmp_path.glob("*/ecs/*")) == []


async def test_another_refusal_is_not_swallowed(tmp_path: Path) -> None:
    engine = KeepingEngine("driver failed to remove root filesystem")
    with pytest.raises(EngineError, match="root filesystem"):
        await network(engine, tmp_path).detach(task(container()))
    assert engine.containers["pause"] == "running"
