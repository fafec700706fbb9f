"""Many agents in one process, for a control plane with many machines.

Each is the product's own agent (registration, ACS, TCS, reports, each with connections of its
own) around an engine that starts a task by saying so.  Nothing of what goes over the wire is
left out: a payload is acknowledged, and a task that came up or ended is reported, just as with
a real engine.  ``python fake_agents.py ENDPOINT REGION CLUSTER FIRST COUNT CPU MEMORY``, the keys
in the environment; it prints ``ready`` when every agent is connected and ends with its stdin.
With ``BENCH_DOCUMENTS`` the agents take documents, and write into that file when they were told of which
network interface: the monotonic clock's seconds, the agent's number, the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import structlog
import uvloop

from openecs.acs.messages import HostDocumentsMessage, HostReportsMessage
from openecs.acs.task_payload import RoleCredentials, TaskPayload
from openecs.agent.attributes import attributes
from openecs.agent.config import ACCESS_KEY_ID, SECRET_KEY, AgentConfig
from openecs.agent.control_plane import ControlPlane
from openecs.agent.engine.task_state import Report
from openecs.agent.membership import Membership
from openecs.agent.reporting import Reporter
from openecs.agent.runtime.fake.runtime import FakeRuntime
from openecs.agent.session import AgentSessions
from openecs.clock import SystemClock
from openecs.ids import RandomIds
from openecs.shapes import ecs
from openecs.wire.sigv4 import Credentials

ZONES = 3
DOCUMENTS = "BENCH_DOCUMENTS"


class _Store:
    """What membership remembers of its registration, for as long as the process lives."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def put(self, name: str, value: str | None) -> None:
        self._values[name] = value or ""


class _Engine:
    """Takes an agent's orders; a task runs, or has ended, as soon as it is told to."""

    def __init__(self, reporter: Reporter, cluster: str, group: asyncio.TaskGroup, ids: RandomIds) -> None:
        self._reporter = reporter
        self._cluster = cluster
        self._group = group
        self._ids = ids
        self._tasks: dict[str, tuple[TaskPayload, tuple[str, ...]]] = {}
        self._reports: dict[str, deque[Report]] = {}
        #: Nothing here has a health check, so there is nothing to publish about it.
        self.workers: Iterable[object] = ()

    def accept(self, payload: TaskPayload) -> None:
        if payload.arn in self._tasks:
            return
        runtime_ids = tuple(self._ids.hex32() * 2 for _ in payload.containers)
        self._tasks[payload.arn] = (payload, runtime_ids)
        self._say(payload.arn, "RUNNING", payload, runtime_ids)

    def stop(self, arn: str, cluster: str = "") -> None:  # noqa: ARG002 -- the engine's signature
        payload, runtime_ids = self._tasks.pop(arn, (None, ()))
        if payload is not None:
            self._say(arn, "STOPPED", payload, runtime_ids)

    def running(self) -> Sequence[str]:
        return list(self._tasks)

    def credentials(self, task_arn: str, credentials: RoleCredentials) -> None: ...

    def manifest(self, listed: Sequence[str]) -> None: ...

    def _say(self, arn: str, status: str, payload: TaskPayload, runtime_ids: tuple[str, ...]) -> None:
        now = time.time()  # noqa: TID251 -- an agent's clock
        ended = status == "STOPPED"
        report = Report(
            status=status,  # type: ignore[arg-type]
            containers=tuple(
                ecs.ContainerStateChange(
                    container_name=container.name,
                    status=status,
                    runtime_id=runtime_id,
                    exit_code=143 if ended else None,
                )
                for container, runtime_id in zip(payload.containers, runtime_ids, strict=True)
            ),
            pull_started_at=now,
            pull_stopped_at=now,
            execution_stopped_at=now if ended else None,
        )
        waiting = self._reports.get(arn)
        if waiting is not None:
            waiting.append(report)
            return
        self._reports[arn] = deque([report])
        self._group.create_task(self._send(payload.task_cluster_arn or self._cluster, arn))

    async def _send(self, cluster: str, arn: str) -> None:
        """Send what waits, oldest first, as a task's owner does."""
        waiting = self._reports[arn]
        while waiting:
            count = await self._reporter.send(cluster, arn, list(waiting))
            for _ in range(count):
                waiting.popleft()
        del self._reports[arn]


class _Connected(Reporter):
    """A reporter that tells when ACS is open."""

    def __init__(self, api: ControlPlane) -> None:
        super().__init__(api)
        self.connected = asyncio.Event()

    def wake(self) -> None:
        super().wake()
        self.connected.set()


class _Told:
    """A host that notes what it was told, and has nothing to report."""

    def __init__(self, file: int, number: int) -> None:
        self._file = file
        self._number = number

    def take(self, message: HostDocumentsMessage) -> None:
        now = time.monotonic()
        keys = [entry.key for entry in message.entries if entry.kind == "interface"]
        os.write(self._file, "".join(f"{now} {self._number} {key}\n" for key in keys).encode())

    def connected(self) -> None: ...

    async def next(self) -> HostReportsMessage:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def _agent(config: AgentConfig, up: asyncio.Event, told: _Told | None) -> None:
    """One agent, for ever."""
    clock, ids = SystemClock(), RandomIds()
    runtime = FakeRuntime(clock, ids)
    info = await runtime.info()
    api = ControlPlane(
        config.endpoint, config.region, Credentials(config.access_key_id, config.secret_key, None), clock
    )
    reporter = _Connected(api)
    reporter.connected = up
    store = _Store()
    membership = Membership(config, api, store)  # type: ignore[arg-type]
    named = attributes(config, info, node_id=ids.hex32(), task_eni=True, task_limits=True, metadata=True)
    membership.describe(named, info)
    sessions = AgentSessions(config, info, api, membership, reporter, runtime, clock, ids, host=told)
    async with asyncio.TaskGroup() as group:
        await membership.register()
        engine = _Engine(reporter, config.cluster, group, ids)
        await sessions.run(engine)  # type: ignore[arg-type]


async def _run(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    endpoint, region, cluster, *numbers = arguments
    first, count, cpu, memory = map(int, numbers)
    ups = [asyncio.Event() for _ in range(count)]
    path = environment.get(DOCUMENTS)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if path else None
    async with asyncio.TaskGroup() as group:
        agents = []
        for number, up in enumerate(ups, first):
            config = AgentConfig(
                endpoint=endpoint,
                region=region,
                cluster=cluster,
                data_dir="",
                runtime="fake",
                access_key_id=environment[ACCESS_KEY_ID],
                secret_key=environment[SECRET_KEY],
                cpu=cpu,
                memory=memory,
                fargate=True,
                availability_zone=f"{region}{'abc'[number % ZONES]}",
                metadata_bind=None,
            )
            told = _Told(file, number) if file is not None else None
            agents.append(group.create_task(_agent(config, up, told)))
        for up in ups:
            await up.wait()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        for agent in agents:
            agent.cancel()


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, contextlib.suppress(asyncio.CancelledError):
        runner.run(_run(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
