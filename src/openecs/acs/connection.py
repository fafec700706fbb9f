"""One agent's ACS connection: from changed tasks to frames, from frames to changed tasks.

Level-triggered: whoever changes something only adds a task's ARN to ``changed``; what is sent
follows from the task as it is then and from what the session told the agent before.  Frames
leave only when everything they say is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
import structlog

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.acs.handshake import Receive, Send
from openecs.acs.host_board import HostLink
from openecs.acs.payload import Surroundings, render_stop, render_task
from openecs.acs.payload_logs import DEFAULT_MODE, LogTarget
from openecs.acs.session import Acknowledged, AgentSession, StopCandidates
from openecs.clock import Clock
from openecs.model import task_state
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction

_log = structlog.get_logger("openecs.acs")

#: A code after which agents wait before they come again.
CLOSE_TRY_LATER = 1013


class IssuedKey(Protocol):
    """One key of a task, as the credentials service gives it."""

    @property
    def kind(self) -> str: ...
    @property
    def access_key_id(self) -> str: ...
    @property
    def credentials(self) -> tp.RoleCredentials: ...


class Credentials(Protocol):
    """What a connection asks of the service that issues tasks' keys."""

    def ensure(self, tx: Transaction, task: Task) -> None: ...

    def current(self, task: Task) -> Iterable[IssuedKey]: ...


class SubnetGateways(Protocol):
    """The gateway of a subnet with its prefix length, ``None`` for one that does not exist."""

    def __call__(self, region: str, subnet_id: str) -> str | None: ...


