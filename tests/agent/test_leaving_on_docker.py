"""What an installation that forgets its tasks leaves on the host: nothing."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from agent_control_plane import ControlPlaneDouble
from agent_installation import Installation, word_at
from agent_process import agent_config, running_agent

from openecs.agent.engine import names
from openecs.agent.leaving import leave
from openecs.agent.network import kernel
from openecs.agent.runtime.select import open_runtime

pytestmark = pytest.mark.docker
SUBNET = "10.231.247"


def in_nat_table() -> bool:
    command = ["nft", "list", "set", "ip", "openecs_agent", "subnets"]
    return SUBNET in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def on_the_host() -> tuple[bool, bool, bool]:
    """Whether there are the task's interface, its gateway and its subnet in the NAT table."""
    return (
        "eni0ae7f70b" in {name for _, name in socket.if_nameindex()},
        f"{SUBNET}.1" in kernel.addresses(),
        in_nat_table(),
    )


async def test_the_network_of_running_tasks_goes_with_them(
    plane: ControlPlaneDouble, busybox_image: str, tmp_path: Path
) -> None:
    engine = await open_runtime("docker", None)
    try:
        async with running_agent(agent_config(plane.endpoint, tmp_path, runtime="docker"), engine):
            await plane.connected()
            payload = await Installation(plane, engine).run(busybox_image, f"{SUBNET}.11", "word")
            await plane.reaches(payload.arn, "RUNNING")
            assert await word_at(f"{SUBNET}.11") == "word"
        # The agent has ended, its tasks have not.
        await leave(tmp_path, "docker", None)
        assert await word_at(f"{SUBNET}.11") == "word"
        assert on_the_host() == (True, True, True)
        await leave(tmp_path, "docker", None, running=True)
        assert await engine.list([f"{names.LABEL_TASK_ARN}={payload.arn}"]) == []
        assert on_the_host() == (False, False, False)
    finally:
        # Nothing is left behind when the test fails half way either.
        await leave(tmp_path, "docker", None, running=True)
        await engine.close()
