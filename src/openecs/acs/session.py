"""The control plane's end of one ACS connection, without socket, state or clock.

The gateway asks what to send and hands in what came; times are arguments.  A session
remembers what it told its agent of each task, so that telling it again is a question of
``needs`` and never of who woke whom.  Everything is forgotten with the connection: the next
one starts with a manifest and every live task.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.ids import Ids

#: Agents close a connection that brings no message for a minute.
HEARTBEAT_AFTER = 45.0
#: Agents answer heartbeats, so one that is silent for this long is gone.
SILENT_AFTER = 150.0
#: A payload with an invalid task is never acknowledged; the agent reports such a task as STOPPED.
#: So what is not acknowledged is sent again a few times only, and then at the next connection.
REDELIVER_AFTER = 15.0
DELIVERIES = 4
#: Payloads that may wait for their acknowledgement at a time.  A burst of tasks reaches its agent
#: at the pace at which the agent takes it, and leaves room for API calls meanwhile.
WINDOW = 32


class Acknowledged(NamedTuple):
    """The agent has an order for a task."""

    task_arn: str
    desired_status: str


class StopCandidates(NamedTuple):
    """Tasks that the agent runs and the manifest did not name."""

    message_id: str
    task_arns: tuple[str, ...]


class SequenceNumbers:
    """Numbers that only grow, also over restarts: agents keep the highest one on disk.

    They are milliseconds since the epoch, moved on where two fall together.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: float) -> int:
        """A number higher than every one before."""
        self._last = max(self._last + 1, int(now * 1000))
        return self._last


class _Unacknowledged(NamedTuple):
    task: tp.TaskPayload
    deliveries: int
    due: float


