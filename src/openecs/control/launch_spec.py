"""What is asked of the launcher, and what it answers.  Nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance
from openecs.model.service import ImagePin
from openecs.model.service_connect import ServiceConnect
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning.placement import Rejection
from openecs.shapes import ecs


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to launch: ``count`` equal tasks of one definition in one cluster."""

    cluster: Cluster
    definition: TaskDefinition
    count: int
    launch_type: Literal["EC2", "FARGATE", "EXTERNAL"]
    group: str
    started_by: str | None = None
    service_arn: str | None = None
    deployment_id: str | None = None
    overrides: ecs.TaskOverride | None = None
    network_configuration: ecs.NetworkConfiguration | None = None
    placement_constraints: tuple[ecs.PlacementConstraint, ...] = ()
    placement_strategy: tuple[ecs.PlacementStrategy, ...] = ()
    platform_version: str | None = None
    tags: tuple[ecs.Tag, ...] = ()
    enable_execute_command: bool = False
    #: Image digests that the deployment has settled.
    pins: tuple[ImagePin, ...] = ()
    #: Spreads the tasks over capacity providers; ``launch_type`` is then what these give.
    capacity_provider_strategy: tuple[ecs.CapacityProviderStrategyItem, ...] = ()
    #: The one provider that a part of the tasks comes from; set by the launcher.
    capacity_provider: str | None = None
    #: Whether tasks of an Auto Scaling group provider wait for capacity where there is none now.
    waits: bool = True
    #: StartTask: exactly these container instances, one task each, no placement.
    container_instances: tuple[ContainerInstance, ...] = ()
    #: Their part in Service Connect.
    connect: ServiceConnect | None = None


class Launched(NamedTuple):
    """The tasks, already written: those that found a node, and those of an Auto Scaling group
    provider that wait for one; and why there are not more."""

    tasks: tuple[Task, ...]
    failures: tuple[ecs.Failure, ...]
    #: The candidate that came nearest, when something failed for want of a fitting node.
    nearest: Rejection | None
    #: How many of the tasks wait for capacity.
    waiting: int = 0


def together(parts: Sequence[Launched]) -> Launched:
    """The outcome of a launch whose parts came from several capacity providers."""
    return Launched(
        tuple(task for part in parts for task in part.tasks),
        tuple(failure for part in parts for failure in part.failures),
        next((part.nearest for part in parts if part.nearest is not None), None),
        sum(part.waiting for part in parts),
    )
