"""When records that only history needs are forgotten.  Pure.

AWS keeps STOPPED tasks describable for at least an hour and INACTIVE services and clusters
for a while that it does not name.  Everything here answers one question: at which time may
this record be forgotten, if at all.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.service import Service
from openecs.model.task import Task


class Retention(NamedTuple):
    """How long records stay after their end, in seconds."""

    stopped_task: float = 3600.0
    inactive_service: float = 24 * 3600.0
    inactive_cluster: float = 24 * 3600.0
    #: AWS remembers client tokens for 24 hours; an hour more keeps clocks out of it.
    client_token: float = 25 * 3600.0


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


def forget_token_at(token: ClientToken, retention: Retention) -> float:
    """When a used client token may be used again for something else."""
    return token.used_at + retention.client_token