class AgentSession:
    """What was said on one connection, and what must be said next."""

    def __init__(
        self, *, cluster_arn: str, container_instance_arn: str, ids: Ids, numbers: SequenceNumbers, now: float
    ) -> None:
        self._cluster_arn = cluster_arn
        self._instance_arn = container_instance_arn
        self._ids = ids
        self._numbers = numbers
        self._last_sent = now
        self._last_heard = now
        #: Task ARN → the desired status that the agent was told.
        self._told: dict[str, str] = {}
        #: Message id → payload, the oldest first; all wait equally long, so that is by due time.
        self._waiting: dict[str, _Unacknowledged] = {}
        self._waiting_for: dict[str, str] = {}
        #: Task ARN → ids of the access keys that the agent was sent.
        self._keys: dict[str, set[str]] = {}

    def __repr__(self) -> str:
        return f"<AgentSession {self._instance_arn}: {len(self._told)} tasks, {len(self._waiting)} unacknowledged>"

    def told(self, task_arn: str) -> str | None:
        """The desired status that the agent was last told of a task."""
        return self._told.get(task_arn)

    def needs(self, task_arn: str, desired_status: str) -> bool:
        """Whether the agent must still be told."""
        return self._told.get(task_arn) != desired_status

    @property
    def room(self) -> int:
        """How many more payloads may be sent before one is acknowledged."""
        return max(0, WINDOW - len(self._waiting))

    def manifest(self, tasks: Iterable[m.ManifestTask], now: float) -> str:
        """The list of everything that the instance should run."""
        return self._send(
            m.TaskManifestMessage(
                message_id=self._ids.uuid(),
                cluster_arn=self._cluster_arn,
                container_instance_arn=self._instance_arn,
                tasks=tuple(tasks),
                generated_at=int(now * 1000),
                timeline=self._numbers.next(now),
            ),
            now,
        )

    def payload(self, task: tp.TaskPayload, now: float) -> str:
        """One task per payload, so that an invalid one spoils nobody's acknowledgement."""
        message_id = self._ids.uuid()
        self._drop_waiting(task.arn)
        self._told[task.arn] = task.desired_status
        return self._deliver(message_id, _Unacknowledged(task, 0, 0.0), now)

    def has_key(self, task_arn: str, access_key_id: str) -> bool:
        """Whether the agent was sent that key of a task."""
        return access_key_id in self._keys.get(task_arn, ())

    def has_keys(self, task_arn: str) -> bool:
        """Whether the agent was sent any key of a task."""
        return task_arn in self._keys

    def note_key(self, task_arn: str, access_key_id: str) -> None:
        """A key goes with the task's payload."""
        self._keys.setdefault(task_arn, set()).add(access_key_id)

    def credentials(
        self, task_arn: str, task_cluster_arn: str, access_key_id: str, credentials: tp.RoleCredentials, now: float
    ) -> str:
        """A key for a task that the agent has."""
        self.note_key(task_arn, access_key_id)
        return self._send(
            m.IAMRoleCredentialsMessage(
                message_id=self._ids.uuid(),
                task_arn=task_arn,
                role_credentials=credentials,
                role_type=credentials.role_type or "TaskApplication",
                task_cluster_arn=task_cluster_arn,
            ),
            now,
        )

    def confirm_stop(self, message_id: str, tasks: Iterable[m.ManifestTask], now: float) -> str:
        """Consent to stop candidates of the manifest ``message_id``."""
        stop = m.TaskStopVerificationAck(message_id, tuple(tasks), int(now * 1000))
        return self._send(stop, now)

    def forget(self, task_arn: str) -> None:
        """The task is over: its report answers whatever was still unacknowledged."""
        self._told.pop(task_arn, None)
        self._keys.pop(task_arn, None)
        self._drop_waiting(task_arn)

    def host_documents(self, message: m.HostDocumentsMessage, now: float) -> str:
        """What the host is told besides tasks."""
        return self._send(message, now)

    def receive(self, frame: str | bytes, now: float) -> Acknowledged | StopCandidates | m.HostReportsMessage | None:
        """What a frame of the agent means; raises ``msgspec.DecodeError`` for what is no message."""
        self._last_heard = now
        message = m.decode(frame, m.FROM_AGENT)
        if isinstance(message, m.AckRequest):
            waiting = self._waiting.pop(message.message_id, None)
            if waiting is None:
                return None
            self._waiting_for.pop(waiting.task.arn, None)
            return Acknowledged(waiting.task.arn, waiting.task.desired_status)
        if isinstance(message, m.TaskStopVerificationMessage):
            return StopCandidates(message.message_id, tuple(task.task_arn for task in message.stop_candidates))
        if isinstance(message, m.HostReportsMessage):
            return message
        return None

    def deadline(self) -> float:
        """When ``tick`` is due next."""
        heartbeat = self._last_sent + HEARTBEAT_AFTER
        oldest = next(iter(self._waiting.values()), None)
        return heartbeat if oldest is None else min(heartbeat, oldest.due)

    def tick(self, now: float) -> list[str]:
        """The frames that time makes necessary: redeliveries and heartbeats."""
        frames: list[str] = []
        while self._waiting:
            message_id, waiting = next(iter(self._waiting.items()))
            if waiting.due > now:
                break
            del self._waiting[message_id]
            if waiting.deliveries < DELIVERIES:
                frames.append(self._deliver(message_id, waiting, now))
            else:
                self._waiting_for.pop(waiting.task.arn, None)
        if now - self._last_sent >= HEARTBEAT_AFTER:
            frames.append(self._send(m.HeartbeatMessage(healthy=True, message_id=self._ids.uuid()), now))
        return frames

    def silent(self, now: float) -> bool:
        """Whether the agent must be taken for gone."""
        return now - self._last_heard >= SILENT_AFTER

    def _deliver(self, message_id: str, waiting: _Unacknowledged, now: float) -> str:
        task = waiting.task
        self._waiting[message_id] = _Unacknowledged(task, waiting.deliveries + 1, now + REDELIVER_AFTER)
        self._waiting_for[task.arn] = message_id
        return self._send(
            m.PayloadMessage(
                message_id=message_id,
                cluster_arn=self._cluster_arn,
                container_instance_arn=self._instance_arn,
                tasks=(task,),
                generated_at=int(now * 1000),
                seq_num=self._numbers.next(now),
            ),
            now,
        )

    def _drop_waiting(self, task_arn: str) -> None:
        message_id = self._waiting_for.pop(task_arn, None)
        if message_id is not None:
            self._waiting.pop(message_id, None)

    def _send(self, message: m.Message, now: float) -> str:
        self._last_sent = now
        return m.encode(message)
