"""The agent's end of TCS: container health and the health of this instance.

Health goes out at every change and every 20 s; the instance's status after each heartbeat on
ACS; what containers use as it is measured (``agent.metrics.sampler``).  Each frame is a signed
header block, an empty line, then JSON.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from openecs.acs.link import Dial, InactiveInstanceError, NotRegisteredError, dial
from openecs.agent.edge.meter import TrafficMeter
from openecs.agent.engine.worker import TaskWorker
from openecs.agent.metrics.sampler import Batch, Sampler
from openecs.clock import Clock
from openecs.errors import AWSError, Retryable
from openecs.ids import Ids

_log = structlog.get_logger("openecs.agent")
PERIOD = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
SILENCE = 60.0
LIFETIME, LIFETIME_SPREAD = 1800.0, 300.0
#: Tasks in one frame.
BATCH = 10


class Telemetry:
    """Keeps TCS open and says on it how containers and this instance are."""

    def __init__(
        self,
        *,
        cluster: str,
        container_instance: Callable[[], str],
        workers: Callable[[], Iterable[TaskWorker]],
        engine_answers: Callable[[], Awaitable[bool]],
        locate: Callable[[], Awaitable[str]],
        sign: Callable[[str, bytes], Mapping[str, str]],
        clock: Clock,
        ids: Ids,
        tls: ssl.SSLContext | None = None,
        jitter: random.Random | None = None,
        open_socket: Dial | None = None,
        sampler: Sampler | None = None,
        traffic: TrafficMeter | None = None,
    ) -> None:
        self._traffic = traffic
        self._sampler = sampler
        self._dial: Dial = open_socket or dial
        self._cluster = cluster
        self._container_instance = container_instance
        self._workers = workers
        self._engine_answers = engine_answers
        self._locate = locate
        self._sign = sign
        self._clock = clock
        self._ids = ids
        self._tls = tls
        self._jitter = jitter or random.Random()  # noqa: S311 -- spreads retries, guards nothing
        self._health = asyncio.Event()
        self._check = asyncio.Event()
        self._last_status = ""
        self._status_since = clock.now()

    def health_changed(self) -> None:
        """Some container's health changed: say so now."""
        self._health.set()

    def check_instance(self) -> None:
        """Look whether the engine answers, and say so."""
        self._check.set()

    async def run(self) -> None:
        """Connect, publish, reconnect; ends only by cancellation."""
        pause = FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._serve()
            except (NotRegisteredError, InactiveInstanceError) as error:
                _log.info("TCS refused", error=str(error))
            except (Retryable, AWSError, OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as error:
                _log.info("TCS connection ended", error=str(error) or type(error).__name__)
            if loop.time() - began > PERIOD:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause * self._jitter.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _serve(self) -> None:
        url = await self._locate()
        async with self._dial(url, self._sign(url, b""), self._tls) as socket:
            lifetime = LIFETIME + self._jitter.uniform(0.0, LIFETIME_SPREAD)
            self._health.set()
            try:
                async with asyncio.timeout(lifetime), asyncio.TaskGroup() as group:
                    group.create_task(self._listen(socket))
                    group.create_task(self._publish_health(socket, url))
                    group.create_task(self._publish_status(socket, url))
                    if self._sampler is not None:
                        group.create_task(self._publish_metrics(socket, url, self._sampler))
                    if self._traffic is not None:
                        group.create_task(self._publish_traffic(socket, url, self._traffic))
            except* (ConnectionClosed, TimeoutError) as ended:
                _log.info("TCS connection ended", reason=str(ended.exceptions[0]))

    async def _listen(self, socket: ClientConnection) -> None:
        silence = SILENCE + self._jitter.uniform(0.0, SILENCE)
        while True:
            async with asyncio.timeout(silence):
                await socket.recv()

    async def _publish_health(self, socket: ClientConnection, url: str) -> None:
        while True:
            self._health.clear()
            for message in self._health_messages():
                await self._send(socket, url, "PublishHealthRequest", message)
            try:
                async with asyncio.timeout(PERIOD):
                    await self._health.wait()
            except TimeoutError:
                continue

    async def _publish_status(self, socket: ClientConnection, url: str) -> None:
        while True:
            await self._check.wait()
            self._check.clear()
            status = "OK" if await self._engine_answers() else "IMPAIRED"
            now = self._clock.now()
            if status != self._last_status:
                self._last_status, self._status_since = status, now
            message = {
                "metadata": {
                    "cluster": self._cluster,
                    "containerInstance": self._container_instance(),
                    "requestId": self._ids.uuid(),
                },
                "statuses": [
                    {
                        "type": "ContainerRuntime",
                        "status": status,
                        "lastUpdated": now,
                        "lastStatusChange": self._status_since,
                    }
                ],
                "timestamp": now,
            }
            await self._send(socket, url, "PublishInstanceStatusRequest", message)

    async def _publish_metrics(self, socket: ClientConnection, url: str, sampler: Sampler) -> None:
        """Tell what was measured, the oldest first; what could not be sent is sent on the next connection."""
        while True:
            sampler.ready.clear()
            while sampler.batches:
                batch = sampler.batches[0]
                # What was sent is taken off at once, so that no connection's end makes it come twice.
                while batch.tasks or batch.host:
                    part = batch.tasks[:BATCH]
                    await self._send(
                        socket, url, "PublishMetricsRequest", self._metric_message(batch, part, sampler.cores)
                    )
                    del batch.tasks[: len(part)]
                    batch.host = None
                if sampler.batches and sampler.batches[0] is batch:
                    sampler.batches.popleft()
            await sampler.ready.wait()

    async def _publish_traffic(self, socket: ClientConnection, url: str, traffic: TrafficMeter) -> None:
        """The same for what came through load balancers."""
        while True:
            traffic.ready.clear()
            while traffic.messages:
                message = traffic.messages[0]
                await self._send(socket, url, "PublishTrafficRequest", message)
                if traffic.messages and traffic.messages[0] is message:
                    traffic.messages.popleft()
            await traffic.ready.wait()

    def _metric_message(self, batch: Batch, part: list[dict[str, Any]], cores: int) -> dict[str, Any]:
        # Not in the official agent's message.
        extension = {} if batch.host is None else {"openecsHost": batch.host}
        return extension | {
            "metadata": {
                "cluster": self._cluster,
                "containerInstance": self._container_instance(),
                "messageId": self._ids.uuid(),
                "idle": not batch.tasks,
                "fin": len(part) == len(batch.tasks),
                # Not in the official agent's message: what 100 % of the host's CPU is.
                "openecsCores": cores,
            },
            "taskMetrics": part,
            "timestamp": batch.at,
        }

    def _health_messages(self) -> list[dict[str, Any]]:
        tasks = [task for worker in self._workers() if (task := health_of(worker)) is not None]
        batches = [tasks[i : i + BATCH] for i in range(0, len(tasks), BATCH)]
        return [
            {
                "metadata": {
                    "cluster": self._cluster,
                    "containerInstance": self._container_instance(),
                    "messageId": self._ids.uuid(),
                    "fin": index == len(batches) - 1,
                },
                "tasks": batch,
                "timestamp": self._clock.now(),
            }
            for index, batch in enumerate(batches)
        ]

    async def _send(
        self, socket: ClientConnection, url: str, kind: str, message: dict[str, Any] | msgspec.Struct
    ) -> None:
        body = msgspec.json.encode({"type": kind, "message": message})
        head = "".join(f"{name}: {value}\r\n" for name, value in self._sign(url, body).items())
        await socket.send(f"{head}\r\n{body.decode()}")


def health_of(worker: TaskWorker) -> dict[str, Any] | None:
    """A task's entry in PublishHealthRequest; ``None`` for one without running health checks."""
    checked = {c.name for c in worker.payload.containers if (c.health_check_type or "").lower() == "docker"}
    containers = []
    for container in worker.state.containers:
        if container.name not in checked or container.status != "RUNNING":
            continue
        entry: dict[str, Any] = {
            "containerName": container.name,
            "healthStatus": container.health,
            "statusSince": container.health_since if container.health_since is not None else container.started_at,
        }
        if container.health_output:
            entry["statusMessage"] = container.health_output[:1024]
        containers.append(entry)
    if not containers:
        return None
    return {
        "taskArn": worker.payload.arn,
        "clusterArn": worker.cluster,
        "taskDefinitionFamily": worker.payload.family,
        "taskDefinitionVersion": worker.payload.version,
        "containers": containers,
    }
