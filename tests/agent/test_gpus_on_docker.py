"""A real engine is asked for GPUs in its own terms; without NVIDIA's toolkit it says that it has none."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task
from agent_process import agent_config, running_agent

from openecs.acs import task_payload as tp
from openecs.agent.runtime.docker import DockerRuntime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        any(map(shutil.which, ("nvidia-container-runtime-hook", "nvidia-ctk"))), reason="this engine can have GPUs"
    ),
]


async def test_a_gpu_is_asked_for_by_its_id(plane: ControlPlaneDouble, busybox_image: str, tmp_path: Path) -> None:
    config = agent_config(
        plane.endpoint, tmp_path, runtime="docker", metadata_bind="127.0.0.1:0", gpus=("GPU-1", "GPU-2")
    )
    association = tp.Association(name="GPU-2", containers=("app",))
    payload = task(
        container(image=busybox_image, command=("true",)), number=RandomIds().hex32(), associations=(association,)
    )
    engine = await open_runtime("docker", None)
    assert isinstance(engine, DockerRuntime)
    try:
        if not (await engine.info()).hands_out_gpus:
            pytest.skip("this engine refuses GPUs at once")
        async with running_agent(config, engine):
            await plane.connected()
            await plane.assign(payload)
            report = await plane.reaches(payload.arn, "STOPPED")
            (app,) = [c for c in report["containers"] if c["containerName"] == "app"]
            assert app["reason"].startswith("CannotStartContainerError: Error response from daemon: ")
            assert 'could not select device driver "nvidia"' in app["reason"]
            found = await engine._api.call("GET", f"/containers/{app['runtimeId']}/json")
            (asked,) = msgspec.json.decode(found.body)["HostConfig"]["DeviceRequests"]
            assert (asked["Driver"], asked["DeviceIDs"], asked["Capabilities"]) == ("nvidia", ["GPU-2"], [["gpu"]])
    finally:
        for container_id in await engine.list([f"com.amazonaws.ecs.task-arn={payload.arn}"]):
            await engine.remove(container_id)
        await engine.close()
