"""The host's Envoy: give it resources, learn whether it took them, and what is in flight.

``apply`` is level-triggered: it is given everything that should be served, and returns when the
running Envoy serves it or has refused parts of it.  The process starts with the first resource
and ends with the last.  Configuration stays on disk, so an Envoy that crashed comes back with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from openecs.agent.edge.envoy_admin import AdminError
from openecs.agent.edge.envoy_bootstrap import render_bootstrap
from openecs.agent.edge.envoy_confirm import Confirmation, confirm
from openecs.agent.edge.envoy_farewell import Farewell, end_connections, farewells
from openecs.agent.edge.envoy_files import XdsFolder
from openecs.agent.edge.envoy_process import EnvoyError, EnvoyProcess
from openecs.agent.edge.envoy_resources import Resources, XdsFile, file_name, list_file, single_file

log = structlog.get_logger()

__all__ = ["Applied", "Envoy", "EnvoyError"]

#: Waits before an Envoy that ended is started again, in seconds; the last one stays.
_BACK_OFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
#: Connections that an earlier form of a listener accepted go on for so long, in seconds; AWS has an hour too.
DRAIN_SECONDS = 3600
#: It counts as well again after this long, in seconds.
_STEADY = 60.0


@dataclass(frozen=True)
class Applied:
    """What came of it."""

    #: Name of each resource that Envoy did not take → what it said.
    rejected: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Everything is served as it was given."""
        return not self.rejected


class Envoy:
    """One Envoy and its folder."""

    def __init__(
        self,
        binary: Path,
        folder: Path,
        *,
        node_id: str = "openecs",
        concurrency: int = 2,
        max_connections: int = 50_000,
        drain_seconds: int = DRAIN_SECONDS,
    ) -> None:
        self._folder = folder
        self._files = XdsFolder(folder / "xds")
        self._process = EnvoyProcess(binary, folder, concurrency=concurrency, drain_seconds=drain_seconds)
        self._bootstrap = render_bootstrap(folder, node_id=node_id, max_connections=max_connections)
        self._lock = asyncio.Lock()
        #: Paths of files that were refused: they are offered again each time.
        self._refused: frozenset[str] = frozenset()
        #: Clusters whose work is connections, not requests.
        self._tcp: frozenset[str] = frozenset()
        self._wanted = asyncio.Event()
        self.admin = self._process.admin

    @property
    def xds(self) -> Path:
        """Folder of its configuration files, which resources name."""
        return self._files.path

    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.alive()

    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid()

    async def adopt(self) -> bool:
        """Take over an Envoy that an earlier agent left running here; whether there was one."""
        async with self._lock:
            if not self._process.alive():
                return False
            await self._process.ensure(self._bootstrap)
            self._wanted.set()
            return True

    async def stop(self) -> None:
        """End the process.  Its files stay until resources are applied again."""
        async with self._lock:
            self._wanted.clear()
            await self._process.stop()

    async def supervise(self) -> None:
        """Start it again whenever it ends though it is wanted.  Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._wanted.wait()
            since = loop.time()
            await self._process.ended()
            if loop.time() - since > _STEADY:
                failures = 0
            async with self._lock:
                if not self._wanted.is_set() or self._process.alive():
                    continue
                await asyncio.sleep(_BACK_OFF[min(failures, len(_BACK_OFF) - 1)])
                failures += 1
                log.warning("envoy_restarted", failures=failures)
                try:
                    await self._process.ensure(self._bootstrap)
                except EnvoyError as error:
                    log.error("envoy_start_failed", problem=str(error))  # noqa: TRY400 -- the sentence is enough

    async def apply(self, resources: Resources) -> Applied:
        """Serve exactly these.  Raises ``EnvoyError`` when no Envoy can be run."""
        async with self._lock:
            self._tcp = frozenset(
                name
                for name, cluster in resources.clusters.items()
                if "typed_extension_protocol_options" not in cluster
            )
            if not resources:
                self._wanted.clear()
                await self._process.stop()
                self._files.write((list_file("listeners", {}), list_file("clusters", {})))
                self._files.prune(())
                self._refused = frozenset()
                return Applied({})
            applied = await self._apply(resources)
            self._wanted.set()
            return applied

    async def _apply(self, resources: Resources) -> Applied:
        secrets = [single_file("secrets", name, found) for name, found in resources.secrets.items()]
        endpoints = [single_file("endpoints", name, found) for name, found in resources.endpoints.items()]
        routes = [single_file("routes", name, found) for name, found in resources.routes.items()]
        listeners = list_file("listeners", resources.listeners)
        clusters = list_file("clusters", resources.clusters)
        # What a route leads to must be there before the route, and go after it.
        wider = list_file("clusters", {**self._files.resources("clusters.json"), **resources.clusters})
        if not self._process.alive():
            everything = (*secrets, *endpoints, clusters, *routes, listeners)
            self._files.write(everything)
            await self._process.ensure(self._bootstrap)
            return self._settle(await confirm(self.admin, self._process.log_file, everything))
        leaving = self._farewells(resources)
        first = await self._offer((*endpoints, wider))
        # Envoy looks at a secret when a listener names it, so both are offered together, the secret's file first.
        second = await self._offer((*secrets, *routes, listeners))
        third = await self._offer((clusters,))
        await end_connections(leaving)
        self._files.prune(file.path for file in (*secrets, *endpoints, *routes))
        return self._settle(first.joined(second).joined(third))

    def _farewells(self, resources: Resources) -> list[Farewell]:
        """Whose connections end with the change from what is on disk to these."""
        found: list[Farewell] = []
        for name, endpoints in resources.endpoints.items():
            old = self._files.resources(file_name("endpoints", name)).get(name, {})
            found += farewells(resources.clusters.get(name, {}), old, endpoints)
        return found

    async def _offer(self, files: tuple[XdsFile, ...]) -> Confirmation:
        mark = _size(self._process.log_file)
        written = self._files.write(files, again=self._refused)
        if not written:
            return Confirmation()
        return await confirm(self.admin, self._process.log_file, written, mark=mark)

    def _settle(self, confirmation: Confirmation) -> Applied:
        self._refused = frozenset(confirmation.files)
        return Applied(confirmation.rejected)

    async def in_flight(self) -> dict[tuple[str, str], int]:
        """``(cluster, address:port)`` → requests in flight, or connections for TCP.

        Raises ``AdminError``.
        """
        found: dict[tuple[str, str], int] = {}
        statuses = await self.admin.json("/clusters?format=json")
        for cluster in statuses.get("cluster_statuses", ()):
            gauge = "cx_active" if cluster["name"] in self._tcp else "rq_active"
            for host in cluster.get("host_statuses", ()):
                socket = host["address"].get("socket_address", {})
                key = (cluster["name"], f"{socket.get('address')}:{socket.get('port_value')}")
                found[key] = sum(int(stat.get("value", 0)) for stat in host["stats"] if stat["name"] == gauge)
        return found

    async def reopen_logs(self) -> None:
        """Have it open the files that it writes to anew; one that does not run has none open."""
        with contextlib.suppress(AdminError):
            await self.admin.post("/reopen_logs")

    async def ready(self) -> bool:
        """Whether it answers."""
        try:
            await self.admin.get("/ready")
        except AdminError:
            return False
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
