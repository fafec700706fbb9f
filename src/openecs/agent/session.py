"""The agent's two connections to the control plane, and what goes over them."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import structlog

import openecs
from openecs.acs.host_board import HOST_QUERY
from openecs.acs.link import AcsLink, Dial, HostSink, NotRegisteredError
from openecs.acs.task_payload import RoleCredentials, TaskPayload
from openecs.agent.config import AgentConfig
from openecs.agent.control_plane import ControlPlane
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.membership import Membership
from openecs.agent.metrics.exposition import AgentExposition
from openecs.agent.metrics.host import HostSampler
from openecs.agent.metrics.sampler import Sampler
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.protocol import EngineInfo, EngineUnavailable, Runtime
from openecs.agent.telemetry import Telemetry
from openecs.clock import Clock
from openecs.errors import Retryable
from openecs.ids import Ids

_log = structlog.get_logger("openecs.agent")
PROTOCOL_VERSION = "2"
AGENT_HASH = "0e0ec500"


class AgentSessions:
    """Keeps ACS and TCS open; registers anew when the control plane has lost the instance.

    ``jitter`` spreads retries, ``open_socket`` opens websockets; both have defaults for real use.
    """

    def __init__(
        self,
        config: AgentConfig,
        info: EngineInfo,
        api: ControlPlane,
        membership: Membership,
        reporter: Reporter,
        runtime: Runtime,
        clock: Clock,
        ids: Ids,
        *,
        jitter: random.Random | None = None,
        open_socket: Dial | None = None,
        host: HostSink | None = None,
        measures: bool = False,
        traffic: TrafficMeter | None = None,
    ) -> None:
        """``measures``: whether containers here are processes of this host's kernel.

        ``traffic``: what comes through its load balancers.
        """
        self._host = host
        self._measures = measures
        self._traffic = traffic
        self._config = config
        self._info = info
        self._api = api
        self._membership = membership
        self._reporter = reporter
        self._runtime = runtime
        self._clock = clock
        self._ids = ids
        self._jitter = jitter
        self._open_socket = open_socket
        self._telemetry: Telemetry | None = None

    def health_changed(self) -> None:
        """Some container's health changed."""
        if self._telemetry is not None:
            self._telemetry.health_changed()

    async def run(self, engine: TaskEngine) -> None:
        """Serve until cancelled."""
        sampler = None
        if self._measures:
            cores = os.cpu_count() or 1
            host = HostSampler(Path(self._config.data_dir), cores=cores)
            sampler = Sampler(self._runtime, lambda: engine.workers, self._clock, cores=cores, host=host)
        telemetry = Telemetry(
            cluster=self._membership.cluster,
            container_instance=lambda: self._membership.container_instance,
            workers=lambda: engine.workers,
            engine_answers=self._engine_answers,
            locate=self._telemetry_url,
            sign=self._api.sign_get,
            clock=self._clock,
            ids=self._ids,
            tls=self._api.tls,
            jitter=self._jitter,
            open_socket=self._open_socket,
            sampler=sampler,
            traffic=self._traffic,
        )
        self._telemetry = telemetry
        link = AcsLink(
            _Orders(engine, telemetry),
            locate=self._acs_url,
            sign=self._api.sign_get,
            on_connect=self._reporter.wake,
            tls=self._api.tls,
            jitter=self._jitter,
            open_socket=self._open_socket,
            host=self._host,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(telemetry.run())
            if sampler is not None:
                group.create_task(sampler.run())
            if self._config.metrics_port is not None:
                group.create_task(AgentExposition(sampler).run(self._config.metrics_port))
            while True:
                try:
                    await link.run()
                except NotRegisteredError as error:
                    _log.warning("the control plane does not know this node, registering anew", error=str(error))
                    self._membership.forget()
                    await self._membership.register()

    async def _engine_answers(self) -> bool:
        try:
            async with asyncio.timeout(5.0):
                await self._runtime.info()
        except (EngineUnavailable, TimeoutError):
            return False
        return True

    async def _acs_url(self, send_credentials: bool) -> str:  # noqa: FBT001 -- the link's signature
        answer = await self._api.discover(self._membership.cluster, self._membership.container_instance)
        if not answer.endpoint:
            raise Retryable("DiscoverPollEndpoint named no endpoint")
        return _websocket(
            answer.endpoint,
            {
                "agentHash": AGENT_HASH,
                "agentVersion": openecs.__version__,
                "clusterArn": self._membership.cluster,
                "containerInstanceArn": self._membership.container_instance,
                "dockerVersion": f"DockerVersion: {self._info.version}",
                "protocolVersion": PROTOCOL_VERSION,
                "sendCredentials": "true" if send_credentials else "false",
                "seqNum": "1",
            }
            | ({HOST_QUERY: "true"} if self._host is not None else {}),
        )

    async def _telemetry_url(self) -> str:
        answer = await self._api.discover(self._membership.cluster, self._membership.container_instance)
        if not answer.telemetry_endpoint:
            raise Retryable("no telemetry endpoint returned")
        return _websocket(
            answer.telemetry_endpoint,
            {
                "agentHash": AGENT_HASH,
                "agentVersion": openecs.__version__,
                "cluster": self._membership.cluster,
                "containerInstance": self._membership.container_instance,
                "dockerVersion": self._info.version,
            },
        )


class _Orders:
    """The control plane's orders, done to the task engine."""

    def __init__(self, engine: TaskEngine, telemetry: Telemetry) -> None:
        self._engine = engine
        self._telemetry = telemetry

    def accept(self, payload: TaskPayload) -> None:
        self._engine.accept(payload)

    def stop(self, arn: str, cluster: str) -> None:
        self._engine.stop(arn, cluster)

    def running(self) -> Sequence[str]:
        return self._engine.running()

    def credentials(self, task_arn: str, credentials: RoleCredentials) -> None:
        self._engine.credentials(task_arn, credentials)

    def manifest(self, listed: Sequence[str]) -> None:
        self._engine.manifest(listed)

    def heartbeat(self) -> None:
        self._telemetry.check_instance()


def _websocket(endpoint: str, query: dict[str, str]) -> str:
    base = endpoint if endpoint.endswith("/") else endpoint + "/"
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    return f"{base}ws?{urlencode(sorted(query.items()))}"
