"""The messages of ACS: what control plane and agents say to each other on the websocket.

Every frame is ``{"type": <name>, "message": {...}}``.  Member names and meanings are those of
the ECS agent protocol; members of ours are under ``openecs`` and ignored by other agents.
Structures only: no sessions, no I/O.
"""

from __future__ import annotations

from typing import Any

import msgspec

from openecs.acs.structure import Structure
from openecs.acs.task_payload import RoleCredentials, TaskPayload


class Message(Structure, frozen=True):
    """Base of every message."""


class PayloadMessage(Message, frozen=True):
    """Tasks to run or to stop; answered with AckRequest."""

    message_id: str
    cluster_arn: str
    container_instance_arn: str
    tasks: tuple[TaskPayload, ...]
    generated_at: int = 0
    seq_num: int = 0


class IAMRoleCredentialsMessage(Message, frozen=True):
    """New keys for a task that the agent has already."""

    message_id: str
    task_arn: str
    role_credentials: RoleCredentials
    role_type: str = "TaskApplication"
    task_cluster_arn: str = ""


class ManifestTask(Structure, frozen=True):
    """A task as manifests and stop verifications name it."""

    task_arn: str
    task_cluster_arn: str = ""
    desired_status: str = "RUNNING"


class TaskManifestMessage(Message, frozen=True):
    """Every task that the instance should run; others are candidates for stopping."""

    message_id: str
    cluster_arn: str
    container_instance_arn: str
    tasks: tuple[ManifestTask, ...]
    generated_at: int = 0
    timeline: int = 0


class TaskStopVerificationAck(Message, frozen=True):
    """The control plane's consent: these candidates of that manifest must stop."""

    message_id: str
    stop_tasks: tuple[ManifestTask, ...]
    generated_at: int = 0


class HeartbeatMessage(Message, frozen=True):
    """A sign of life; agents give up a connection that is silent for a minute."""

    healthy: bool = True
    message_id: str = ""


class AckRequest(Message, frozen=True):
    """The agent's receipt of a message."""

    cluster: str = ""
    container_instance: str = ""
    message_id: str = ""


class NackRequest(Message, frozen=True):
    """The agent's refusal of a message."""

    cluster: str = ""
    container_instance: str = ""
    message_id: str = ""
    reason: str = ""


class HeartbeatAckRequest(Message, frozen=True):
    """The agent's answer to a heartbeat."""

    message_id: str = ""


class IAMRoleCredentialsAckRequest(Message, frozen=True):
    """The agent's receipt of credentials."""

    message_id: str = ""
    credentials_id: str = ""
    expiration: str = ""


class TaskStopVerificationMessage(Message, frozen=True):
    """An agent's list of tasks that it runs and the manifest does not name."""

    message_id: str
    stop_candidates: tuple[ManifestTask, ...] = ()


class HostEntry(Structure, frozen=True):
    """One document or report (``acs.host_documents``); its structure follows from the kind."""

    kind: str
    key: str
    body: msgspec.Raw


class HostKey(Structure, frozen=True):
    """A document that is a host's no more, or a report that does not hold any more."""

    kind: str
    key: str


class HostDocumentsMessage(Message, frozen=True):
    """An extension, for agents that ask for it: documents that changed.

    A connection begins with all documents of the host, in one message or several, the ``first``
    to the ``last``: what these do not name is gone.
    """

    entries: tuple[HostEntry, ...] = ()
    removed: tuple[HostKey, ...] = ()
    first: bool = False
    last: bool = False


class HostReportsMessage(Message, frozen=True):
    """An extension: what a host reports.  With ``all`` it is everything that it has to report."""

    entries: tuple[HostEntry, ...] = ()
    removed: tuple[HostKey, ...] = ()
    all: bool = False


TO_AGENT: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        HostDocumentsMessage,
        PayloadMessage,
        IAMRoleCredentialsMessage,
        TaskManifestMessage,
        TaskStopVerificationAck,
        HeartbeatMessage,
    )
}
FROM_AGENT: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        AckRequest,
        NackRequest,
        HeartbeatAckRequest,
        IAMRoleCredentialsAckRequest,
        TaskStopVerificationMessage,
        HostReportsMessage,
    )
}


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    message: msgspec.Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_encode = msgspec.json.Encoder().encode


def encode(message: Message) -> str:
    """The text frame of a message."""
    return _encode({"type": type(message).__name__, "message": message}).decode()


def decode(frame: str | bytes, kinds: dict[str, type[Any]]) -> Message | None:
    """The message of a frame, or ``None`` for a type that this side does not know.

    Raises ``msgspec.ValidationError`` or ``msgspec.DecodeError`` for what is no message.
    """
    envelope = _decode_envelope(frame)
    kind = kinds.get(envelope.type)
    if kind is None:
        return None
    message: Message = msgspec.json.decode(envelope.message, type=kind)
    return message
