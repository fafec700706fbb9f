"""What the machine starts from: a task's plan, and its state when new or after a restart.  Pure."""

from __future__ import annotations

import msgspec

from openecs.acs.task_payload import ContainerPayload, TaskPayload
from openecs.agent.engine.graph import Graph
from openecs.agent.engine.task_state import ContainerState, TaskState


class TaskPlan:
    """What follows from a task's payload and the node's settings, computed once."""

    def __init__(self, payload: TaskPayload, *, stop_timeout: int, cleanup_delay: float, prepare: bool) -> None:
        self.graph = Graph(payload)
        self.containers: dict[str, ContainerPayload] = self.graph.containers
        self.resolvable = self.graph.resolvable()
        self.stop_timeout = stop_timeout
        #: Seconds between STOPPED and the removal of containers.
        self.cleanup_delay = cleanup_delay
        #: Whether volumes, limits or a network must be made first.
        self.prepare = prepare
        self.attachments = tuple(eni.attachment_arn for eni in payload.elastic_network_interfaces)


def fresh(payload: TaskPayload, tokens: list[str]) -> TaskState:
    """The state of a task just received; ``tokens`` are one metadata token per container."""
    containers = tuple(
        ContainerState(name=c.name, token=token) for c, token in zip(payload.containers, tokens, strict=True)
    )
    return TaskState(arn=payload.arn, containers=containers)


def restored(state: TaskState) -> TaskState:
    """The state after a restart of the agent: nothing is under way any more."""
    resources = {"making": "none", "releasing": "ready"}.get(state.resources, state.resources)
    return msgspec.structs.replace(
        state,
        resources=resources,
        cleanup="" if state.cleanup == "doing" else state.cleanup,
        # An exit whose restart was under way must be seen again, or it would never be answered.
        containers=tuple(msgspec.structs.replace(c, doing="", exit_seen=None) for c in state.containers),
    )
