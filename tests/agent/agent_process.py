"""An agent inside the test's own process: started, stopped, and crashed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from openecs.agent.config import AgentConfig
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
