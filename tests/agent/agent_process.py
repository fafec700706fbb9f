"""Agents for tests: inside the test's own process, or as processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from openecs.agent.config import ACCESS_KEY_ID, SECRET_KEY, AgentConfig
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.main import run_agent
from openecs.agent.runtime.protocol import Runtime


def agent_config(endpoint: str, data_dir: Path, **members: Any) -> AgentConfig:
    members.setdefault("runtime", "fake")
    members.setdefault("metadata_bind", None)
    return AgentConfig(
        endpoint=endpoint,
        region="us-east-1",
        access_key_id="AKIAEXAMPLE",
        secret_key="secret",
        data_dir=str(data_dir),
        **members,
    )


@asynccontextmanager
async def running_agent(config: AgentConfig, runtime: Runtime | None) -> AsyncIterator[TaskEngine]:
    """An agent that is registered; leaving cuts it off where it stands."""
    ready: asyncio.Future[TaskEngine] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        agent = group.create_task(run_agent(config, runtime=runtime, on_ready=ready.set_result))
        done, _ = await asyncio.wait({agent, ready}, return_when=asyncio.FIRST_COMPLETED)
        if agent in done:
            agent.result()
        try:
            yield ready.result()
        finally:
            agent.cancel()


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
