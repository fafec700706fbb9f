"""GPUs of a host: found, registered, and given to the containers that they were assigned to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent
from test_claimed_log_drivers import INFO
from test_metadata_routes import running

from openecs.acs import task_payload as tp
from openecs.agent import gpus
from openecs.agent.engine import container_body
from openecs.agent.runtime.fake import FakeRuntime
from openecs.clock import SystemClock
from openecs.errors import OperatorError
from openecs.ids import RandomIds

DOCKER = msgspec.structs.replace(INFO, hands_out_gpus=True)
LISTING = """\
GPU 0: Tesla T4 (UUID: GPU-11111111-2222-3333-4444-555555555555)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-66666666-7777-8888-9999-000000000000)
  MIG 1g.5gb      Device  0: (UUID: MIG-aaaaaaaa-2222-3333-4444-555555555555)
"""
IDS = ("GPU-11111111-2222-3333-4444-555555555555", "GPU-66666666-7777-8888-9999-000000000000")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path / "bin", monkeypatch)


class Host:
    """A host on whose path there are only the programs that a test puts there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))

    def has(self, name: str, script: str = "exit 1") -> None:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def has_gpus(self) -> None:
        self.has("nvidia-smi", f"case \"$1\" in -L) echo '{LISTING}' ;; *) echo 550.54.15; echo 550.54.15 ;; esac")


def associated(*gpus: tuple[str, str], kind: str = "gpu") -> tuple[tp.Association, ...]:
    return tuple(tp.Association(name=gpu, containers=(name,), type=kind) for gpu, name in gpus)


async def test_the_tool_tells_which_there_are(host: Host) -> None:
    host.has_gpus()
    host.has("nvidia-container-runtime-hook")
    assert await gpus.find(None, DOCKER) == gpus.HostGpus(IDS, "550.54.15")


async def test_a_host_without_the_tool_has_none(host: Host) -> None:
    assert await gpus.find(None, DOCKER) == gpus.HostGpus()
    host.has("nvidia-smi", "echo NVIDIA-SMI has failed because it could not communicate with the driver; exit 9")
    assert await gpus.find(None, DOCKER) == gpus.HostGpus()


async def test_gpus_that_the_engine_could_not_give_away_are_not_offered(host: Host) -> None:
    host.has_gpus()
    assert (await gpus.find(None, DOCKER)).ids == ()  # no container toolkit
    host.has("nvidia-ctk")
    assert (await gpus.find(None, DOCKER)).ids == IDS
    assert (await gpus.find(None, INFO)).ids == ()
    with pytest.raises(OperatorError, match="GPU-9"):
        await gpus.find(["GPU-9"], INFO)


async def test_the_operator_may_name_them_or_offer_none(host: Host) -> None:
    host.has_gpus()
    assert await gpus.find([IDS[1]], DOCKER) == gpus.HostGpus((IDS[1],), "550.54.15")
    assert await gpus.find([], DOCKER) == gpus.HostGpus()
    assert await gpus.find(None, DOCKER, real=False) == gpus.HostGpus()
    assert await gpus.find(["x"], DOCKER, real=False) == gpus.HostGpus(("x",))


def body(payload: tp.TaskPayload, name: str, **members: Any) -> dict[str, Any]:
    (found,) = [c for c in payload.containers if c.name == name]
    return container_body.build(payload, found, container_body.BodyInputs(labels={}, environment={}, **members))


def test_docker_is_asked_for_exactly_these() -> None:
    payload = task(
        container("a", environment={"NVIDIA_VISIBLE_DEVICES": "all"}), container("b"),
        associations=associated(("GPU-1", "a"), ("GPU-2", "a")),
    )  # fmt: skip
    asked = body(payload, "a")
    assert asked["HostConfig"]["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}
    ]
    assert asked["Env"] == ["NVIDIA_VISIBLE_DEVICES=GPU-1,GPU-2"]
    other = body(payload, "b")
    assert "DeviceRequests" not in other["HostConfig"]
    assert other["Env"] == []


@pytest.mark.parametrize(
    "associations",
    [associated(("eia-1", "app"), kind="elastic-inference"), (tp.Association(name="GPU-1", containers=("app", "b")),)],
)
def test_other_devices_are_not_left_out_silently(associations: tuple[tp.Association, ...]) -> None:
    with pytest.raises(container_body.DockerConfigError, match="cannot be given"):
        body(task(associations=associations), "app")


async def test_an_agent_registers_them_and_hands_them_out(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    engine = FakeRuntime(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, tmp_path, gpus=("GPU-1", "GPU-2")), engine):
        await plane.connected()
        _, request = plane.calls[0]
        assert request["platformDevices"] == [{"id": "GPU-1", "type": "GPU"}, {"id": "GPU-2", "type": "GPU"}]
        await plane.assign(task(container("a"), container("b"), associations=associated(("GPU-2", "b"))))
        report = await plane.reaches(task_arn(1), "RUNNING")
        found = {c["containerName"]: engine.gpus(c["runtimeId"]) for c in report["containers"]}
        assert found == {"a": (), "b": ("GPU-2",)}


async def test_an_agent_without_gpus_registers_none(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), FakeRuntime(SystemClock(), RandomIds())):
        await plane.connected()
    assert "platformDevices" not in plane.calls[0][1]


async def test_programs_can_ask_which_they_have(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    payload = task(container("a"), container("b"), associations=associated(("GPU-1", "a"), ("GPU-2", "b")))
    async with running(plane, tmp_path, payload) as world:
        base = f"/v4/{world.token(1, 'a')}/associations"
        assert await world.get(f"{base}/gpu") == {"Associations": ["GPU-1"]}
        assert await world.get(f"{base}/elastic-inference") == {"Associations": []}
        answer = await world.ask(f"{base}/gpu/GPU-1")
        assert (answer.status, answer.body) == (200, b"")
        answer = await world.ask(f"{base}/gpu/GPU-2")
        assert answer.status == 400
        assert "association name GPU-2" in json.loads(answer.body)
