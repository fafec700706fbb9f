"""How one container of a task takes in what agents report of it.  Pure.

A container's status never goes back, and what was once learnt (id, digest, exit code) is
never overwritten: reports may come twice, and an old one may be repeated after a newer one.
"""

from __future__ import annotations

import msgspec

from openecs.model.task import TaskContainer
from openecs.model.task_report import ContainerReport

_ORDER = {"PENDING": 0, "RUNNING": 1, "STOPPED": 2}

#: How the reasons of containers begin that were never started.
_NEVER_STARTED = (
    "CannotPull",
    "CannotCreate",
    "CannotStart",
    "CannotInspectContainer",
    "ContainerNetworkingError",
    "DockerClientConfigError",
    "DockerTimeoutError: Could not transition to created",
    "DockerTimeoutError: Could not transition to pulled",
    "DockerTimeoutError: Could not transition to started",
    "HostConfigError",
    "ResourceInitializationError",
    "TaskDependencyError",
    "TaskStoppedBeforePullBeginError",
)
#: How reasons begin that agents keep from before the start of a container that then ran.
_BEFORE_START = ("CannotPull",)


def merge(container: TaskContainer, report: ContainerReport) -> TaskContainer:
    """The container after the report; the same record when the report says nothing new."""
    status = container.last_status
    if report.status is not None and _ORDER.get(report.status, -1) > _ORDER[status]:
        status = report.status  # type: ignore[assignment]
    merged = msgspec.structs.replace(
        container,
        last_status=status,
        runtime_id=container.runtime_id or report.runtime_id,
        image_digest=container.image_digest or report.image_digest,
        exit_code=container.exit_code if container.exit_code is not None else report.exit_code,
        network_bindings=container.network_bindings or report.network_bindings or (),
        reason=container.reason or _reason(container, report),
    )
    return container if merged == container else merged


def ran(container: TaskContainer) -> bool:
    """Whether the engine had the container running at some time.

    An exit code alone does not prove it: containers whose dependency failed are reported with
    exit code 143, and engines give 127 to what they could not start.
    """
    if container.last_status == "RUNNING":
        return True
    if container.last_status != "STOPPED" or container.exit_code is None or container.runtime_id is None:
        return False
    return not (container.reason or "").startswith(_NEVER_STARTED)


def ended(container: TaskContainer) -> bool:
    """Whether the container had run and has come to its end."""
    return container.last_status == "STOPPED" and ran(container)


def _reason(container: TaskContainer, report: ContainerReport) -> str | None:
    """The reason worth keeping, if any.

    Agents report the first error of a container for ever: a failed attempt to look up a digest
    stays with a container that then ran happily.  So a reason counts only when it comes with the
    container's end, and a pull error only when the container never ran.
    """
    if not report.reason or report.status != "STOPPED" or container.last_status == "STOPPED":
        return None
    started = container.last_status == "RUNNING" or (report.exit_code is not None and report.runtime_id is not None)
    if started and report.reason.startswith(_BEFORE_START):
        return None
    return report.reason[:1024]
