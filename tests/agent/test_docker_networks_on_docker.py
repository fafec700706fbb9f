"""awsvpc tasks beside containers in Docker's own networks: what Docker closes stays closed."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_installation import installation, word_at

from openecs.agent.runtime.docker import DockerRuntime
from openecs.agent.runtime.select import open_runtime
from openecs.ids import RandomIds

pytestmark = pytest.mark.docker
ADDRESS = "10.231.246.11"


class Networks:
    """Containers in user-made networks, each serving its name on port 80."""

    def __init__(self, engine: DockerRuntime, image: str) -> None:
        self.engine = engine
        self._image = image
        self._suffix = RandomIds().hex32()[:12]
        self.containers: dict[str, str] = {}
        self._networks: list[str] = []

    async def network(self, name: str, *, internal: bool) -> str:
        body = {"Name": f"{name}-{self._suffix}", "Internal": internal}
        await self.engine._api.call("POST", "/networks/create", body=body)
        self._networks.append(body["Name"])  # type: ignore[arg-type]
        return str(body["Name"])

    async def serve(self, name: str, network: str, *, published: bool = False) -> None:
        host: dict[str, Any] = {"NetworkMode": network}
        if published:
            host["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": ""}]}
        command = ["sh", "-c", f"echo {name} > /www/index.html; exec httpd -f -p 80 -h /www"]
        body = {"Image": self._image, "Cmd": command, "ExposedPorts": {"80/tcp": {}}, "HostConfig": host}
        self.containers[name] = await self.engine.create(f"{name}-{self._suffix}", body)
        await self.engine.start(self.containers[name])

    async def address(self, name: str) -> str:
        return next(iter((await self.engine.inspect(self.containers[name])).addresses.values()))

    async def remove(self) -> None:
        for container_id in self.containers.values():
            await self.engine.remove(container_id)
        for name in self._networks:
            await self.engine._api.call("DELETE", f"/networks/{name}")


@asynccontextmanager
async def networks(image: str) -> AsyncIterator[Networks]:
    engine = await open_runtime("docker", None)
    assert isinstance(engine, DockerRuntime)
    made = Networks(engine, image)
    try:
        yield made
    finally:
        await made.remove()
        await engine.close()


async def fetched_by(pid: int, where: str) -> str | None:
    """What the process's network gets from ``address[:port]``, ``None`` when nothing answers there."""
    wget = ("timeout", "3", "/bin/busybox", "wget", "-q", "-O-", f"http://{where}/")
    command = ("nsenter", f"--net=/proc/{pid}/ns/net", *wget)
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 124), done
    return done.stdout.strip() if done.returncode == 0 else None


async def test_tasks_reach_what_docker_publishes_and_nothing_else_of_its_networks(
    busybox_image: str, tmp_path: Path
) -> None:
    async with networks(busybox_image) as docker, installation(tmp_path) as one:
        closed = await docker.network("closed", internal=True)
        opened = await docker.network("opened", internal=False)
        await docker.serve("internal", closed)
        await docker.serve("hidden", opened)
        await docker.serve("published", opened, published=True)
        await docker.serve("default", "bridge", published=True)
        addresses = {name: await docker.address(name) for name in docker.containers}
        for name, address in addresses.items():
            assert await word_at(address) == name

        payload = await one.run(busybox_image, ADDRESS, "task")
        report = await one.plane.reaches(payload.arn, "RUNNING")
        assert await word_at(ADDRESS) == "task"
        task = (await docker.engine.inspect(report["containers"][0]["runtimeId"])).pid

        for name in ("published", "default"):
            info = await docker.engine.inspect(docker.containers[name])
            port = next(port.host_port for port in info.ports if ":" not in port.host_ip)
            assert await fetched_by(task, f"10.231.246.1:{port}") == name
            # Containers of Docker's networks get out as ever, to tasks too.
            assert await fetched_by(info.pid, ADDRESS) == "task"
        closed_doors = await asyncio.gather(*(fetched_by(task, addresses[name]) for name in ("internal", "hidden")))
        assert closed_doors == [None, None]

        await one.plane.stop(payload.arn)
        await one.plane.reaches(payload.arn, "STOPPED")
