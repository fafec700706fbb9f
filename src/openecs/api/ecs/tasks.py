"""DescribeTasks, ListTasks and StopTask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from openecs import arn as arns
from openecs.api.ecs import lookup, service_lookup
from openecs.api.ecs.task_view import TaskViews
from openecs.errors import AWSError, invalid_parameter, not_supported
from openecs.model.cluster import Cluster
from openecs.model.task import Task
from openecs.model.task_state import request_stop
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_DESCRIBED = 100
STOPPED_BY_USER = "Task stopped by user"
#: AWS cuts a longer reason.
MAX_REASON = 1024


class _Filters(NamedTuple):
    """What ListTasks was asked for; ``None`` lets every task pass."""

    desired_status: str
    started_by: str | None
    launch_type: str | None
    family: str | None
    service_arn: str | None
    instance_arn: str | None

    def match(self, task: Task) -> bool:
        """Whether a task satisfies every filter."""
        return (
            task.desired_status == self.desired_status
            and self.started_by in (None, task.started_by)
            and self.launch_type in (None, task.launch_type)
            and (self.family is None or self.family == _family(task))
            and self.service_arn in (None, task.service_arn)
            and self.instance_arn in (None, task.container_instance_arn)
        )


class Tasks:
    """The operations on existing tasks."""

    def __init__(self, state: State, pagination: Pagination, views: TaskViews) -> None:
        self._state = state
        self._pagination = pagination
        self._views = views

    def handlers(self) -> Handlers:
        return {
            "DescribeTasks": self.describe_tasks,
            "ListTasks": self.list_tasks,
            "StopTask": self.stop_task,
        }

    def describe_tasks(self, call: Call, request: ecs.DescribeTasksRequest) -> ecs.DescribeTasksResponse:
        """Up to 100 tasks; absent ones are ``failures`` with reason MISSING."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        if not request.tasks:
            raise invalid_parameter("Tasks cannot be empty.")
        if len(request.tasks) > MAX_DESCRIBED:
            raise invalid_parameter(f"Tasks can have at most {MAX_DESCRIBED} items.")
        tags = "TAGS" in (request.include or ())
        tasks: list[ecs.Task] = []
        failures: list[ecs.Failure] = []
        for reference in dict.fromkeys(request.tasks):
            task = lookup.task(self._state, cluster, reference)
            if task is None:
                failures.append(ecs.Failure(arn=lookup.task_arn(cluster, reference), reason="MISSING"))
            else:
                tasks.append(self._views.view(task, tags=tags))
        return ecs.DescribeTasksResponse(tasks=tuple(tasks), failures=tuple(failures))

    def list_tasks(self, call: Call, request: ecs.ListTasksRequest) -> ecs.ListTasksResponse:
        """ARNs of the tasks that satisfy every filter; RUNNING desired status by default."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        if request.daemon_name:
            raise not_supported("daemonName")
        filters = _Filters(
            desired_status=request.desired_status or "RUNNING",
            started_by=request.started_by,
            launch_type=request.launch_type,
            family=request.family,
            service_arn=self._service_arn(cluster, request.service_name),
            instance_arn=self._instance_arn(cluster, request.container_instance),
        )
        found = [task.arn for task in self._narrowest(cluster, filters) if filters.match(task)]
        page, token = self._pagination.paginate(
            sorted(found),
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=f"ListTasks:{cluster.arn}:{tuple(filters)}",
        )
        return ecs.ListTasksResponse(task_arns=tuple(page), next_token=token)

    def stop_task(self, call: Call, request: ecs.StopTaskRequest) -> ecs.StopTaskResponse:
        """Ask a task to stop; the agent's report makes it STOPPED."""
        cluster = lookup.cluster(self._state, call, request.cluster)
        task = lookup.task(self._state, cluster, request.task)
        if task is None:
            raise invalid_parameter("The referenced task was not found.")
        if task.desired_status != "STOPPED":
            reason = (request.reason or STOPPED_BY_USER)[:MAX_REASON]
            task = request_stop(task, now=call.now, stop_code="UserInitiated", reason=reason)
            with self._state.transaction() as tx:
                tx.put(task)
        return ecs.StopTaskResponse(task=self._views.view(task))

    def _service_arn(self, cluster: Cluster, reference: str | None) -> str | None:
        if not reference:
            return None
        service = service_lookup.find(self._state, cluster, reference)
        if service is None:
            raise AWSError("ServiceNotFoundException", "Service not found.")
        return service.arn

    def _instance_arn(self, cluster: Cluster, reference: str | None) -> str | None:
        if not reference:
            return None
        instance = lookup.container_instance(self._state, cluster, reference)
        if instance is None:
            raise invalid_parameter("The specified container instance was not found.")
        return instance.arn

    def _narrowest(self, cluster: Cluster, filters: _Filters) -> Iterable[Task]:
        """The tasks of the index that leaves the fewest to look at; all are of the cluster."""
        if filters.service_arn is not None:
            return self._state.tasks.by("service", filters.service_arn)
        if filters.instance_arn is not None:
            return self._state.tasks.by("container_instance", filters.instance_arn)
        return self._state.tasks.by("cluster", cluster.arn)


def _family(task: Task) -> str:
    return arns.short(task.task_definition_arn).rsplit(":", 1)[0]
