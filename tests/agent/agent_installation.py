"""Agents on this host's container engine with a control plane each, and what their tasks serve."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task
from agent_process import agent_config, running_agent

from openecs.acs import task_payload as tp
from openecs.agent.engine import names
from openecs.agent.runtime.protocol import Runtime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds


class Installation(NamedTuple):
    plane: ControlPlaneDouble
    engine: Runtime

    async def run(self, image: str, address: str, word: str) -> tp.TaskPayload:
        """Assign an awsvpc task that serves a word on port 80."""
        gateway = address.rpartition(".")[0] + ".1/24"
        serve = f"mkdir /www; echo {word} > /www/index.html; exec httpd -f -p 80 -h /www"
        eni = tp.ElasticNetworkInterface(
            ec2_id="eni-1",
            attachment_arn="arn:aws:ecs:us-east-1:1:attachment/a",
            mac_address="",
            ipv4_addresses=(tp.Ipv4Address(primary=True, private_address=address),),
            subnet_gateway_ipv4_address=gateway,
        )
        payload = task(
            container("app", image, command=("sh", "-c", serve)),
            number=RandomIds().hex32(),
            network_mode="awsvpc",
            elastic_network_interfaces=(eni,),
        )
        await self.plane.assign(payload)
        return payload


@asynccontextmanager
async def installation(data_dir: Path) -> AsyncIterator[Installation]:
    """An agent whose containers are gone afterwards."""
    engine = await open_runtime("docker", None)
    async with ControlPlaneDouble() as plane:
        config = agent_config(plane.endpoint, data_dir, runtime="docker", stop_timeout=1)
        try:
            async with running_agent(config, engine):
                await plane.connected()
                yield Installation(plane, engine)
        finally:
            for body in (body for name, body in plane.calls if name == "RegisterContainerInstance"):
                node = next(a["value"] for a in body["attributes"] if a["name"] == "openecs.node-id")
                for container_id in await engine.list([f"{names.LABEL_NODE}={node}"]):
                    await engine.remove(container_id)
            await engine.close()


async def word_at(address: str) -> str:
    """What the task at the address serves; waits until it does."""

    def read() -> str:
        with socket.create_connection((address, 80), timeout=2) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.makefile().read().rsplit("\n", 2)[1]

    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.to_thread(read)
            except (OSError, IndexError):
                await asyncio.sleep(0.02)
