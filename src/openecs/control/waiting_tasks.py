"""Tasks that wait for capacity of their provider: how many may, and what they still ask for."""

from __future__ import annotations

from openecs.control.launch_spec import LaunchSpec
from openecs.model.capacity_provider import FARGATE_PROVIDERS
from openecs.model.service import ImagePin
from openecs.model.task import Task, Waiting
from openecs.state.state import State

#: Tasks of one cluster that may wait for capacity at a time.
MAX_WAITING = 500


def may_wait(spec: LaunchSpec) -> bool:
    """Whether tasks of the launch that find no node wait for one instead of failing."""
    return spec.waits and spec.capacity_provider is not None and spec.capacity_provider not in FARGATE_PROVIDERS


def room(state: State, cluster_arn: str) -> int:
    """How many more tasks of a cluster may begin to wait."""
    return max(MAX_WAITING - state.tasks.count("unplaced", cluster_arn), 0)


def wishes(spec: LaunchSpec) -> Waiting:
    """What a waiting task has to remember of its launch."""
    return Waiting(
        placement_constraints=spec.placement_constraints,
        placement_strategy=spec.placement_strategy,
        network_configuration=spec.network_configuration,
    )


def launch_again(state: State, task: Task, count: int) -> LaunchSpec:
    """The launch that ``count`` waiting tasks like this one come from.

    ``LookupError``: it does not wait, or its cluster or definition is gone.
    """
    cluster = state.clusters.get(task.cluster_arn)
    definition = state.task_definitions.get(task.task_definition_arn)
    wanted = task.waiting
    if cluster is None or definition is None or wanted is None:
        raise LookupError(f"{task.arn} cannot be placed: it does not wait, or its cluster or definition is gone")
    return LaunchSpec(
        cluster=cluster,
        definition=definition,
        count=count,
        launch_type=task.launch_type,
        group=task.group,
        overrides=task.overrides,
        network_configuration=wanted.network_configuration,
        placement_constraints=wanted.placement_constraints,
        placement_strategy=wanted.placement_strategy,
        capacity_provider=task.capacity_provider_name,
        connect=task.connect,
    )


def pins_of(state: State, task: Task) -> tuple[ImagePin, ...]:
    """The image digests that the task's deployment has settled."""
    service = state.services.get(task.service_arn or "")
    deployment = service.deployment(task.deployment_id) if service is not None else None
    return deployment.pins if deployment is not None else ()
