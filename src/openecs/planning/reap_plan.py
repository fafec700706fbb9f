"""When records that only history needs are forgotten.  Pure.

AWS keeps STOPPED tasks describable for at least an hour and INACTIVE services and clusters
for a while that it does not name.  Everything here answers one question: at which time may
this record be forgotten, if at all.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.model.capacity_provider import CapacityProvider
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.service import Service
from openecs.model.service_deployment import ServiceDeployment, ServiceRevision
from openecs.model.task import Task


class Retention(NamedTuple):
    """How long records stay after their end, in seconds."""

    stopped_task: float = 3600.0
    inactive_service: float = 24 * 3600.0
    inactive_cluster: float = 24 * 3600.0
    inactive_capacity_provider: float = 24 * 3600.0
    #: AWS remembers client tokens for 24 hours; an hour more keeps clocks out of it.
    client_token: float = 25 * 3600.0
    #: Of services that are still there; those of a deleted service go with it.
    service_deployment: float = 90 * 24 * 3600.0


def forget_task_at(task: Task, retention: Retention) -> float | None:
    """When a task may be forgotten; ``None`` while it may still run.

    A STOPPED task without a time of stopping counts from its creation: no agent will add one.
    """
    if not task.stopped:
        return None
    ended = task.stopped_at if task.stopped_at is not None else task.created_at
    return ended + retention.stopped_task


def forget_service_at(service: Service, retention: Retention) -> float | None:
    """When a service may be forgotten; ``None`` while it is not INACTIVE."""
    if service.status != "INACTIVE":
        return None
    return (service.deleted_at or service.created_at) + retention.inactive_service


def forget_cluster_at(cluster: Cluster, retention: Retention) -> float | None:
    """When a cluster may be forgotten; ``None`` while it is not INACTIVE."""
    if cluster.status != "INACTIVE":
        return None
    return (cluster.deleted_at or cluster.created_at) + retention.inactive_cluster


def forget_provider_at(provider: CapacityProvider, retention: Retention) -> float | None:
    """When a capacity provider may be forgotten; ``None`` while it is not INACTIVE."""
    if provider.status != "INACTIVE":
        return None
    return (provider.deleted_at or provider.created_at) + retention.inactive_capacity_provider


def forget_token_at(token: ClientToken, retention: Retention) -> float:
    """When a used client token may be used again for something else."""
    return token.used_at + retention.client_token


def forget_service_deployment_at(deployment: ServiceDeployment, retention: Retention) -> float | None:
    """When a service deployment of a living service may be forgotten; ``None`` before its end."""
    if not deployment.finished:
        return None
    ended = deployment.finished_at if deployment.finished_at is not None else deployment.stopped_at
    return (ended if ended is not None else deployment.updated_at) + retention.service_deployment


def forget_service_revision_at(revision: ServiceRevision, retention: Retention) -> float:
    """When a service revision of a living service may be forgotten, if nothing names it any more."""
    return revision.created_at + retention.service_deployment


def needed_revisions(service: Service) -> set[str]:
    """The revisions that a service runs or may go back to."""
    kept = {deployment.revision_arn for deployment in service.deployments}
    if service.last_completed is not None:
        kept.add(service.last_completed.revision_arn)
    return kept


def named_revisions(deployment: ServiceDeployment) -> set[str]:
    """The revisions that DescribeServiceDeployments shows for a service deployment."""
    named = {deployment.target_revision_arn, *deployment.source_revision_arns}
    if deployment.rollback_revision_arn is not None:
        named.add(deployment.rollback_revision_arn)
    return named
