"""DescribeTasks, ListTasks and StopTask."""

from __future__ import annotations

from collections.abc import Iterable

from openecs import arn as arns
from openecs.api.ecs import lookup
from openecs.api.ecs.task_view import TaskViews
from openecs.errors import AWSError, invalid_parameter
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
            raise invalid_parameter("Tasks can not be empty.")
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
        desired = request.desired_status or "RUNNING"
        found = [
            task.arn
            for task in self._narrowest(cluster, request)
            if task.cluster_arn == cluster.arn
            and task.desired_status == desired
            and (request.started_by is None or task.started_by == request.started_by)
            and (request.launch_type is None or task.launch_type == request.launch_type)
            and (request.family is None or _family(task) == request.family)
            and (request.service_name is None or task.service_arn is not None)
        ]
        page, token = self._pagination.paginate(
            sorted(found),
            max_results=request.max_results,
            next_token=request.next_token,
            default=100,
            limit=100,
            scope=f"ListTasks:{cluster.arn}",
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

    def _narrowest(self, cluster: Cluster, request: ecs.ListTasksRequest) -> Iterable[Task]:
        """The tasks of the index that leaves the fewest to look at."""
        if request.service_name is not None:
            name = arns.short(request.service_name)
            prefix = cluster.arn.replace(":cluster/", ":service/")
            service_arn = f"{prefix}/{name}"
            if self._state.services.get(service_arn) is None:
                raise AWSError("ServiceNotFoundException", "Service not found.")
            return self._state.tasks.by("service", service_arn)
        if request.container_instance is not None:
            instance = lookup.container_instance(self._state, cluster, request.container_instance)
            if instance is None:
                raise invalid_parameter("The specified container instance was not found.")
            return self._state.tasks.by("container_instance", instance.arn)
        return self._state.tasks.by("cluster", cluster.arn)


def _family(task: Task) -> str:
    return arns.short(task.task_definition_arn).rsplit(":", 1)[0]
