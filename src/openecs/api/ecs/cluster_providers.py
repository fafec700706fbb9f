"""Which capacity providers a cluster has: checked for CreateCluster and PutClusterCapacityProviders."""

from __future__ import annotations

import msgspec

from openecs.api.ecs import provider_strategy
from openecs.errors import AWSError, client_error, invalid_parameter
from openecs.model.capacity_provider import FARGATE_PROVIDERS
from openecs.model.cluster import Cluster
from openecs.shapes import ecs
from openecs.state.state import State

MAX_PROVIDERS = 20


def attached(
    state: State,
    cluster: Cluster,
    names: tuple[str, ...],
    default: tuple[ecs.CapacityProviderStrategyItem, ...],
) -> Cluster:
    """The cluster with these providers and this default strategy in place of what it had.

    Raises ``InvalidParameterException`` for what cannot be, ``ResourceInUseException`` when a
    task or service still uses a provider that would go.
    """
    if len(names) > MAX_PROVIDERS:
        raise invalid_parameter(f"A cluster can have at most {MAX_PROVIDERS} capacity providers.")
    if len(set(names)) != len(names):
        raise invalid_parameter("A capacity provider can be specified only once for a cluster.")
    for name in names:
        _check(state, cluster, name)
    strategy = provider_strategy.check(state, cluster.region, names, default)
    gone = set(cluster.capacity_providers) - set(names)
    if gone and gone & _used(state, cluster):
        raise AWSError("ResourceInUseException", "The specified capacity provider is in use and cannot be removed.")
    return msgspec.structs.replace(cluster, capacity_providers=names, default_capacity_provider_strategy=strategy)


def holders(state: State, region: str, name: str) -> tuple[Cluster, ...]:
    """The ACTIVE clusters of a region that have this provider."""
    clusters = state.clusters.by("region", region)
    return tuple(c for c in clusters if c.status == "ACTIVE" and name in c.capacity_providers)


def _check(state: State, cluster: Cluster, name: str) -> None:
    if name in FARGATE_PROVIDERS:
        return
    if provider_strategy.find(state, cluster.region, name) is None:
        raise provider_strategy.not_found()
    if any(other.arn != cluster.arn for other in holders(state, cluster.region, name)):
        raise client_error(
            f"The capacity provider {name} is already associated with another cluster. Remove it from that cluster "
            "or specify another capacity provider and try again."
        )


def _used(state: State, cluster: Cluster) -> set[str]:
    """Names of the providers that tasks run on, or that strategies of services name."""
    tasks = state.tasks.by("cluster", cluster.arn)
    used = {task.capacity_provider_name for task in tasks if task.capacity_provider_name and not task.stopped}
    for service in state.services.by("cluster", cluster.arn):
        if service.status == "INACTIVE":
            continue
        kept = [d for d in (*service.deployments, service.last_completed) if d is not None and d.status != "INACTIVE"]
        used |= {item.capacity_provider for deployment in kept for item in deployment.capacity_provider_strategy}
    return used
