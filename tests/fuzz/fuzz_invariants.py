"""What holds of the control plane's state after every step, whatever was asked of it."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any

import msgspec
from fuzz_plane import Plane

from openecs.api.ecs.container_instances import FORCED
from openecs.model.service import Service
from openecs.model.task import STATUS_ORDER, Task
from openecs.state.addresses import Addresses
from openecs.state.usage import Usage

PENDING = ("PROVISIONING", "PENDING", "ACTIVATING")


def check_state(plane: Plane) -> None:
    """Everything that concerns the records among themselves."""
    live = [task for task in plane.state.tasks if not task.stopped]
    _check_nodes(plane, live)
    _check_addresses(plane, live)
    _check_derived(plane)
    for task in plane.state.tasks:
        _check_task(plane, task)
    for service in plane.state.services:
        if service.status == "ACTIVE":
            _check_service(plane, service)


def _check_service(plane: Plane, service: Service) -> None:
    """What deployments are made of is described; task sets and rollouts are never mixed."""
    primaries = [deployment for deployment in service.deployments if deployment.status == "PRIMARY"]
    assert len({deployment.id for deployment in service.deployments}) == len(service.deployments), service
    if service.deployment_controller == "EXTERNAL":
        assert len(primaries) <= 1, service
        assert all(deployment.task_set is not None for deployment in service.deployments), service
        assert service.service_deployment_arn is None, service
        return
    assert len(primaries) == 1, service
    assert service.service_deployment_arn in plane.state.service_deployments, service
    for deployment in service.deployments:
        assert deployment.task_set is None, service
        assert deployment.revision_arn in plane.state.service_revisions, service
        assert deployment.revision_arn.rpartition("/")[2] == deployment.id.removeprefix("ecs-svc/"), service


def _check_nodes(plane: Plane, live: list[Task]) -> None:
    for node in plane.state.nodes:
        here = [task.reservation for task in live if task.node_id == node.id]
        assert sum(held.cpu for held in here) <= node.capacity.cpu, node.id
        assert sum(held.memory for held in here) <= node.capacity.memory, node.id
        for taken, reserved in (
            ([port for held in here for port in held.ports], node.reserved_ports),
            ([port for held in here for port in held.ports_udp], node.reserved_ports_udp),
        ):
            assert all(count == 1 for count in Counter(taken).values()), (node.id, taken)
            assert set(taken).isdisjoint(reserved), (node.id, taken)
        gpus = [gpu for task in live if task.node_id == node.id for c in task.containers for gpu in c.gpu_ids]
        assert len(set(gpus)) == len(gpus) == sum(held.gpus for held in here), (node.id, gpus)


def _check_addresses(plane: Plane, live: list[Task]) -> None:
    interfaces = [task.eni for task in live if task.eni is not None]
    addresses = [eni.private_ipv4_address for eni in interfaces]
    assert len(set(addresses)) == len(addresses), addresses
    assert len({eni.eni_id for eni in interfaces}) == len(interfaces)
    assert len({eni.mac_address for eni in interfaces}) == len(interfaces)
    for eni in interfaces:
        subnet = plane.state.subnets.get(eni.subnet_id)
        assert subnet is not None
        assert ipaddress.IPv4Address(eni.private_ipv4_address) in ipaddress.IPv4Network(subnet.cidr)
        assert eni.private_ipv4_address != subnet.gateway.split("/")[0]


def _check_derived(plane: Plane) -> None:
    """Sums and indexes that follow the records are what a fresh look at the records gives."""
    usage, addresses = Usage(), Addresses()
    for task in plane.state.tasks:
        usage.task_changed(None, task)
        addresses.task_changed(None, task)
    for node in plane.state.nodes:
        assert plane.state.usage.node(node.id) == usage.node(node.id)
    for cluster in plane.state.clusters:
        assert plane.state.usage.cluster(cluster.arn) == usage.cluster(cluster.arn)
    for instance in plane.state.container_instances:
        assert plane.state.usage.instance(instance.arn) == usage.instance(instance.arn)
    for interface in plane.state.interfaces:
        addresses.interface_changed(None, interface)
    for elastic in plane.state.elastic_addresses:
        addresses.elastic_changed(None, elastic)
    assert plane.state.addresses.taken() == addresses.taken()
    for table in plane.tables:
        for (name, index), (key, _) in zip(table._indexes.items(), table._index_keys, strict=True):
            fresh: dict[Any, dict[str, Any]] = {}
            for record in table:
                value = key(record)
                if value is not None:
                    fresh.setdefault(value, {})[record.key] = record
            assert index == fresh, (table.name, name)


def _check_task(plane: Plane, task: Task) -> None:
    assert task.cluster_arn in plane.state.clusters, task
    if not task.stopped:
        assert task.node_id is None or task.node_id in plane.state.nodes, task
        assert task.task_definition_arn in plane.state.task_definitions, task
        assert (task.waiting is not None) == (task.node_id is None), task
        placed = task.container_instance_arn in plane.state.container_instances
        assert placed or task.launch_type == "FARGATE" or task.waiting is not None, task
    else:
        assert task.waiting is None, task
        assert task.desired_status == "STOPPED", task
        assert task.stop_code, task
        assert task.stopped_at, task
        # Of the containers of an instance that was given up, nobody knows more than what was last seen.
        left = [i for i in plane.state.container_instances if i.node_id == task.node_id and i.status != "INACTIVE"]
        given_up = task.stopped_reason == FORCED or all(i.arn != task.container_instance_arn for i in left)
        assert given_up or all(container.last_status == "STOPPED" for container in task.containers), task
    if task.desired_status == "STOPPED":
        assert task.stopping_at, task
    if task.last_status == "RUNNING":
        assert task.started_at, task
    times = [task.created_at, task.stopping_at, task.stopped_at]
    known = [time for time in times if time is not None]
    assert known == sorted(known), task


class History:
    """Tasks as they were, to see that they never go back."""

    def __init__(self) -> None:
        self._seen: dict[str, Task] = {}

    def check(self, plane: Plane) -> None:
        for task in plane.state.tasks:
            before = self._seen.get(task.arn)
            if before is not None and before is not task:
                assert STATUS_ORDER[task.last_status] >= STATUS_ORDER[before.last_status], (before, task)
                # Protection sends no event, so it is no new version.
                same = msgspec.structs.replace(before, protected_until=task.protected_until)
                assert task.version > before.version or task == same, (before, task)
                assert not before.stopped, (before, task)
                assert (before.desired_status, task.desired_status) != ("STOPPED", "RUNNING"), (before, task)
                for name in ("created_at", "started_at", "stop_code", "stopped_reason", "node_id", "reservation"):
                    old = getattr(before, name)
                    assert old is None or old == getattr(task, name), (name, before, task)
            self._seen[task.arn] = task


def check_api(plane: Plane, cluster: str) -> None:
    """What the API tells of a cluster agrees with itself."""
    (shown,) = plane.must("ecs", "DescribeClusters", clusters=[cluster])["clusters"]
    tasks = list_tasks(plane, cluster)
    by_status = Counter(task["lastStatus"] for task in tasks)
    assert shown["runningTasksCount"] == by_status["RUNNING"]
    assert shown["pendingTasksCount"] == sum(by_status[status] for status in PENDING)
    services = plane.must("ecs", "ListServices", cluster=cluster, maxResults=100)["serviceArns"]
    described = (
        plane.must("ecs", "DescribeServices", cluster=cluster, services=services)["services"] if services else []
    )
    assert shown["activeServicesCount"] == sum(service["status"] == "ACTIVE" for service in described)
    for service in described:
        mine = [
            t for t in tasks if t["group"] == f"service:{service['serviceName']}" and t["desiredStatus"] == "RUNNING"
        ]
        if service["status"] == "ACTIVE":
            assert service["runningCount"] == sum(t["lastStatus"] == "RUNNING" for t in mine), (service, mine)
            assert service["pendingCount"] == sum(t["lastStatus"] in PENDING for t in mine), (service, mine)
    instances = plane.must("ecs", "ListContainerInstances", cluster=cluster)["containerInstanceArns"]
    assert shown["registeredContainerInstancesCount"] == len(instances)
    if not instances:
        return
    shown_instances = plane.must("ecs", "DescribeContainerInstances", cluster=cluster, containerInstances=instances)
    for instance in shown_instances["containerInstances"]:
        here = [task for task in tasks if task.get("containerInstanceArn") == instance["containerInstanceArn"]]
        assert instance["runningTasksCount"] == sum(task["lastStatus"] == "RUNNING" for task in here)
        assert instance["pendingTasksCount"] == sum(task["lastStatus"] in PENDING for task in here)
        for resource in instance["remainingResources"]:
            assert resource.get("integerValue", 0) >= 0, instance


def list_tasks(plane: Plane, cluster: str) -> list[dict[str, Any]]:
    """Every task of a cluster, page by page, described."""
    arns: list[str] = []
    for status in ("RUNNING", "STOPPED"):
        token: dict[str, str] = {}
        while True:
            page = plane.must("ecs", "ListTasks", cluster=cluster, desiredStatus=status, maxResults=3, **token)
            arns += page["taskArns"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
    assert len(set(arns)) == len(arns)
    tasks: list[dict[str, Any]] = []
    for first in range(0, len(arns), 100):
        described = plane.must("ecs", "DescribeTasks", cluster=cluster, tasks=arns[first : first + 100])
        assert described["failures"] == []
        tasks += described["tasks"]
    assert [task["taskArn"] for task in tasks] == arns
    return tasks
