"""A task set as the API shows it.  Pure; counts are taken from the tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.planning import task_set_plan
from openecs.shapes import ecs

_PENDING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})


class TaskCount(NamedTuple):
    """The tasks of one deployment that nobody told to stop."""

    running: int = 0
    pending: int = 0


def count_tasks(tasks: Iterable[Task]) -> dict[str | None, TaskCount]:
    """Deployment id → its tasks.  What was told to stop counts nowhere any more."""
    running: Counter[str | None] = Counter()
    pending: Counter[str | None] = Counter()
    for task in tasks:
        if task.desired_status != "RUNNING":
            continue
        if task.last_status == "RUNNING":
            running[task.deployment_id] += 1
        elif task.last_status in _PENDING:
            pending[task.deployment_id] += 1
    return {identifier: TaskCount(running[identifier], pending[identifier]) for identifier in running | pending}


def computed_desired_count(service: Service, deployment: Deployment) -> int:
    """The scale of a task set in tasks, rounded up; none once it is DRAINING."""
    settings = deployment.task_set
    if settings is None or deployment.status == "DRAINING":
        return 0
    return task_set_plan.computed_desired_count(service.desired_count, settings.scale)


def render(
    service: Service, deployment: Deployment, count: TaskCount, tags: tuple[ecs.Tag, ...] | None = None
) -> ecs.TaskSet:
    """DescribeTaskSets' answer for one task set; ``tags`` is ``None`` when not asked for."""
    settings = deployment.task_set
    if settings is None:
        raise ValueError(f"{deployment.id} is no task set")
    strategy = deployment.capacity_provider_strategy
    return ecs.TaskSet(
        id=deployment.id,
        task_set_arn=settings.arn,
        service_arn=service.arn,
        cluster_arn=service.cluster_arn,
        external_id=settings.external_id,
        status=deployment.status,
        task_definition=deployment.task_definition_arn,
        computed_desired_count=computed_desired_count(service, deployment),
        pending_count=count.pending,
        running_count=count.running,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
        launch_type=None if strategy else deployment.launch_type,
        capacity_provider_strategy=strategy or None,
        platform_version=deployment.platform_version,
        platform_family=deployment.platform_family,
        network_configuration=deployment.network_configuration,
        load_balancers=deployment.load_balancers,
        service_registries=deployment.service_registries,
        scale=ecs.Scale(value=settings.scale, unit="PERCENT"),
        stability_status=settings.stability_status,
        stability_status_at=settings.stability_status_at,
        tags=tags,
    )
