"""Client tokens of CreateService and CreateTaskSet: the same token means the same thing.

The names of the records keep them apart from RunTask's tokens.
"""

from __future__ import annotations

import hashlib

import msgspec

from openecs.api.ecs import service_validation as validation
from openecs.model.cluster import Cluster
from openecs.model.idempotency import ClientToken
from openecs.model.service import Service
from openecs.shapes import ecs
from openecs.state.state import State


def for_create(cluster: Cluster, request: ecs.CreateServiceRequest, now: float) -> ClientToken:
    """The record that remembers the token of a CreateService call."""
    prefix = cluster.arn.replace(":cluster/", ":service/", 1)
    return ClientToken(
        cluster_arn=cluster.arn,
        token=f"CreateService/{request.client_token}",
        request_hash=request_hash(request),
        task_arns=(f"{prefix}/{request.service_name}",),
        used_at=now,
    )


def used_before(state: State, token: ClientToken, existing: Service | None) -> bool:
    """Whether this token made the service that is there; a conflict raises."""
    known = state.client_tokens.get(token.key)
    if known is None:
        return False
    if known.request_hash != token.request_hash:
        raise validation.not_idempotent()
    return existing is not None and existing.status == "ACTIVE" and existing.arn in known.task_arns


def request_hash(request: ecs.CreateServiceRequest | ecs.CreateTaskSetRequest) -> str:
    """SHA-256 of what was asked for."""
    return hashlib.sha256(msgspec.json.encode(request, order="sorted")).hexdigest()
