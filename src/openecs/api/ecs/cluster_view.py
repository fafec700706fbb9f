"""A cluster as the API shows it: the record, and counts of what is in it."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.cluster import Cluster
from openecs.shapes import ecs
from openecs.state.state import State


def view(state: State, cluster: Cluster, include: Iterable[str]) -> ecs.Cluster:
    """The wire form; optional parts are there, empty, when they were not asked for.

    Attachments are always empty: AWS lists the scaling policies and hooks there that it makes
    for Auto Scaling groups, and OpenECS makes none.  Providers are usable at once, so their
    status is never another than UPDATE_COMPLETE.
    """
    include = set(include)
    counts = state.usage.cluster(cluster.arn)
    instances = state.container_instances.by("cluster", cluster.arn)
    services = state.services.by("cluster", cluster.arn)
    tags = state.tags.get(cluster.arn)
    attachments = "ATTACHMENTS" in include
    return ecs.Cluster(
        cluster_arn=cluster.arn,
        cluster_name=cluster.name,
        status=cluster.status,
        registered_container_instances_count=sum(i.status != "INACTIVE" for i in instances),
        running_tasks_count=counts.running,
        pending_tasks_count=counts.pending,
        active_services_count=sum(s.status == "ACTIVE" for s in services),
        statistics=_statistics(state, cluster) if "STATISTICS" in include else (),
        tags=tags.tags if tags and "TAGS" in include else (),
        settings=cluster.settings if "SETTINGS" in include else (),
        configuration=cluster.configuration if "CONFIGURATIONS" in include else None,
        capacity_providers=cluster.capacity_providers,
        default_capacity_provider_strategy=cluster.default_capacity_provider_strategy,
        service_connect_defaults=ecs.ClusterServiceConnectDefaults(namespace=cluster.connect_namespace_arn)
        if cluster.connect_namespace_arn
        else None,
        attachments=() if attachments else None,
        attachments_status="UPDATE_COMPLETE" if attachments and cluster.capacity_providers else None,
    )


def _statistics(state: State, cluster: Cluster) -> tuple[ecs.KeyValuePair, ...]:
    """Counts by launch type, under AWS's names."""
    kinds = {"EC2": "EC2", "FARGATE": "Fargate", "EXTERNAL": "External"}
    names = [f"{status}{kind}TasksCount" for status in ("running", "pending") for kind in kinds.values()]
    names += [f"{status}{kind}ServiceCount" for status in ("active", "draining") for kind in kinds.values()]
    counts = dict.fromkeys(names, 0)
    for task in state.tasks.by("cluster", cluster.arn):
        if task.last_status == "RUNNING":
            counts[f"running{kinds[task.launch_type]}TasksCount"] += 1
        elif task.last_status in ("PROVISIONING", "PENDING", "ACTIVATING"):
            counts[f"pending{kinds[task.launch_type]}TasksCount"] += 1
    for service in state.services.by("cluster", cluster.arn):
        if service.status != "INACTIVE":
            # A service with task sets is EC2, as DescribeServices shows it, until one of them is PRIMARY.
            launch_type = service.primary.launch_type if service.primary else "EC2"
            counts[f"{service.status.lower()}{kinds[launch_type]}ServiceCount"] += 1
    return tuple(ecs.KeyValuePair(name=name, value=str(count)) for name, count in counts.items())
