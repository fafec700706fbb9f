"""What agents call: where to connect, and what they observed of tasks.

Reports are merged by ``model.task_state``; nothing here decides about a task.  Errors matter
to agents: they drop a report that is refused with InvalidParameterException and repeat it for
ever on any other one.
"""

from __future__ import annotations

from collections.abc import Iterable

from openecs import arn as arns
from openecs.acs.gateway import ACS_PATH
from openecs.acs.telemetry import TCS_PATH
from openecs.api.ecs import lookup
from openecs.api.ecs.node_ownership import require_owner
from openecs.errors import invalid_parameter
from openecs.model import task_state
from openecs.model.task import Task
from openecs.model.task_report import ContainerReport, TaskReport
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

ACKNOWLEDGED = "ACCEPT"
#: Agents' words for a task's status → ours.
STATUSES = {
    "NONE": "PENDING",
    "MANIFEST_PULLED": "PENDING",
    "PULLED": "PENDING",
    "CREATED": "PENDING",
    "PENDING": "PENDING",
    "RUNNING": "RUNNING",
    "STOPPED": "STOPPED",
}


class AgentOperations:
    """The agents' own operations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        return {
            "DiscoverPollEndpoint": self.discover_poll_endpoint,
            "SubmitTaskStateChange": self.submit_task_state_change,
            "SubmitContainerStateChange": self.submit_container_state_change,
            "SubmitAttachmentStateChanges": self.submit_attachment_state_changes,
        }

    def discover_poll_endpoint(
        self, call: Call, request: ecs.DiscoverPollEndpointRequest
    ) -> ecs.DiscoverPollEndpointResponse:
        """Both endpoints are at the address at which the agent reached us; who may connect is
        decided when it does."""
        del request
        return ecs.DiscoverPollEndpointResponse(
            endpoint=call.endpoint + ACS_PATH, telemetry_endpoint=call.endpoint + TCS_PATH
        )

    def submit_task_state_change(
        self, call: Call, request: ecs.SubmitTaskStateChangeRequest
    ) -> ecs.SubmitTaskStateChangeResponse:
        """A task's change with those of its containers."""
        status = None
        if request.status:
            status = STATUSES.get(request.status)
            if status is None:
                raise invalid_parameter(f"Invalid task status: {request.status}")
        report = TaskReport(
            status=status,
            reason=request.reason or "",
            containers=tuple(
                ContainerReport(
                    name=c.container_name or "",
                    status=c.status,
                    runtime_id=c.runtime_id,
                    image_digest=c.image_digest,
                    exit_code=c.exit_code,
                    reason=c.reason,
                    network_bindings=c.network_bindings,
                )
                for c in request.containers or ()
            ),
            pull_started_at=request.pull_started_at,
            pull_stopped_at=request.pull_stopped_at,
            execution_stopped_at=request.execution_stopped_at,
            attached=_attached(request.attachments or ()),
        )
        self._report(call, self._task(call, request.cluster, request.task), report)
        return ecs.SubmitTaskStateChangeResponse(acknowledgment=ACKNOWLEDGED)

    def submit_container_state_change(
        self, call: Call, request: ecs.SubmitContainerStateChangeRequest
    ) -> ecs.SubmitContainerStateChangeResponse:
        """One container's change, from agents that do not batch them."""
        if not request.container_name:
            raise invalid_parameter("Container name cannot be blank.")
        container = ContainerReport(
            name=request.container_name,
            status=request.status,
            runtime_id=request.runtime_id,
            exit_code=request.exit_code,
            reason=request.reason,
            network_bindings=request.network_bindings,
        )
        self._report(call, self._task(call, request.cluster, request.task), TaskReport(containers=(container,)))
        return ecs.SubmitContainerStateChangeResponse(acknowledgment=ACKNOWLEDGED)

    def submit_attachment_state_changes(
        self, call: Call, request: ecs.SubmitAttachmentStateChangesRequest
    ) -> ecs.SubmitAttachmentStateChangesResponse:
        """Attachments of tasks; container instances have none of their own."""
        attached = set(_attached(request.attachments))
        wanted = {arns.short(a.attachment_arn) for a in request.attachments}
        tasks = {task.eni.attachment_id: task for task in self._own_tasks(call) if task.eni is not None}
        missing = sorted(wanted - tasks.keys())
        if missing:
            raise invalid_parameter(f"Unknown attachments: {', '.join(missing)}")
        for attachment_id in sorted(attached):
            self._report(call, tasks[attachment_id], TaskReport(attached=(attachment_id,)))
        return ecs.SubmitAttachmentStateChangesResponse(acknowledgment=ACKNOWLEDGED)

    def _task(self, call: Call, cluster: str | None, reference: str | None) -> Task:
        """The task, wherever it is: an agent names the cluster in which it registered, and its
        node may have been lent to the task's cluster."""
        if not reference:
            raise invalid_parameter("Task cannot be blank.")
        arn = reference
        if not reference.startswith("arn:"):
            arn = lookup.task_arn(lookup.cluster(self._state, call, cluster), reference)
        task = self._state.tasks.get(arn)
        if task is None:
            raise invalid_parameter("The referenced task was not found.")
        require_owner(call, self._state.nodes.get(task.node_id or ""), arn)
        return task

    def _report(self, call: Call, task: Task, report: TaskReport) -> None:
        changed = task_state.apply_report(task, report, call.now)
        if changed is not task:
            with self._state.transaction() as tx:
                tx.put(changed)

    def _own_tasks(self, call: Call) -> Iterable[Task]:
        for node in self._state.nodes:
            if call.principal.kind == "root" or node.owner == call.principal.arn:
                yield from self._state.tasks.by("live_on_node", node.id)


def _attached(attachments: Iterable[ecs.AttachmentStateChange]) -> tuple[str, ...]:
    return tuple(arns.short(a.attachment_arn) for a in attachments if a.status == "ATTACHED")
