"""The load balancers of this host: documents in, traffic and reports out.

One loop looks at everything that concerns it whenever something has changed, and makes it so:
namespaces, probes, what the proxy serves, reports.  It remembers nothing that it could not find
again, so a restart of the agent changes nothing for those who are being served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerReport,
    ConnectDocument,
    ConnectReport,
    TargetGroupDocument,
    TargetsReport,
    TargetView,
)
from openecs.agent.edge.connect_tasks import ConnectTasks
from openecs.agent.edge.connections import Connections, served
from openecs.agent.edge.draining import Draining, Leaving
from openecs.agent.edge.endpoints import Endpoints, wishes
from openecs.agent.edge.memory import HealthMemory
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.edge.namespaces import Namespaces
from openecs.agent.edge.prober import Aim, Prober
from openecs.agent.edge.proxy import Part, Proxy, ProxyError, Served, Serving
from openecs.agent.edge.routing import Target, routes
from openecs.agent.edge.slow_start import Ramp, ramp
from openecs.agent.edge.sockets import NamespaceSockets
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports
from openecs.agent.network.driver import NetworkError
from openecs.clock import Clock

_log = structlog.get_logger("openecs.agent")
KINDS = ("balancer", "target-group", "certificate", "subnet", "connect")
#: Seconds between looks at what is in flight while something drains, and until a failure is tried again.
LOOK_PAUSE, RETRY_PAUSE = 0.1, 2.0


class EdgeParts(NamedTuple):
    """What the edge is made of."""

    documents: HostDocuments
    reports: HostReports
    proxy: Proxy
    namespaces: Namespaces
    endpoints: Endpoints
    memory: HealthMemory
    sockets: NamespaceSockets
    clock: Clock
    meter: TrafficMeter
    #: Numbers from 0 to 1.
    random: Callable[[], float]
    #: This host; documents name the interfaces of all hosts.  Empty: they name this host's only.
    node_id: str = ""
    #: Tasks with a part in Service Connect; ``None``: there are none.
    connect: ConnectTasks | None = None


class Edge:
    """Runs until cancelled.  What it has made stays then, for the next agent."""

    #: Why this host runs no load balancers; empty because it does.
    problem = ""

    def __init__(self, parts: EdgeParts) -> None:
        self._parts = parts
        #: What comes through here.
        self.traffic: TrafficMeter | None = parts.meter
        self._wake = asyncio.Event()
        self._drains = asyncio.Event()
        self._draining = Draining()
        self._prober = Prober(parts.sockets, parts.clock, parts.random, lambda _: self._wake.set())
        self._connections = Connections(parts.namespaces, self._wake.set)
        self._last: tuple[Serving, Mapping[str, Served]] | None = None
        #: Ports at which the proxy listens, as far as that is known.
        self._held: frozenset[int] = frozenset()
        self._reported: set[tuple[str, str]] = set()
        #: Whether the proxy serves, or has served, anything.
        self._used = False
        #: Whether it is known what an earlier agent left.
        self._begun = False
        #: Seconds until targets that start slowly get more.
        self._ramp_pause: float | None = None
        #: Why nothing could be served the last time.
        self._failure = ""

    async def run(self) -> None:
        """Keep everything as documents say, until cancelled."""
        parts = self._parts
        parts.documents.watch(KINDS, lambda _: self._wake.set())
        if parts.connect is not None:
            parts.connect.watch(self._wake.set)
        self._prober.remember(parts.memory.read())
        try:
            self._used = await parts.proxy.adopt()
            if not self._used:
                parts.meter.begin()
            else:
                self._held = frozenset(parts.endpoints.remembered.values())
        except ProxyError as error:
            _log.warning("what an earlier agent left running is not taken over", reason=str(error))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(parts.proxy.supervise())
                tasks.create_task(parts.meter.run())
                tasks.create_task(self._watch_draining())
                while True:
                    self._wake.clear()
                    well = await self._step(tasks)
                    try:
                        async with asyncio.timeout(self._ramp_pause if well else RETRY_PAUSE):
                            await self._wake.wait()
                    except TimeoutError:
                        if not well:
                            # What failed is tried again.
                            self._last = None
        finally:
            parts.sockets.close()

    async def _step(self, tasks: asyncio.TaskGroup) -> bool:
        """Look at everything once; whether all of it is as it should be."""
        parts = self._parts
        balancers: dict[str, BalancerDocument] = {
            arn: own(balancer, parts.node_id) for arn, balancer in parts.documents.all("balancer").items()
        }
        self._connections.want(balancers, parts.documents.all("subnet"), tasks)
        groups: dict[str, TargetGroupDocument] = {
            arn: group
            for arn, group in parts.documents.all("target-group").items()
            if group.load_balancer_arn in balancers
        }
        self._prober.aim({arn: Aim(group, self._namespace(group)) for arn, group in groups.items()}, tasks)
        views = {arn: self._views(arn, group) for arn, group in groups.items()}
        wanted = [wish for balancer in balancers.values() for wish in wishes(balancer, parts.endpoints.edge_address)]
        trouble = ""
        try:
            ports = parts.endpoints.choose(wanted, self._held)
        except OSError as error:
            ports, trouble = {}, f"The ports of endpoints cannot be written down: {error.strerror or error}"
        ramps = self._ramps(groups)
        serving = Serving(
            parts=tuple(self._serving_parts(balancers, ports)),
            groups=groups,
            certificates=dict(parts.documents.all("certificate")),
            routes={
                arn: routes({target: view.state for target, view in views[arn].items()}, group.attributes)
                for arn, group in groups.items()
            },
            edge_address=parts.endpoints.edge_address,
            connect=parts.connect.parts() if parts.connect is not None else (),
            connect_endpoints=dict(parts.documents.all("connect")),
            weights={arn: found.weights for arn, found in ramps.items()},
        )
        if not self._begun and any(self._connections.state(arn) is None for arn in balancers):
            # What an earlier agent left must be seen first: it is not to be taken away.
            return True
        self._begun = True
        results = await self._serve(serving)
        parts.meter.see(serving, views)
        if results is not None:
            self._connections.confirm({part.arn for part in serving.parts})
            self._held = frozenset(port for part in serving.parts for port in part.ports.values())
            self._confirm_draining(groups, serving.connect_endpoints)
            served_well = all(results[part.task_arn].ready for part in serving.connect if part.task_arn in results)
            self._report_connect(serving.connect_endpoints, in_force=served_well)
        if parts.connect is not None:
            failed = self._failed()
            outcome = {part.task_arn: (results or {}).get(part.task_arn, failed) for part in serving.connect}
            troubles = {arn: trouble_of(one) for arn, one in outcome.items()}
            await parts.connect.settle(serving.connect_endpoints, troubles)
        # Not what probes have found since: a target that is reported healthy gets requests already.
        self._report_targets(views)
        parts.memory.write(self._prober.book())
        removed = await self._remove_namespaces(balancers)
        # A report is withdrawn when nothing is left of a load balancer here.
        self._report_balancers(balancers, ports, results, trouble, {wish.arn for wish in wanted})
        return results is not None and not trouble and removed and all(result.ready for result in results.values())

    def _namespace(self, group: TargetGroupDocument) -> Path | None:
        connected = self._connections.state(group.load_balancer_arn)
        return connected.namespace if connected is not None and connected.addresses else None

    def _views(self, arn: str, group: TargetGroupDocument) -> dict[Target, TargetView]:
        return self._prober.views(arn, self._draining.drained(arn) if group.fast_drain else frozenset())

    def _ramps(self, groups: Mapping[str, TargetGroupDocument]) -> dict[str, Ramp]:
        """Those of groups in which targets start slowly now."""
        now = self._parts.clock.now()
        found = {arn: ramp(self._prober.health(arn), group.attributes, now) for arn, group in groups.items()}
        pauses = [one.pause for one in found.values() if one.pause is not None]
        self._ramp_pause = min(pauses, default=None)
        return {arn: one for arn, one in found.items() if one.weights}

    def _serving_parts(self, balancers: Mapping[str, BalancerDocument], ports: Mapping[str, int]) -> list[Part]:
        parts = []
        for arn, balancer in sorted(balancers.items()):
            connected = self._connections.state(arn)
            if connected is None or not connected.addresses:
                continue
            own = {listener.arn: ports[listener.arn] for listener in balancer.listeners if listener.arn in ports}
            parts.append(Part(arn, served(balancer, connected), connected.namespace, own))
        return parts

    async def _serve(self, serving: Serving) -> Mapping[str, Served] | None:
        """What came of it, ``None`` when nothing can be served."""
        if self._last is not None and self._last[0] == serving:
            return self._last[1]
        if not serving.parts and not serving.connect and not self._used:
            # Most hosts run no load balancer: there is nothing to stop, and nothing to leave behind.
            return {}
        self._used = True
        try:
            results = await self._parts.proxy.serve(serving)
        except ProxyError as error:
            _log.warning("load balancers are not served", reason=str(error))
            self._last = None
            self._failure = str(error)
            return None
        self._last = (serving, results)
        return results

    def _confirm_draining(
        self, groups: Mapping[str, TargetGroupDocument], endpoints: Mapping[str, ConnectDocument]
    ) -> None:
        self._draining.confirm(
            frozenset(
                Leaving(arn, (entry.id, entry.port), f"{entry.address}:{entry.port}")
                for arn, group in groups.items()
                if group.fast_drain
                for entry in group.targets
                if entry.draining_since is not None
            )
            | frozenset(
                Leaving(key, (target.address, target.port), f"{target.address}:{target.port}")
                for key, endpoint in endpoints.items()
                for target in endpoint.targets
                if target.draining
            )
        )
        if self._draining.waiting:
            self._drains.set()

    async def _watch_draining(self) -> None:
        while True:
            await self._drains.wait()
            self._drains.clear()
            while self._draining.waiting:
                try:
                    in_flight = await self._parts.proxy.in_flight()
                except ProxyError as error:
                    # Never early: what cannot be seen may be in flight.
                    _log.debug("what is in flight is not known", reason=str(error))
                else:
                    if self._draining.look(in_flight):
                        self._wake.set()
                await asyncio.sleep(LOOK_PAUSE)

    def _report_balancers(
        self,
        balancers: Mapping[str, BalancerDocument],
        ports: Mapping[str, int],
        results: Mapping[str, Served] | None,
        trouble: str,
        wanted: set[str],
    ) -> None:
        reports = self._parts.reports
        for arn, balancer in balancers.items():
            connected = self._connections.state(arn)
            result = self._failed() if results is None else results.get(arn, Served(ready=False))
            addresses = {interface.address for interface in balancer.interfaces}
            complete = connected is not None and addresses == connected.addresses
            texts = [connected.problem if connected is not None else "", result.problem, trouble]
            texts += [
                f"No port of {self._parts.endpoints.edge_address} is free for the listener {listener.arn}."
                for listener in balancer.listeners
                if listener.arn in wanted and listener.arn not in ports and not trouble
            ]
            at_edge = {
                listener.arn: f"{self._parts.endpoints.edge_address}:{ports[listener.arn]}"
                for listener in balancer.listeners
                if listener.arn in ports
            }
            ready = complete and result.ready
            report = BalancerReport(
                ready=ready,
                problem=" ".join(text for text in texts if text),
                endpoints=at_edge if ready else {},
                applied=balancer.revision if ready else "",
            )
            reports.put("balancer", arn, report)
        self._withdraw("balancer", set(balancers))

    def _report_connect(self, endpoints: Mapping[str, ConnectDocument], *, in_force: bool) -> None:
        for key, endpoint in endpoints.items():
            drained = tuple(sorted(f"{address}:{port}" for address, port in self._draining.drained(key)))
            report = ConnectReport(drained=drained, routing=endpoint.routing if in_force else "")
            self._parts.reports.put("connect", key, report)
        self._withdraw("connect", set(endpoints))

    def _failed(self) -> Served:
        return Served(ready=False, problem=self._failure)

    def _report_targets(self, views: Mapping[str, Mapping[Target, TargetView]]) -> None:
        for arn, shown in views.items():
            self._parts.reports.put("targets", arn, TargetsReport(targets=tuple(shown.values())))
        self._withdraw("targets", set(views))

    def _withdraw(self, kind: str, keys: set[str]) -> None:
        gone = {key for key in self._reported if key[0] == kind and key[1] not in keys}
        for key in gone:
            self._parts.reports.remove(*key)
        self._reported = (self._reported - gone) | {(kind, key) for key in keys}

    async def _remove_namespaces(self, balancers: Mapping[str, BalancerDocument]) -> bool:
        """Take away those whose load balancer is not here any more; whether that went well."""
        namespaces = self._parts.namespaces
        wanted = {namespaces.path(arn) for arn in balancers}
        try:
            for path in namespaces.found():
                if path not in wanted:
                    await namespaces.remove(path)
        except NetworkError as error:
            _log.warning("the namespace of a load balancer was left behind", reason=str(error))
            return False
        return True


def trouble_of(served: Served) -> str:
    """What is wrong; empty when nothing is."""
    return "" if served.ready else served.problem or "it is not served yet"


def own(balancer: BalancerDocument, node_id: str) -> BalancerDocument:
    """The document with the interfaces of one host only."""
    interfaces = tuple(one for one in balancer.interfaces if one.node_id in ("", node_id) or not node_id)
    return msgspec.structs.replace(balancer, interfaces=interfaces)
