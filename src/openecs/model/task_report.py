"""What an agent reported of a task, in plain records: the input of ``task_state``.

Not the wire's shapes and not the task itself: the API handlers and the telemetry gateway
translate into these, so that the merging rules need to know one form only.
"""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import ecs


class ContainerReport(Record, frozen=True):
    """What was said of one container.  Absent members were not said."""

    name: str
    #: PENDING, RUNNING or STOPPED; other words say nothing about the container's status.
    status: str | None = None
    runtime_id: str | None = None
    image_digest: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    network_bindings: tuple[ecs.NetworkBinding, ...] | None = None


class TaskReport(Record, frozen=True):
    """One SubmitTaskStateChange, or what a SubmitContainerStateChange adds to a task."""

    #: PENDING, RUNNING or STOPPED; ``None`` when only containers or attachments are meant.
    status: str | None = None
    #: The agent's own words; empty for an ordinary change.
    reason: str = ""
    #: In the order in which it happened; a container may occur twice.
    containers: tuple[ContainerReport, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None
    #: Ids of the attachments that the agent found attached.
    attached: tuple[str, ...] = ()
