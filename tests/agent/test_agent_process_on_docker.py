"""The agent as a process of its own, killed without warning while tasks start and run."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task
from agent_process import agent_config, agent_process

from openecs.acs import task_payload as tp
from openecs.agent.engine import names
from openecs.agent.runtime.protocol import Runtime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds

pytestmark = pytest.mark.docker


async def test_kills_at_any_moment_duplicate_nothing_and_orphan_nothing(
    busybox_image: str, docker_engine: str, tmp_path: Path
) -> None:
    engine: Runtime = await open_runtime("docker", None)
    chance = random.Random(7)
    payloads: list[tp.TaskPayload] = []
    async with ControlPlaneDouble() as plane:
        config = agent_config(plane.endpoint, tmp_path / "data", runtime="docker", cleanup_delay=0.0, stop_timeout=1)
        try:
            for _ in range(5):
                async with agent_process(config, tmp_path) as process:
                    await plane.connected()
                    new = [
                        task(container(image=busybox_image, command=("sleep", "3600")), number=RandomIds().hex32())
                        for _ in range(2)
                    ]
                    payloads += new
                    # As after every connect: all tasks that should run, known ones included.
                    await plane.assign(*payloads)
                    await asyncio.sleep(chance.uniform(0.0, 0.5))
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                await plane.until(lambda: plane.acs is None)
            async with agent_process(config, tmp_path) as process:
                await plane.connected()
                await plane.assign(*payloads)
                for payload in payloads:
                    await plane.reaches(payload.arn, "RUNNING")
                    assert len(await engine.list([f"{names.LABEL_TASK_ARN}={payload.arn}"])) == 1
                for payload in payloads:
                    await plane.stop(payload.arn)
                for payload in payloads:
                    await plane.reaches(payload.arn, "STOPPED")
                async with asyncio.timeout(30):
                    while any([await engine.list([f"{names.LABEL_TASK_ARN}={p.arn}"]) for p in payloads]):
                        await asyncio.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        finally:
            for payload in payloads:
                for container_id in await engine.list([f"{names.LABEL_TASK_ARN}={payload.arn}"]):
                    await engine.remove(container_id)
            await engine.close()


async def test_a_configuration_that_cannot_work_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "agent.json"
    file.write_text('{"endpoint": "ftp://x", "region": "r", "data_dir": "/tmp", "unknown": 1}')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "openecs.agent", str(file), stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.decode().count("\n") == 1
    assert "unknown" in stderr.decode()
