"""What the tasks of a launch ask of placement: the demand of a definition and a request."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.model.resources import Resources
from openecs.planning import cluster_query
from openecs.planning.launch_requirements import required_attributes
from openecs.planning.placement import DEFAULT_STRATEGY, Demand, Strategy
from openecs.shapes import ecs
from openecs.state.usage import fargate_group


def task_demand(
    definition: ecs.TaskDefinition,
    overrides: ecs.TaskOverride | None,
    reservation: Resources,
    group: str,
    constraints: Iterable[ecs.PlacementConstraint],
    strategies: Iterable[ecs.PlacementStrategy],
) -> Demand:
    """The demand of tasks on container instances; the definition's constraints hold, too."""
    wanted = [(c.type, c.expression) for c in constraints]
    wanted += [(c.type, c.expression) for c in definition.placement_constraints or ()]
    return Demand(
        group=group,
        resources=reservation,
        required_attributes=required_attributes(definition, overrides),
        architecture=_architecture(definition),
        constraints=tuple(cluster_query.parse(text or "") for kind, text in wanted if kind == "memberOf"),
        distinct_instance=any(kind == "distinctInstance" for kind, _ in wanted),
        strategies=tuple(Strategy(s.type or "random", s.field or "") for s in strategies) or DEFAULT_STRATEGY,
    )


def fargate_demand(
    definition: ecs.TaskDefinition,
    overrides: ecs.TaskOverride | None,
    reservation: Resources,
    cluster_arn: str,
    group: str,
    zones: Iterable[str],
) -> Demand:
    """The demand of FARGATE tasks: spread over zones, those of their subnets before others."""
    preferred = ",".join(sorted(set(zones)))
    return Demand(
        group=fargate_group(cluster_arn, group),
        resources=reservation,
        required_attributes=required_attributes(definition, overrides),
        architecture=_architecture(definition),
        strategies=(Strategy("zones", preferred), *DEFAULT_STRATEGY) if preferred else DEFAULT_STRATEGY,
    )


def _architecture(definition: ecs.TaskDefinition) -> str | None:
    platform = definition.runtime_platform
    return platform.cpu_architecture.lower() if platform and platform.cpu_architecture else None
