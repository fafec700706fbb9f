"""One node as one cluster, or the Fargate pool, offers it, and what is free on it now.

Amounts change with every task; what the node is (attributes, connection, status) does not:
when that changes, a new candidate takes the place of the old one.  So whatever was derived
from the fixed part stays right for as long as the candidate is there.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, field

from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.planning.cluster_query import InstanceFacts

ZONE = "ecs.availability-zone"
#: Attributes whose values many nodes share.
SHARED_ATTRIBUTES = (
    ZONE,
    "ecs.instance-type",
    "ecs.cpu-architecture",
    "ecs.os-type",
    "ecs.os-family",
    "ecs.ami-id",
    GROUP_ATTRIBUTE,
)


class Kind:
    """Candidates that are alike in what most demands ask for, answered once for all of them.

    Alike in status, connection, launch types, the names of their attributes and the values of
    ``SHARED_ATTRIBUTES``.
    """

    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members: dict[Candidate, None] = {}


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
    #: Set when it is offered.
    kind: Kind = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.arn = self.container_instance_arn or self.node_id

    def __lt__(self, other: Candidate) -> bool:
        """Lets heaps compare entries that are equal up to the candidate: any order does."""
        return False

    def kind_key(self) -> Hashable:
        """Equal for candidates of one kind."""
        attributes = self.facts.attributes
        return (
            self.accepts_tasks,
            self.connected,
            self.launch_types,
            frozenset(attributes),
            tuple([attributes.get(name) for name in SHARED_ATTRIBUTES]),
        )

    @property
    def zone(self) -> str | None:
        """The node's availability zone."""
        return self.facts.attributes.get(ZONE)