class Connection:
    """The newest connection of one node's agent."""

    def __init__(
        self,
        *,
        node_id: str,
        instance_arn: str,
        access_key_id: str,
        endpoint: str,
        send_credentials: bool,
        session: AgentSession,
        state: State,
        credentials: Credentials,
        subnet_gateway: SubnetGateways,
        clock: Clock,
    ) -> None:
        self.node_id = node_id
        self.instance_arn = instance_arn
        #: Of the key with which the agent opened it.
        self.access_key_id = access_key_id
        self._endpoint = endpoint
        self._send_credentials = send_credentials
        self._session = session
        self._state = state
        self._credentials = credentials
        self._subnet_gateway = subnet_gateway
        self._clock = clock
        #: ARNs of tasks to look at, in the order in which they changed.
        self._changed: dict[str, None] = {}
        #: ARNs of tasks to start that wait until acknowledgements make room, the oldest first.
        self._starting: dict[str, None] = {}
        #: ARNs of tasks whose keys to look at.
        self._keys_changed: dict[str, None] = {}
        self._frames: list[str] = []
        #: What the host is told besides tasks, for agents that asked for it.
        self._host: HostLink | None = None
        self._wake = asyncio.Event()
        self._gone = False
        self._close_code: int | None = None

    def serve_host(self, open_link: Callable[[Callable[[], None]], HostLink]) -> None:
        """Also tell what is to be told besides tasks; ``open_link`` gets what wakes this connection."""
        self._host = open_link(self._wake.set)

    def task_changed(self, task_arn: str) -> None:
        """Look at a task soon."""
        self._changed[task_arn] = None
        self._wake.set()

    def keys_changed(self, task_arn: str) -> None:
        """Look at a task's keys soon, if the agent had any before."""
        if self._session.has_keys(task_arn):
            self._keys_changed[task_arn] = None
            self._wake.set()

    def close(self, code: int) -> None:
        """End the connection once what is waiting has been said."""
        self._close_code = code
        self._wake.set()

    async def serve(self, receive: Receive, send: Send) -> None:
        """Talk until one side ends it."""
        self._begin()
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self._read(receive))
            try:
                await self._write(send)
            except OSError as error:
                _log.debug("agent went away while it was written to", node=self.node_id, error=str(error))
            finally:
                reader.cancel()
                if self._host is not None:
                    self._host.close()

    def _begin(self) -> None:
        """A manifest first, then every live task: whatever the agent missed."""
        live = self._state.tasks.by("live_on_node", self.node_id)
        listed = (m.ManifestTask(t.arn, t.cluster_arn, _ordered(t)) for t in live)
        self._frames.append(self._session.manifest(listed, self._clock.now()))
        for task in live:
            self._changed[task.arn] = None
            if self._send_credentials:
                # The agent's process is new and has lost every key that it had.
                self._keys_changed[task.arn] = None

    async def _read(self, receive: Receive) -> None:
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                break
            frame = event.get("text") or event.get("bytes")
            if frame:
                self._take(frame)
        self._gone = True
        self._wake.set()

    async def _write(self, send: Send) -> None:
        while not self._gone:
            self._wake.clear()
            now = self._clock.now()
            self._frames += self._news(now) + self._session.tick(now)
            if self._frames:
                frames, self._frames = self._frames, []
                await self._state.store.durable()
                for frame in frames:
                    await send({"type": "websocket.send", "text": frame})
                continue
            if self._session.silent(now):
                _log.warning("agent is silent, connection closed", node=self.node_id)
                self._close_code = CLOSE_TRY_LATER
            if self._close_code is not None:
                await send({"type": "websocket.close", "code": self._close_code})
                return
            try:
                async with asyncio.timeout(max(0.0, self._session.deadline() - now)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _take(self, frame: str | bytes) -> None:
        now = self._clock.now()
        try:
            event = self._session.receive(frame, now)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("frame of an agent is no message, ignored", node=self.node_id, error=str(error))
            return
        if isinstance(event, Acknowledged):
            self._acknowledge(event, now)
            if self._starting:
                self._wake.set()
        elif isinstance(event, StopCandidates):
            self._verify(event, now)
        elif isinstance(event, m.HostReportsMessage) and self._host is not None:
            self._host.take(event)

    def _acknowledge(self, event: Acknowledged, now: float) -> None:
        task = self._state.tasks.get(event.task_arn)
        if task is None:
            return
        changed = task_state.acknowledge(task, event.desired_status, now=now)
        if changed is not task:
            with self._state.transaction() as tx:
                tx.put(changed)

    def _verify(self, event: StopCandidates, now: float) -> None:
        """Consent for every candidate that should not run on this node."""
        stop = [arn for arn in event.task_arns if not self._should_run(arn)]
        if stop:
            _log.info("agent runs tasks that it should not", node=self.node_id, tasks=stop)
            tasks = (m.ManifestTask(arn, desired_status="STOPPED") for arn in stop)
            self._frames.append(self._session.confirm_stop(event.message_id, tasks, now))
            self._wake.set()

    def _should_run(self, task_arn: str) -> bool:
        task = self._state.tasks.get(task_arn)
        return task is not None and task.node_id == self.node_id and _ordered(task) == "RUNNING"

    def _running_here(self, task_arn: str) -> Task | None:
        """The task, if this node should run it."""
        task = self._state.tasks.get(task_arn)
        return task if task and task.node_id == self.node_id and task.desired_status == "RUNNING" else None

    def _news(self, now: float) -> list[str]:
        """Frames of the host's documents, then for the changed tasks, which may need these, then for changed keys."""
        frames: list[str] = []
        if self._host is not None:
            frames += [self._session.host_documents(message, now) for message in self._host.news()]
        if not self._changed and not self._keys_changed and not self._starting:
            return frames
        changed, self._changed = self._changed, {}
        for arn in changed:
            task = self._state.tasks.get(arn)
            if task is None or task.stopped:
                frames += self._over(arn, task, now)
            elif task.node_id != self.node_id or not self._session.needs(arn, task.desired_status):
                continue
            elif task.desired_status == "STOPPED":
                # What still gets requests is stopped when these have ended.
                if not task.drains:
                    frames.append(self._session.payload(render_stop(arn), now))
            else:
                self._starting[arn] = None
        frames += self._starts(self._next_starts(), now)
        keys_changed, self._keys_changed = self._keys_changed, {}
        for arn in keys_changed:
            # A task that waits to be started brings its keys along.
            if arn not in self._starting:
                frames += self._keys(arn, now)
        return frames

    def _next_starts(self) -> list[Task]:
        """The oldest tasks to start for which there is room, as far as they are still to be started."""
        tasks: list[Task] = []
        room = self._session.room
        while self._starting and len(tasks) < room:
            arn = next(iter(self._starting))
            del self._starting[arn]
            task = self._running_here(arn)
            if task is not None and self._session.needs(arn, "RUNNING"):
                tasks.append(task)
        return tasks

    def _over(self, arn: str, task: Task | None, now: float) -> list[str]:
        """A task that is over needs nothing, unless somebody else than its agent declared it."""
        told = self._session.told(arn)
        seen_running = task is None or any(c.last_status != "STOPPED" for c in task.containers)
        self._session.forget(arn)
        if told == "RUNNING" and seen_running:
            return [self._session.payload(render_stop(arn), now)]
        return []

    def _starts(self, tasks: list[Task], now: float) -> list[str]:
        if not tasks:
            return []
        with self._state.transaction() as tx:
            for task in tasks:
                self._credentials.ensure(tx, task)
        frames = []
        for task in tasks:
            record = self._state.task_definitions.get(task.task_definition_arn)
            if record is None:
                _log.error("task has no task definition any more, not started", task=task.arn)
                continue
            frames.append(self._session.payload(self._render(task, record.definition), now))
        return frames

    def _render(self, task: Task, definition: ecs.TaskDefinition) -> tp.TaskPayload:
        keys = {key.kind: key for key in self._credentials.current(task)}
        for key in keys.values():
            self._session.note_key(task.arn, key.access_key_id)
        around = Surroundings(
            log_target=LogTarget(self._endpoint, self._log_mode(task.region)),
            execution_role_credentials=keys["execution"].credentials if "execution" in keys else None,
            role_credentials=keys["task"].credentials if "task" in keys else None,
            subnet_gateway=self._subnet_gateway(task.region, task.eni.subnet_id) if task.eni else None,
        )
        return render_task(task, definition, around)

    def _log_mode(self, region: str) -> str:
        """How awslogs delivers when a definition does not say: the account's default of the region."""
        chosen = self._state.settings.get(f"{region}::defaultLogDriverMode")
        return chosen.value if chosen else DEFAULT_MODE

    def _keys(self, arn: str, now: float) -> list[str]:
        task = self._state.tasks.get(arn)
        if task is None or task.stopped:
            return []
        return [
            self._session.credentials(arn, task.cluster_arn, key.access_key_id, key.credentials, now)
            for key in self._credentials.current(task)
            if not self._session.has_key(arn, key.access_key_id)
        ]


def _ordered(task: Task) -> str:
    """What the agent is to make of a task now: one that drains goes on until it has drained."""
    return "RUNNING" if task.drains else task.desired_status
