"""Tasks and their containers as state keeps them.

``desired_status`` is written by the control plane alone, everything that was observed
(``last_status`` from PENDING on, the containers' fields) by agents' reports alone.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.model.resources import Resources
from openecs.model.service_connect import ServiceConnect
from openecs.shapes import ecs

TaskStatus = Literal[
    "PROVISIONING",
    "PENDING",
    "ACTIVATING",
    "RUNNING",
    "DEACTIVATING",
    "STOPPING",
    "DEPROVISIONING",
    "STOPPED",
    "DELETED",
]

#: The order in which a task may pass through its states; it may skip but never go back.
STATUS_ORDER: dict[str, int] = {
    "PROVISIONING": 0,
    "PENDING": 1,
    "ACTIVATING": 2,
    "RUNNING": 3,
    "DEACTIVATING": 4,
    "STOPPING": 5,
    "DEPROVISIONING": 6,
    "STOPPED": 7,
    "DELETED": 8,
}


class TaskContainer(Record, frozen=True, kw_only=True):
    """One container of a task: what was asked and what was observed of it."""

    arn: str
    name: str
    image: str
    essential: bool = True
    last_status: Literal["PENDING", "RUNNING", "STOPPED"] = "PENDING"
    runtime_id: str | None = None
    image_digest: str | None = None
    exit_code: int | None = None
    #: The digest to start it from, resolved by an earlier task of its deployment.
    pinned_digest: str | None = None
    #: Whether its deployment goes on with the digest that it was started from.
    keeps_version: bool = False
    reason: str | None = None
    health_status: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"] = "UNKNOWN"
    has_health_check: bool = False
    network_bindings: tuple[ecs.NetworkBinding, ...] = ()
    #: As DescribeTasks shows them: strings of the reservations.
    cpu: str | None = None
    memory: str | None = None
    memory_reservation: str | None = None
    #: GPUs of its node that are its own until the task has ended.
    gpu_ids: tuple[str, ...] = ()


class NetworkInterface(Record, frozen=True, kw_only=True):
    """The elastic network interface of an awsvpc task."""

    attachment_id: str
    eni_id: str
    mac_address: str
    private_ipv4_address: str
    private_dns_name: str
    subnet_id: str
    security_groups: tuple[str, ...] = ()
    assign_public_ip: bool = False
    status: Literal["PRECREATED", "ATTACHED", "DELETED"] = "PRECREATED"
    vpc_id: str = ""
    #: An address at which the installation's hosts reach it too.
    public_ip: str | None = None


class Waiting(Record, frozen=True, kw_only=True):
    """What a PROVISIONING task without a node needs to be placed when capacity comes."""

    placement_constraints: tuple[ecs.PlacementConstraint, ...] = ()
    placement_strategy: tuple[ecs.PlacementStrategy, ...] = ()
    network_configuration: ecs.NetworkConfiguration | None = None


class Task(Record, frozen=True, kw_only=True):
    """One task, from RunTask (or a service's decision) until it is forgotten."""

    arn: str
    region: str
    cluster_arn: str
    task_definition_arn: str
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"]
    desired_status: Literal["RUNNING", "STOPPED"]
    last_status: TaskStatus
    created_at: float
    group: str
    containers: tuple[TaskContainer, ...]
    #: What the task holds on its node while it is not STOPPED.
    reservation: Resources
    started_by: str | None = None
    #: ARN of the owning service; ``None`` for standalone tasks.
    service_arn: str | None = None
    #: ``ecs-svc/N`` of the deployment that started it.
    deployment_id: str | None = None
    node_id: str | None = None
    container_instance_arn: str | None = None
    availability_zone: str | None = None
    overrides: ecs.TaskOverride | None = None
    network_mode: str | None = None
    eni: NetworkInterface | None = None
    cpu: str | None = None
    memory: str | None = None
    platform_version: str | None = None
    platform_family: str | None = None
    enable_execute_command: bool = False
    #: The capacity provider that a strategy chose for it.
    capacity_provider_name: str | None = None
    #: Set exactly while the task waits for capacity, without a node.
    waiting: Waiting | None = None
    #: Until when the service scheduler may not stop it (epoch seconds).
    protected_until: float | None = None
    health_status: Literal["HEALTHY", "UNHEALTHY", "UNKNOWN"] = "UNKNOWN"
    #: When its health checks said HEALTHY for the first time.
    healthy_at: float | None = None
    #: When it was healthy for the first time as a target of all its service's load balancers.
    targets_healthy_at: float | None = None
    connectivity: Literal["CONNECTED", "DISCONNECTED"] | None = None
    connectivity_at: float | None = None
    #: Since when its agent is not connected (epoch seconds).
    unreachable_since: float | None = None
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    execution_stopped_at: float | None = None
    stopped_at: float | None = None
    stop_code: ecs.TaskStopCode | None = None
    stopped_reason: str | None = None
    #: Its service's load balancers, registries or Service Connect know it: a task that is to stop
    #: is DEACTIVATING, and its agent hears nothing yet, until ``control`` has taken it out of all.
    drains: bool = False
    #: Its part in Service Connect, as its deployment has settled it.
    connect: ServiceConnect | None = None
    #: Since when it gets no new requests through Service Connect, while some may be in flight.
    connect_draining_since: float | None = None
    #: +1 at each change that AWS would send an event for.
    version: int = 1

    @property
    def key(self) -> str:
        return self.arn

    @property
    def stopped(self) -> bool:
        """Whether nothing of the task runs or will run again."""
        return self.last_status in ("STOPPED", "DELETED")

    def protected(self, now: float) -> bool:
        """Whether scale-in protection holds now."""
        return self.protected_until is not None and now < self.protected_until
