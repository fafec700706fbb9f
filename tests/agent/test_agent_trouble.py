"""Engines that are contrary: ports that are gone, kills that are not confessed, pulls that fail."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent

from openecs.acs import link
from openecs.acs import task_payload as tp
from openecs.agent.engine.ports import conflict
from openecs.agent.engine.task_machine import OUT_OF_MEMORY, PORT_TRIES
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import ContainerInfo, Event
from openecs.clock import SystemClock
from openecs.ids import RandomIds
from openecs.shapes import ecs


class Rivals(FakeRuntime):
    """Others publish a container's host ports just before it starts, as often as told."""

    rivals = 0

    async def start(self, container_id: str) -> None:
        body = self._containers[container_id].body
        if self.rivals and "rival" not in (body.get("Labels") or {}):
            self.rivals -= 1
            labels: Mapping[str, Any] = {"Labels": {"rival": str(self.rivals)}}
            await super().start(await self.create(f"rival-{self.rivals}", {**body, **labels}))
        await super().start(container_id)


@pytest.fixture
def rivals() -> Rivals:
    return Rivals(SystemClock(), RandomIds())


DYNAMIC = tp.PortMapping(container_port=80)


async def test_a_dynamic_port_that_somebody_takes_is_replaced(
    plane: ControlPlaneDouble, rivals: Rivals, tmp_path: Path
) -> None:
    rivals.rivals = PORT_TRIES - 1
    async with running_agent(agent_config(plane.endpoint, tmp_path), rivals):
        await plane.connected()
        await plane.assign(task(container(port_mappings=(DYNAMIC,)), network_mode="bridge"))
        report = await plane.reaches(task_arn(1), "RUNNING")
        (change,) = report["containers"]
        published = [p.host_port for p in (await rivals.inspect(change["runtimeId"])).ports]
        assert [b["hostPort"] for b in change["networkBindings"]] == published[:1]
        assert len(await rivals.list(["rival"])) == PORT_TRIES - 1
        assert len(await rivals.list(["com.amazonaws.ecs.task-arn"])) == 1


async def test_a_task_whose_every_choice_is_taken_fails_with_the_engines_text(
    plane: ControlPlaneDouble, rivals: Rivals, tmp_path: Path
) -> None:
    rivals.rivals = 100
    async with running_agent(agent_config(plane.endpoint, tmp_path), rivals):
        await plane.connected()
        await plane.assign(task(container(port_mappings=(DYNAMIC,)), network_mode="bridge"))
        report = await plane.reaches(task_arn(1), "STOPPED")
    reason = report["containers"][-1]["reason"]
    assert reason.startswith("CannotStartContainerError: Error response from daemon: driver failed programming")
    assert reason.endswith("port is already allocated")
    assert len(await rivals.list(["rival"])) == PORT_TRIES


async def test_a_port_that_the_task_names_is_not_replaced(
    plane: ControlPlaneDouble, rivals: Rivals, tmp_path: Path
) -> None:
    rivals.rivals = 100
    named = tp.PortMapping(container_port=81, host_port=40081)
    async with running_agent(agent_config(plane.endpoint, tmp_path), rivals):
        await plane.connected()
        await plane.assign(task(container(port_mappings=(named,)), network_mode="bridge"))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert "40081" in report["containers"][-1]["reason"]
    assert len(await rivals.list(["rival"])) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("driver failed (ab12:34): Bind for 0.0.0.0:32768 failed: port is already allocated", True),
        ("Error starting userland proxy: listen tcp4 0.0.0.0:32768: bind: address already in use", True),
        ("Error starting userland proxy: listen tcp6 [::]:32768: bind: address already in use", True),
        ("failed to bind host port for 0.0.0.0:32768:172.17.0.2:80/tcp: address already in use", True),
        ("Bind for 0.0.0.0:40081 failed: port is already allocated", False),
        ("Bind for 0.0.0.0:32768 failed: something else", False),
        ("address already in use", False),
    ],
)
def test_which_refusals_are_about_a_port_that_the_agent_chose(text: str, expected: bool) -> None:
    mappings = [DYNAMIC, tp.PortMapping(container_port=81, host_port=40081)]
    bindings = [
        ecs.NetworkBinding(container_port=80, host_port=32768, protocol="tcp"),
        ecs.NetworkBinding(container_port=81, host_port=40081, protocol="tcp"),
    ]
    assert conflict(text, mappings, bindings) is expected


class Forgetful(FakeRuntime):
    """An engine that forgets OOMKilled; its event comes after the end, or never."""

    late_event = True

    async def inspect(self, container_id: str) -> ContainerInfo:
        info = await super().inspect(container_id)
        return ContainerInfo(**{**{f: getattr(info, f) for f in info.__struct_fields__}, "oom_killed": False})

    def _announce(self, container: Any, action: str, **members: Any) -> None:
        if action != "oom":
            super()._announce(container, action, **members)
        if action == "die" and members.get("exit_code") == 137 and self.late_event:
            self._after(0.05, lambda: self._say_oom(container))

    def _say_oom(self, container: Any) -> None:
        self._feed.publish(
            Event(action="oom", container_id=container.id, time=self._clock.now(), labels=container.labels)
        )


@pytest.mark.parametrize("late_event", [True, False])
async def test_a_kill_for_memory_that_the_engine_forgot_is_known_by_its_event(
    plane: ControlPlaneDouble, tmp_path: Path, late_event: bool
) -> None:
    engine = Forgetful(SystemClock(), RandomIds())
    engine.late_event = late_event
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("oom",))))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert report["containers"][-1]["exitCode"] == 137
    assert report["containers"][-1].get("reason") == (OUT_OF_MEMORY if late_event else None)


async def test_a_container_that_we_kill_was_not_killed_for_its_memory(
    plane: ControlPlaneDouble, tmp_path: Path
) -> None:
    engine = Forgetful(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, tmp_path, stop_timeout=0), engine):
        await plane.connected()
        await plane.assign(task(container(command=("ignore-term",))))
        await plane.reaches(task_arn(1), "RUNNING")
        await plane.stop(task_arn(1))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert report["containers"][-1]["exitCode"] == 137
    assert "reason" not in report["containers"][-1]


async def test_a_pull_that_failed_began_and_ended(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), FakeRuntime(SystemClock(), RandomIds())):
        await plane.connected()
        await plane.assign(task(container(image="nowhere/missing:1")))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert report["containers"][0]["reason"].startswith("CannotPullContainerError: ")
    assert report["pullStoppedAt"] >= report["pullStartedAt"]
    assert "executionStoppedAt" not in report


async def test_a_deregistered_instance_comes_back_with_its_cluster(
    plane: ControlPlaneDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "INACTIVE_PAUSE", 0.01)
    plane.refuse_acs = '{"InactiveInstanceException":"The container instance is deregistered."}'
    async with running_agent(agent_config(plane.endpoint, tmp_path), FakeRuntime(SystemClock(), RandomIds())):
        await plane.until(lambda: sum("/acs/" in path for path in plane.refused) >= 3)
        plane.refuse_acs = None
        await plane.connected()
    # It did not register anew: whoever deregistered it meant that.
    assert sum(name == "RegisterContainerInstance" for name, _ in plane.calls) == 1
