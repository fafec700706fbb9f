"""One node as one cluster, or the Fargate pool, offers it, and what is free on it now.

Amounts change with every task; what the node is (attributes, connection, status) does not:
when that changes, a new candidate takes the place of the old one.  So whatever was derived
from the fixed part stays right for as long as the candidate is there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from openecs.planning.cluster_query import InstanceFacts

ZONE = "ecs.availability-zone"


@dataclass(slots=True, eq=False)
class Candidate:
    """A node with its free CPU units, MiB of memory, GPUs and taken host ports."""

    node_id: str
    #: ``None`` in the Fargate pool.
    container_instance_arn: str | None
    accepts_tasks: bool
    connected: bool
    cpu: int
    memory: int
    gpus: int
    ports_taken: Collection[int]
    ports_udp_taken: Collection[int]
    facts: InstanceFacts
    #: Tasks of every cluster that hold something here.
    tasks: int = 0
    #: Task group → tasks of it here that shall run, for spread and distinctInstance.
    groups: dict[str, int] = field(default_factory=dict)
    #: Host ports that the node keeps for itself.
    reserved_ports: frozenset[int] = frozenset()
    reserved_ports_udp: frozenset[int] = frozenset()
    #: EC2, EXTERNAL or both; FARGATE in the pool.
    launch_types: frozenset[str] = frozenset()
    #: False once another candidate stands for the node, or none.
    offered: bool = True
    #: What a failure names.
    arn: str = field(init=False)

    def __post_init__(self) -> None:
        self.arn = self.container_instance_arn or self.node_id

    def __lt__(self, other: Candidate) -> bool:
        """Lets heaps compare entries that are equal up to the candidate: any order does."""
        return False

    @property
    def zone(self) -> str | None:
        """The node's availability zone."""
        return self.facts.attributes.get(ZONE)
