"""What tasks ask of a node, and among which nodes they may choose.  Hashable values."""

from __future__ import annotations

from dataclasses import dataclass

from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.resources import Resources
from openecs.planning.cluster_query import Expression
from openecs.planning.placement.candidate import ZONE, Candidate


@dataclass(frozen=True, slots=True)
class Scope:
    """The nodes that a launch may use: of a cluster, or (for FARGATE) of the pool."""

    cluster_arn: str
    #: ``EC2``, ``EXTERNAL`` or ``FARGATE``.
    launch_type: str
    #: Only instances of this Auto Scaling group.
    instance_group: str | None = None

    def includes(self, candidate: Candidate) -> bool:
        """Whether a candidate of the cluster or the pool belongs to the scope."""
        if self.launch_type not in candidate.launch_types:
            return False
        return self.instance_group is None or candidate.facts.attributes.get(GROUP_ATTRIBUTE) == self.instance_group


@dataclass(frozen=True, slots=True)
class Strategy:
    """One placement strategy: ``spread``, ``binpack`` or ``random``.

    ``zones`` is OpenECS's own, for FARGATE: nodes in the zones that ``field`` lists, separated
    by commas, come before others.
    """

    type: str
    field: str = ""


#: What ECS does for services, and here for RunTask too, when nobody says otherwise.
DEFAULT_STRATEGY = (Strategy("spread", f"attribute:{ZONE}"), Strategy("spread", "instanceId"))


@dataclass(frozen=True, slots=True)
class Demand:
    """What every task of a request needs."""

    group: str
    resources: Resources
    required_attributes: frozenset[str] = frozenset()
    #: ``arm64`` or ``x86_64`` when the definition's runtime platform names one.
    architecture: str | None = None
    constraints: tuple[Expression, ...] = ()
    distinct_instance: bool = False
    strategies: tuple[Strategy, ...] = ()

    @property
    def strategy_names(self) -> tuple[str, ...]:
        """The strategies in words: ``binpack(memory)``."""
        return tuple(f"{each.type}({each.field})" if each.field else each.type for each in self.strategies)
