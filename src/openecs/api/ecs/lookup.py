"""From what a caller wrote to the record that it means: clusters, tasks, instances."""

from __future__ import annotations

from openecs import arn as arns
from openecs.errors import AWSError, invalid_parameter
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance
from openecs.model.task import Task
from openecs.state.state import State
from openecs.wire.call import Call


def cluster_arn(call: Call, reference: str | None) -> str:
    """The ARN that a cluster's name or ARN (``default`` when absent) stands for."""
    reference = reference or "default"
    if reference.startswith("arn:"):
        parsed = arns.parse(reference)
        if parsed is None or parsed.kind != "cluster":
            raise invalid_parameter("Identifier is for a different resource type: expected cluster.")
        return reference
    return arns.ecs(call.region, call.account, f"cluster/{reference}")


def cluster(state: State, call: Call, reference: str | None) -> Cluster:
    """The ACTIVE cluster that ``reference`` names; ``ClusterNotFoundException`` otherwise."""
    found = state.clusters.get(cluster_arn(call, reference))
    if found is None or found.region != call.region:
        raise AWSError("ClusterNotFoundException", "Cluster not found.")
    if found.status != "ACTIVE":
        raise AWSError("ClusterNotFoundException", "The referenced cluster was inactive.")
    return found


def task_arn(cluster: Cluster, reference: str) -> str:
    """The ARN that a task's id or ARN stands for in a cluster.

    ARNs without the cluster's name, which old accounts still write, are understood too.
    """
    if not reference.startswith("arn:"):
        return f"{_prefix(cluster, 'task')}/{reference}"
    parsed = arns.parse(reference)
    if parsed is None:
        raise invalid_parameter("taskId longer than 36." if len(reference) > 36 else "Invalid identifier.")
    if parsed.kind != "task":
        raise invalid_parameter(f"Unsupported resource type: {parsed.kind}")
    if len(parsed.path) == 1:
        return f"{_prefix(cluster, 'task')}/{parsed.path[0]}"
    check_cluster(cluster, parsed)
    return reference


def check_cluster(cluster: Cluster, resource: arns.Arn) -> None:
    """Raise AWS's error for the ARN of a resource of another cluster."""
    named = resource.path[0] if resource.path else ""
    if named != cluster.name:
        raise invalid_parameter(
            f"Invalid identifier: Identifier is for cluster {named}. Your cluster is {cluster.name}"
        )


def task(state: State, cluster: Cluster, reference: str) -> Task | None:
    """The task of that cluster, STOPPED ones included while they are remembered."""
    # Nearly all callers write the ARN that they were given; taking it apart costs more than all else.
    found = state.tasks.get(reference)
    if found is not None and found.cluster_arn == cluster.arn:
        return found
    found = state.tasks.get(task_arn(cluster, reference))
    return found if found is not None and found.cluster_arn == cluster.arn else None


def container_instance_arn(cluster: Cluster, reference: str) -> str:
    """The ARN that a container instance's id or ARN stands for in a cluster."""
    if not reference.startswith("arn:"):
        return f"{_prefix(cluster, 'container-instance')}/{reference}"
    parsed = arns.parse(reference)
    if parsed is None or parsed.kind != "container-instance":
        raise invalid_parameter("Identifier is for a different resource type: expected container-instance.")
    if len(parsed.path) == 1:
        return f"{_prefix(cluster, 'container-instance')}/{parsed.path[0]}"
    return reference


def container_instance(state: State, cluster: Cluster, reference: str) -> ContainerInstance | None:
    """The container instance of that cluster, INACTIVE ones included."""
    found = state.container_instances.get(container_instance_arn(cluster, reference))
    return found if found is not None and found.cluster_arn == cluster.arn else None


def _prefix(cluster: Cluster, kind: str) -> str:
    base, _, name = cluster.arn.rpartition("cluster/")
    return f"{base}{kind}/{name}"
