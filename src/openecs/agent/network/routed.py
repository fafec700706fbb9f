"""awsvpc on this host: a pause container per task, and a routed veth pair into its namespace.

Needs root, ``ip``, ``nsenter`` and ``nft``.  Everything is idempotent; the pair vanishes with
the pause container's namespace.  What tasks share on the host is ``host``'s business.

Each installation gives out addresses of its own subnets, so those of two installations on one
host may meet.  A host can route an address to one task only: the second one is refused
(``AddressInUseError``), and its control plane's next task gets another address.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from openecs.acs.task_payload import TaskPayload
from openecs.agent.engine import names
from openecs.agent.network import pause_image, published, wiring
from openecs.agent.network.commands import sysctl
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.driver import AddressInUseError, NameServers, NetworkError, TaskConnector, host_name_servers
from openecs.agent.network.host import HostNetwork, remove_interface
from openecs.agent.network.interfaces import Interfaces
from openecs.agent.network.pause_image import ImageImporter
from openecs.agent.runtime.protocol import EngineError, NoSuchContainer, Runtime

_log = structlog.get_logger("openecs.agent")
TOOLS = ("ip", "nsenter", "nft")
_PODMAN_SHARED = "has dependent containers"


def refusal() -> str | None:
    """Why this host cannot run awsvpc tasks, ``None`` when it can."""
    if os.geteuid() != 0:
        return "awsvpc needs the agent to run as root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"awsvpc needs the commands {', '.join(missing)}, which are not installed"
    return None


class RoutedNetwork:
    """The ``NetworkDriver`` of Linux hosts.

    ``name_servers`` knows those of tasks: the host's resolver, where it runs.  ``connect`` serves
    Service Connect to tasks, where the agent does.
    """

    refusal: str | None = None

    def __init__(
        self,
        runtime: Runtime,
        importer: ImageImporter,
        architecture: str,
        host: HostNetwork,
        plane: DataPlane | None = None,
        *,
        name_servers: NameServers = host_name_servers,
        connect: TaskConnector | None = None,
    ) -> None:
        self._runtime = runtime
        self._importer = importer
        self._architecture = architecture
        self._host = host
        self.interfaces = Interfaces(host, plane)
        self._plane = plane
        self._name_servers = name_servers
        self._connect = connect
        self._image = asyncio.Lock()
        self._have_image = False

    async def attach(self, task: TaskPayload, labels: Mapping[str, str]) -> str:
        try:
            plan = wiring.plan(task)
            await self._ensure_image()
            container_id, pid = await self._pause(task, plan, labels)
        except wiring.InterfaceError as error:
            raise NetworkError(str(error)) from None
        except EngineError as error:
            raise NetworkError(f"container resource provisioning: {error.message}") from None
        try:
            await self.interfaces.attach(plan, pid, task.arn)
            self._publish(task, plan)
            if self._connect is not None:
                await self._connect.attach(task, pid)
        except AddressInUseError:
            raise
        except NetworkError as error:
            raise NetworkError(f"container resource provisioning: failed to setup network namespace: {error}") from None
        return f"container:{container_id}"

    async def detach(self, task: TaskPayload) -> None:
        if self._connect is not None:
            await self._connect.detach(task.arn)
        marks = [f"{names.LABEL_TASK_ARN}={task.arn}", f"{names.LABEL_CONTAINER}={names.PAUSE}"]
        for container_id in await self._runtime.list(marks):
            try:
                await self._runtime.remove(container_id)
            except EngineError as error:
                if _PODMAN_SHARED not in error.message:
                    raise
                # Podman keeps it while containers that joined its network exist, ended ones too.
                # Once it has ended the namespace goes; it is removed after them, at the next call.
                await self._runtime.stop(container_id, 0)
        try:
            plan = wiring.plan(task)
        except wiring.InterfaceError:
            return
        await remove_interface(plan, task.arn)
        if self._plane is not None and self._plane.published.release(task.arn):
            self._plane.changed()
        await self.tidy()

    def resume(self, tasks: Iterable[TaskPayload]) -> None:
        """Publish the ports of tasks that run already, and serve them as before."""
        tasks = list(tasks)
        if self._connect is not None:
            self._connect.resume(tasks)
        for task in tasks:
            try:
                self._publish(task, wiring.plan(task))
            except (NetworkError, wiring.InterfaceError) as error:
                _log.warning("a task's ports are not published any more", task=task.arn, error=str(error))

    async def tidy(self) -> None:
        try:
            async with self._host.locked():
                await self._host.tidy()
        except NetworkError as error:
            _log.warning("addresses or firewall rules were left behind", error=str(error))

    def _publish(self, task: TaskPayload, plan: wiring.Wiring) -> None:
        """Have the host's ports that the task asks for lead to it.  Raises ``NetworkError``."""
        ports = published.wanted(task, plan.address)
        if not ports:
            return
        interface = self._plane.interface(plan) if self._plane is not None else None
        if self._plane is None or interface is None or interface.public_address is None:
            raise NetworkError(
                f"the label {published.LABEL} is for tasks with a public address: set assignPublicIp to ENABLED"
            )
        self._plane.published.take(task.arn, ports)
        # What the host sends to its own loopback address leaves by the task's interface.
        sysctl(f"net/ipv4/conf/{plan.host_end}/route_localnet", "1")
        self._plane.changed()

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
        servers = plan.dns or await self._name_servers(plan.address) or await asyncio.to_thread(_host_resolvers)
        hosts = [f"{plan.hostname}:{plan.address}"] if plan.hostname else []
        if task.openecs_connect is not None:
            hosts += dict.fromkeys(f"{alias.name}:{alias.address}" for alias in task.openecs_connect.aliases)
        body = {
            "Image": pause_image.REFERENCE,
            "Hostname": plan.hostname.split(".", 1)[0][:63] if plan.hostname else "",
            "Labels": dict(labels),
            "HostConfig": {
                "NetworkMode": "none",
                "Dns": list(servers),
                "DnsSearch": list(plan.search),
                "ExtraHosts": hosts,
                "LogConfig": _log_config(task),
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


def _host_resolvers() -> tuple[str, ...]:
    try:
        return wiring.resolvers(Path("/etc/resolv.conf").read_text())
    except OSError:
        return ()


def _log_config(task: TaskPayload) -> dict[str, Any]:
    """The log of the task's proxy, which writes through this container: it has nothing to say itself."""
    given = task.openecs_connect.log_config if task.openecs_connect is not None else ""
    if not given:
        return {"Type": "none"}
    log: dict[str, Any] = msgspec.json.decode(given)
    keys = task.execution_role_credentials
    if log.get("Type") == "awslogs" and keys is not None:
        log["Config"] = {**log["Config"], "awslogs-credentials-endpoint": f"/v2/credentials/{keys.credentials_id}"}
    return log
