"""The agent as a process of its own, killed without warning while tasks start and run."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task
from agent_process import agent_config

from openecs.acs import messages as m
from openecs.agent.config import ACCESS_KEY_ID, SECRET_KEY, AgentConfig
from openecs.agent.engine import names
from openecs.agent.runtime.protocol import Runtime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds

pytestmark = pytest.mark.docker


@asynccontextmanager
async def agent_process(config: AgentConfig, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python -m openecs.agent``; still running at the end, it is killed."""
    file = folder / "agent.json"
    keyless = msgspec.structs.replace(config, access_key_id="", secret_key="")
    file.write_bytes(msgspec.json.encode(keyless))
    environment = {**os.environ, ACCESS_KEY_ID: config.access_key_id, SECRET_KEY: config.secret_key}
    with (folder / "agent.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "openecs.agent", str(file), stdout=log, stderr=log, env=environment
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kills_at_any_moment_duplicate_nothing_and_orphan_nothing(
    busybox_image: str, docker_engine: str, tmp_path: Path
) -> None:
    engine: Runtime = await open_runtime("docker", None)
    chance = random.Random(7)
    payloads: list[m.TaskPayload] = []
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
