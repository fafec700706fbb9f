"""From what a caller wrote to the task set that it means."""

from __future__ import annotations

import re

from openecs import arn as arns
from openecs.api.ecs import service_lookup
from openecs.api.ecs import service_records as records
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.service import Deployment, Service, TaskSetSettings
from openecs.state.state import State

_IDENTIFIER = re.compile(r"ecs-svc/[0-9]{1,20}", re.ASCII)


def external_service(state: State, cluster: Cluster, reference: str) -> Service:
    """The ACTIVE service; raises unless it has the EXTERNAL controller."""
    service = service_lookup.active(state, cluster, reference)
    if service.deployment_controller != "EXTERNAL":
        raise invalid_parameter(
            "Amazon ECS only supports task set management on services configured to use external deployment "
            "controllers."
        )
    return service


def identifier(service: Service, reference: str) -> str:
    """The id, ``ecs-svc/N``, that an id or ARN of a task set stands for."""
    found = reference
    if reference.startswith("arn:"):
        parsed = arns.parse(reference)
        found = "/".join(parsed.path[2:]) if parsed is not None and parsed.kind == "task-set" else ""
        if found and reference != arn(service, found):
            raise invalid_parameter("The task set belongs to another service.")
    if not _IDENTIFIER.fullmatch(found):
        raise invalid_parameter("Task Set Identifier is invalid")
    return found


def arn(service: Service, task_set_id: str) -> str:
    """The ARN of a task set of the service."""
    return records.task_set_arn(service.arn, task_set_id)


def find(service: Service, reference: str) -> tuple[Deployment, TaskSetSettings]:
    """The task set, DRAINING ones included; ``TaskSetNotFoundException`` otherwise."""
    wanted = identifier(service, reference)
    for deployment in service.deployments:
        if deployment.id == wanted and deployment.task_set is not None:
            return deployment, deployment.task_set
    raise AWSError("TaskSetNotFoundException", "The specified task set was not found.")


def live(service: Service, reference: str) -> tuple[Deployment, TaskSetSettings]:
    """The task set that can be changed; one that is being deleted cannot."""
    deployment, settings = find(service, reference)
    if deployment.status == "DRAINING":
        raise invalid_parameter("The task set is being deleted.")
    return deployment, settings
