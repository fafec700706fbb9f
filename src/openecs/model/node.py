"""Nodes and container instances.

A node is a host with an agent and capacity.  Its owner lends it to clusters, where it shows
as a container instance, to the Fargate pool, where it stays invisible as on AWS, or to both.
Capacity is accounted once, on the node, however many clusters it is lent to.
"""

from __future__ import annotations

from typing import Literal

from openecs.model.record import Record
from openecs.model.resources import Resources
from openecs.shapes import ecs

ContainerInstanceStatus = Literal["ACTIVE", "DRAINING", "INACTIVE"]


class Node(Record, frozen=True, kw_only=True):
    """One host.  ``id`` is what its agent calls itself, or its first container instance's id."""

    id: str
    #: Everything the agent registered, before reservations of tasks.
    capacity: Resources
    #: Ports the agent keeps for itself and the host; no task gets them.
    reserved_ports: tuple[int, ...] = ()
    reserved_ports_udp: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    #: Whether FARGATE tasks may run here.
    fargate_pool: bool = False
    #: Names of clusters to which the node is lent in every region where they exist.
    lent_to: tuple[str, ...] = ()
    availability_zone: str | None = None
    #: The CPU architecture as ECS spells it in platform families and attributes.
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    #: Written by the agent gateway alone: whether the agent's ACS session is open.
    agent_connected: bool = False
    version_info: ecs.VersionInfo | None = None
    #: Principal (access key's owner) that registered it; others may not speak for it.
    owner: str = ""
    #: The container instance as which its agent registered; what the node is lent to are others.
    instance_arn: str = ""
    registered_at: float = 0.0

    @property
    def key(self) -> str:
        return self.id


class ContainerInstance(Record, frozen=True, kw_only=True):
    """A node as one cluster sees it."""

    arn: str
    cluster_arn: str
    region: str
    node_id: str
    status: ContainerInstanceStatus
    registered_at: float
    attributes: tuple[ecs.Attribute, ...] = ()
    #: Those of the attributes that its agent registered and that anybody may change since.
    registered_attributes: tuple[ecs.Attribute, ...] = ()
    registered_resources: tuple[ecs.Resource, ...] = ()
    ec2_instance_id: str | None = None
    #: +1 at each change that AWS would send an event for.
    version: int = 1
    health: ecs.ContainerInstanceHealthStatus | None = None
    #: The node's owner lends it to this cluster no more: it ends when its last task has ended,
    #: and comes back by itself when the node is lent again.
    taken_back: bool = False

    @property
    def key(self) -> str:
        return self.arn
