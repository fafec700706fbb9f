"""awsvpc on this host: a pause container per task, and a routed veth pair into its namespace.

Needs root, ``ip``, ``nsenter`` and ``nft``.  Everything is idempotent; the pair vanishes with
the pause container's namespace.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import structlog

from openecs.acs.messages import TaskPayload
from openecs.agent.engine import names
from openecs.agent.network import pause_image, wiring
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.pause_image import ImageImporter
from openecs.agent.runtime.protocol import EngineError, NoSuchContainer, Runtime

_log = structlog.get_logger("openecs.agent")
TOOLS = ("ip", "nsenter", "nft")


def refusal() -> str | None:
    """Why this host cannot run awsvpc tasks, ``None`` when it can."""
    if os.geteuid() != 0:
        return "awsvpc needs the agent to run as root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"awsvpc needs the commands {', '.join(missing)}, which are not installed"
    return None


class RoutedNetwork:
    """The ``NetworkDriver`` of Linux hosts."""

    refusal: str | None = None

    def __init__(self, runtime: Runtime, importer: ImageImporter, architecture: str) -> None:
        self._runtime = runtime
        self._importer = importer
        self._architecture = architecture
        self._image = asyncio.Lock()
        self._have_image = False
        self._subnets: set[str] = set()

    async def attach(self, task: TaskPayload, labels: Mapping[str, str]) -> str:
        try:
            plan = wiring.plan(task)
            await self._ensure_image()
            container_id, pid = await self._pause(task, plan, labels)
        except wiring.InterfaceError as error:
            raise NetworkError(str(error)) from None
        except EngineError as error:
            raise NetworkError(f"container resource provisioning: {error.message}") from None
        await self._host_once(plan.subnet)
        try:
            if not _exists(plan.host_end):
                await _run(("ip", "-batch", "-"), wiring.make_pair(plan, pid))
            await _run(("ip", "-batch", "-"), wiring.connect_host(plan))
            await _run(("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"), wiring.connect_task(plan))
            _sysctl(f"net/ipv4/conf/{plan.host_end}/rp_filter", "1")
        except NetworkError as error:
            raise NetworkError(f"container resource provisioning: failed to setup network namespace: {error}") from None
        return f"container:{container_id}"

    async def detach(self, task: TaskPayload) -> None:
        marks = [f"{names.LABEL_TASK_ARN}={task.arn}", f"{names.LABEL_CONTAINER}={names.PAUSE}"]
        for container_id in await self._runtime.list(marks):
            await self._runtime.remove(container_id)
        try:
            plan = wiring.plan(task)
        except wiring.InterfaceError:
            return
        if _exists(plan.host_end):
            try:
                await _run(("ip", "link", "delete", plan.host_end), "")
            except NetworkError as error:
                # The kernel takes the pair down with the namespace, perhaps just now.
                _log.debug("interface went away by itself", interface=plan.host_end, error=str(error))

    async def _ensure_image(self) -> None:
        async with self._image:
            if self._have_image:
                return
            if await self._runtime.inspect_image(pause_image.REFERENCE) is None:
                change = f'ENTRYPOINT ["{pause_image.ENTRYPOINT}"]'
                await self._importer.import_image(pause_image.REFERENCE, pause_image.tar(self._architecture), (change,))
            self._have_image = True

    async def _pause(self, task: TaskPayload, plan: wiring.Wiring, labels: Mapping[str, str]) -> tuple[str, int]:
        """The running pause container's id and process id."""
        servers = plan.dns or await asyncio.to_thread(_host_resolvers)
        hosts = [f"{plan.hostname}:{plan.address}"] if plan.hostname else []
        body = {
            "Image": pause_image.REFERENCE,
            "Hostname": plan.hostname.split(".", 1)[0][:63] if plan.hostname else "",
            "Labels": dict(labels),
            "HostConfig": {
                "NetworkMode": "none",
                "Dns": list(servers),
                "DnsSearch": list(plan.search),
                "ExtraHosts": hosts,
                "LogConfig": {"Type": "none"},
            },
        }
        name = names.container_name(task, names.PAUSE)
        try:
            container_id = await self._runtime.create(name, body)
        except NoSuchContainer:
            self._have_image = False  # Somebody removed the image.
            await self._ensure_image()
            container_id = await self._runtime.create(name, body)
        await self._runtime.start(container_id)
        info = await self._runtime.inspect(container_id)
        if not info.pid:
            raise NetworkError(f"container resource provisioning: the pause container does not run: {info.error}")
        return container_id, info.pid

    async def _host_once(self, subnet: str) -> None:
        """What the host needs once for a subnet: forwarding, NAT, and no drop by Docker's rules."""
        if subnet in self._subnets:
            return
        _sysctl("net/ipv4/ip_forward", "1")
        await _run(("nft", "-f", "-"), wiring.masquerade(subnet))
        await _accept_in_docker_user()
        self._subnets.add(subnet)


async def _accept_in_docker_user() -> None:
    """Docker may drop what it does not forward itself; DOCKER-USER is the place to say otherwise."""
    if shutil.which("iptables") is None:
        return
    for direction in ("-i", "-o"):
        rule = ("DOCKER-USER", direction, f"{wiring.PREFIX}+", "-j", "ACCEPT")
        try:
            await _run(("iptables", "-w", "-S", "DOCKER-USER"), "")
        except NetworkError:
            return  # Docker manages no rules here.
        try:
            await _run(("iptables", "-w", "-C", *rule), "")
        except NetworkError:
            await _run(("iptables", "-w", "-I", *rule), "")


def _host_resolvers() -> tuple[str, ...]:
    try:
        return wiring.resolvers(Path("/etc/resolv.conf").read_text())
    except OSError:
        return ()


def _exists(interface: str) -> bool:
    return Path(f"/sys/class/net/{interface}").exists()


def _sysctl(name: str, value: str) -> None:
    path = Path("/proc/sys") / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror}") from None


async def _run(command: tuple[str, ...], script: str) -> None:
    """Run a command with ``script`` as its input; raises ``NetworkError`` with what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await process.communicate(script.encode())
    if process.returncode:
        raise NetworkError(stderr.decode(errors="replace").strip() or f"{command[0]} failed")
