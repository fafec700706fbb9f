"""What the agent knows of one task: records that are replaced, never changed in place.

They are persisted after every step, so they hold facts only; whatever follows from the task's
payload is computed again from it.  No decisions here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openecs.shapes import ecs

ContainerStatus = Literal["NONE", "PULLED", "CREATED", "RUNNING", "STOPPED"]
TaskStatus = Literal["NONE", "RUNNING", "STOPPED"]
Health = Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"]
Doing = Literal["", "fetch", "create", "start", "stop"]


class ContainerState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One container.  Times are seconds since the epoch."""

    name: str
    #: The unguessable part of its metadata URI.
    token: str
    status: ContainerStatus = "NONE"
    #: The action that is under way for it; forgotten when the agent restarts.
    doing: Doing = ""
    container_id: str | None = None
    image_id: str | None = None
    #: ``sha256:…`` when a registry told it.
    image_digest: str | None = None
    bindings: tuple[ecs.NetworkBinding, ...] = ()
    #: Whether it ever ran: START and COMPLETE conditions need to know.
    has_run: bool = False
    #: When it last started, by the engine's or our clock.
    started_at: float | None = None
    #: The engine's time of the last exit that was handled; tells a new exit from an old one.
    exit_seen: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    #: The first recorded error; it stays.
    reason: str | None = None
    restarts: int = 0
    #: How often a dynamic host port turned out to be taken.
    port_conflicts: int = 0
    health: Health = "UNKNOWN"
    health_since: float | None = None
    health_exit_code: int | None = None
    health_output: str = ""

    @property
    def stopped(self) -> bool:
        return self.status == "STOPPED"


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One SubmitTaskStateChange to be sent, without cluster and task."""

    status: Literal["PENDING", "RUNNING", "STOPPED"]
    #: Whether the task's own status changed, or only containers'.
    task_changed: bool = True
    reason: str = ""
    containers: tuple[ecs.ContainerStateChange, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
    #: ARNs of attachments that are in place now.
    attached: tuple[str, ...] = ()


class TaskState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task.  ``status`` is what was observed, ``desired`` what was asked."""

    arn: str
    containers: tuple[ContainerState, ...]
    desired: Literal["RUNNING", "STOPPED"] = "RUNNING"
    status: TaskStatus = "NONE"
    #: Volumes, limits and network: absent, being made, there, being taken down, gone.
    resources: Literal["none", "making", "ready", "releasing", "released"] = "none"
    #: Docker network mode that the prepared network prescribes, if it prescribes one.
    network_mode: str | None = None
    reason: str = ""
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    #: What the control plane does not know yet, oldest first.
    reports: tuple[Report, ...] = ()
    #: Containers and volumes are being removed, or are gone.
    cleanup: Literal["", "doing", "done"] = ""

    def container(self, name: str) -> ContainerState:
        """The container of that name; ``KeyError`` when there is none."""
        for container in self.containers:
            if container.name == name:
                return container
        raise KeyError(name)
