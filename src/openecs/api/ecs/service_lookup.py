"""From what a caller wrote to the service record that it means."""

from __future__ import annotations

from openecs import arn as arns
from openecs.api.ecs import lookup
from openecs.api.ecs import service_validation as validation
from openecs.errors import invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.service import Service
from openecs.state.state import State


def service_arn(cluster: Cluster, reference: str) -> str:
    """The ARN that a service's name or ARN stands for in a cluster.

    ARNs without the cluster's name, which old accounts still write, are understood too.
    """
    prefix = cluster.arn.replace(":cluster/", ":service/", 1)
    if not reference.startswith("arn:"):
        return f"{prefix}/{reference}"
    parsed = arns.parse(reference)
    if parsed is None or parsed.kind != "service":
        raise invalid_parameter("Identifier is for a different resource type: expected service.")
    if len(parsed.path) == 1:
        return f"{prefix}/{parsed.path[0]}"
    lookup.check_cluster(cluster, parsed)
    return reference


def find(state: State, cluster: Cluster, reference: str) -> Service | None:
    """The service of that cluster, INACTIVE ones included while they are remembered."""
    found = state.services.get(service_arn(cluster, reference))
    return found if found is not None and found.cluster_arn == cluster.arn else None


def active(state: State, cluster: Cluster, reference: str) -> Service:
    """The ACTIVE service; AWS's errors for one that is not there, or not ACTIVE any more."""
    found = find(state, cluster, reference)
    if found is None:
        raise validation.not_found()
    if found.status != "ACTIVE":
        raise validation.not_active()
    return found
