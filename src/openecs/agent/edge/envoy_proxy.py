"""Envoy as the edge's ``Proxy``: what is to be served becomes its resources, and its words become ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from openecs.agent.edge.access_logs import AccessLogs
from openecs.agent.edge.connect_render import cluster_base
from openecs.agent.edge.envoy import Envoy, EnvoyError
from openecs.agent.edge.envoy_admin import AdminError
from openecs.agent.edge.envoy_clusters import cluster_name
from openecs.agent.edge.envoy_resources import Resources
from openecs.agent.edge.proxy import ProxyError, Served, Serving

_log = structlog.get_logger("openecs.agent")


class Rendered(NamedTuple):
    """Resources, and sentences for what they leave out, by load balancer."""

    resources: Resources
    problems: Mapping[str, tuple[str, ...]]
    #: Name of a resource → ARN of the load balancer that it is a part of.
    owners: Mapping[str, str]
    #: Folders that Envoy writes to.
    folders: tuple[Path, ...] = ()
    #: ARNs of load balancers of which nothing is there.
    failed: frozenset[str] = frozenset()


#: Makes resources; ``Path`` is the folder of the files that Envoy reads.
Renderer = Callable[[Serving, Path], Rendered]


class EnvoyProxy:
    """The ``Proxy`` of real hosts."""

    def __init__(self, envoy: Envoy, render: Renderer, logs: AccessLogs | None = None) -> None:
        self._envoy = envoy
        self._render = render
        self._logs = logs
        #: Name of a cluster → ARN of its target group.
        self._groups: dict[str, str] = {}

    async def adopt(self) -> bool:
        try:
            return await self._envoy.adopt()
        except EnvoyError as error:
            raise ProxyError(str(error)) from None

    async def serve(self, serving: Serving) -> Mapping[str, Served]:
        if self._logs is not None:
            self._logs.know(serving.certificates)
        try:
            rendered = self._render(serving, self._envoy.xds)
        except (ValueError, KeyError, TypeError) as error:
            # A document that nobody thought of must not end the agent, which has other things to look after.
            _log.exception("load balancers cannot be put into Envoy's words")
            raise ProxyError(f"The load balancers cannot be put into Envoy's words: {error!r}") from error
        try:
            for folder in rendered.folders:
                folder.mkdir(parents=True, exist_ok=True, mode=0o750)
            applied = await self._envoy.apply(rendered.resources)
        except (EnvoyError, AdminError) as error:
            raise ProxyError(f"Envoy: {error}") from None
        except OSError as error:
            raise ProxyError(f"The files of Envoy cannot be written: {error}") from None
        self._groups |= {cluster_name(arn): arn for arn in serving.groups}
        self._groups |= {
            cluster_base(endpoint, alternate=alternate): endpoint
            for endpoint in serving.connect_endpoints
            for alternate in (False, True)
        }
        results = {}
        for arn in (*(part.arn for part in serving.parts), *(part.task_arn for part in serving.connect)):
            # What belongs to nobody in particular concerns everybody.
            refused = {text for name, text in applied.rejected.items() if rendered.owners.get(name, arn) == arn}
            texts = [*rendered.problems.get(arn, ()), *(f"Envoy refused: {text}" for text in sorted(refused))]
            results[arn] = Served(ready=not refused and arn not in rendered.failed, problem=" ".join(texts))
        return results

    async def in_flight(self) -> Mapping[tuple[str, str], int]:
        if not self._envoy.running():
            return {}
        try:
            found = await self._envoy.in_flight()
        except AdminError as error:
            raise ProxyError(str(error)) from None
        sums: dict[tuple[str, str], int] = {}
        for (cluster, address), active in found.items():
            arn = self._groups.get(cluster.partition("@")[0])
            if arn is not None:
                sums[arn, address] = sums.get((arn, address), 0) + active
        return sums

    async def supervise(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._envoy.supervise())
            if self._logs is not None:
                tasks.create_task(self._logs.run())

    async def stop(self) -> None:
        await self._envoy.stop()
