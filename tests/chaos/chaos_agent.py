"""The agent on the fake engine as a program that tells what its engine has.

``chaos_agent.py CONFIG.json LISTING.json``: the agent of the product with an engine in memory.
At SIGUSR1 it writes the engine's containers to LISTING: task, container name, id and status of
each.  What a task says of itself is thus compared with what there is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from openecs.agent.config import AgentConfig, load
from openecs.agent.engine import names
from openecs.agent.main import run_agent
from openecs.agent.runtime.fake import FakeRuntime
from openecs.clock import SystemClock
from openecs.ids import RandomIds
from openecs.log import RotatingFile, configure_logging


async def run(config: AgentConfig, listing: Path) -> None:
    runtime = FakeRuntime(SystemClock(), RandomIds())

    def tell() -> None:
        containers: list[dict[str, Any]] = [
            {
                "task": container.labels.get(names.LABEL_TASK_ARN),
                "name": container.labels.get(names.LABEL_CONTAINER),
                "id": container.id,
                "status": container.status,
            }
            for container in runtime._containers.values()
        ]
        fresh = listing.with_suffix(".new")
        fresh.write_text(json.dumps(containers))
        fresh.replace(listing)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
    await run_agent(config, runtime=runtime)


def main() -> None:
    config, listing = Path(sys.argv[1]), Path(sys.argv[2])
    configure_logging(level="info", clock=SystemClock(), file=RotatingFile(listing.with_name("agent.log")))
    asyncio.run(run(load(config, os.environ), listing))


if __name__ == "__main__":
    main()
