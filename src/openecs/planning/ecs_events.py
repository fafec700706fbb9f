"""The events that Amazon ECS sends to EventBridge, made of changes of records.  Pure.

Each function gives events without their envelope's id and account: what kind, about what, and the
detail as JSON.  A detail has the members of the API's structures, with times as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from openecs.model.event import iso_milliseconds
from openecs.model.service import Deployment, Service, ServiceEvents
from openecs.planning.service_events import placement_reason
from openecs.shapes import ecs

SOURCE = "aws.ecs"
TASK_STATE_CHANGE = "ECS Task State Change"
INSTANCE_STATE_CHANGE = "ECS Container Instance State Change"
SERVICE_ACTION = "ECS Service Action"
DEPLOYMENT_STATE_CHANGE = "ECS Deployment State Change"

#: Members that DescribeTasks and DescribeContainerInstances show and their events do not.
_NOT_OF_TASKS = ("tags",)
_NOT_OF_INSTANCES = ("tags", "attachments", "runningTasksCount", "pendingTasksCount", "healthStatus")

#: What the text of a service's event says → type and name of the event.
_ACTIONS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(text), kind, name)
    for text, kind, name in (
        (r"has reached a steady state\.$", "INFO", "SERVICE_STEADY_STATE"),
        (r"has stopped \d+ running tasks|stopped \d+ pending tasks", "INFO", "TASKS_STOPPED"),
        (r"is unable to consistently start tasks successfully", "WARN", "SERVICE_TASK_START_IMPAIRED"),
        (r"unable to place (a task|tasks)", "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE"),
        (r"failed to launch a task with \(error ", "ERROR", "SERVICE_TASK_CONFIGURATION_FAILURE"),
    )
)
_LAUNCH_ERROR = re.compile(r"failed to launch a task with \(error (.*)\)\.$", re.DOTALL)
_DEPLOYMENT_TYPES = {"IN_PROGRESS": "INFO", "COMPLETED": "INFO", "FAILED": "ERROR"}


class EcsEvent(NamedTuple):
    """What happened; ``detail`` is JSON."""

    detail_type: str
    resources: tuple[str, ...]
    detail: bytes


def task_event(task: ecs.Task, now: float) -> EcsEvent:
    """A task as it has become."""
    detail = _members(task, _NOT_OF_TASKS)
    for attachment in detail.get("attachments", ()):
        if attachment["type"] == "ElasticNetworkInterface":
            attachment["type"] = "eni"
    return EcsEvent(TASK_STATE_CHANGE, (task.task_arn or "",), _detail(detail | {"updatedAt": iso_milliseconds(now)}))


def instance_event(instance: ecs.ContainerInstance, cluster_arn: str, now: float) -> EcsEvent:
    """A container instance as it has become."""
    detail = _members(instance, _NOT_OF_INSTANCES) | {"clusterArn": cluster_arn, "updatedAt": iso_milliseconds(now)}
    return EcsEvent(INSTANCE_STATE_CHANGE, (instance.container_instance_arn or "",), _detail(detail))


def service_actions(service: Service, old: ServiceEvents | None, new: ServiceEvents | None) -> Iterator[EcsEvent]:
    """What a service's newest messages come to, oldest first."""
    known = {event.id for event in old.events} if old is not None else frozenset()
    for event in reversed(new.events if new is not None else ()):
        if event.id not in known:
            yield from _told(service, event)


def _told(service: Service, event: ecs.ServiceEvent) -> Iterator[EcsEvent]:
    text = event.message or ""
    for pattern, kind, name in _ACTIONS:
        if not pattern.search(text):
            continue
        more: dict[str, Any] = {}
        if name == "SERVICE_TASK_PLACEMENT_FAILURE":
            reason = placement_reason(text)
            more = _places(service) | ({"reason": reason} if reason else {})
        elif launch_error := _LAUNCH_ERROR.search(text):
            more = {"reason": launch_error[1]}
        yield action(service, kind, name, event.created_at or 0.0, **more)
        return


def service_changes(old: Service | None, new: Service | None, now: float) -> Iterator[EcsEvent]:
    """Service actions that no message tells of."""
    if old is None or new is None:
        return
    if new.scheduling_strategy == "DAEMON" and old.desired_count != new.desired_count:
        # Only what the scheduler computes is told; what a user sets is not.
        yield action(new, "INFO", "SERVICE_DESIRED_COUNT_UPDATED", now, desiredCount=new.desired_count)
    before = {d.id: d.task_set.stability_status for d in old.deployments if d.task_set is not None}
    for deployment in new.deployments:
        task_set = deployment.task_set
        if task_set is None or task_set.stability_status != "STEADY_STATE":
            continue
        if before.get(deployment.id) not in (None, "STEADY_STATE"):
            steady = action(new, "INFO", "TASKSET_STEADY_STATE", now)
            yield steady._replace(resources=(task_set.arn,))


def action(service: Service, kind: str, name: str, at: float, **more: Any) -> EcsEvent:
    """One ECS Service Action."""
    detail = {
        "eventType": kind,
        "eventName": name,
        "clusterArn": service.cluster_arn,
        **more,
        "createdAt": iso_milliseconds(at),
    }
    return EcsEvent(SERVICE_ACTION, (service.arn,), _detail(detail))


def deployment_events(old: Service | None, new: Service | None, now: float) -> Iterator[EcsEvent]:
    """Deployments that began, are completed or have failed."""
    if new is None or new.deployment_controller != "ECS":
        return
    before = {d.id: d.rollout_state for d in old.deployments} if old is not None else {}
    for deployment in reversed(new.deployments):
        if before.get(deployment.id) != deployment.rollout_state:
            yield _deployment_event(new, deployment, now)


def _deployment_event(service: Service, deployment: Deployment, now: float) -> EcsEvent:
    detail = {
        "eventType": _DEPLOYMENT_TYPES[deployment.rollout_state],
        "eventName": f"SERVICE_DEPLOYMENT_{deployment.rollout_state}",
        "deploymentId": deployment.id,
        "updatedAt": iso_milliseconds(now),
        "reason": deployment.rollout_state_reason,
    }
    return EcsEvent(DEPLOYMENT_STATE_CHANGE, (service.arn,), _detail(detail))


def _places(service: Service) -> dict[str, Any]:
    """The capacity providers that were to take the tasks, if it has any."""
    primary = service.primary
    providers = [item.capacity_provider for item in primary.capacity_provider_strategy] if primary else []
    cluster = service.cluster_arn.rsplit("/", 1)[0].removesuffix(":cluster")
    return {"capacityProviderArns": [f"{cluster}:capacity-provider/{name}" for name in providers]} if providers else {}


def _members(shape: msgspec.Struct, without: tuple[str, ...]) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(shape)
    for name in without:
        members.pop(name, None)
    for name, value in members.items():
        if name.endswith("At") and isinstance(value, int | float):
            members[name] = iso_milliseconds(value)
    return members


def _detail(members: dict[str, Any]) -> bytes:
    return msgspec.json.encode(members)
