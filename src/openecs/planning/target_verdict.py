"""What its load balancers make of one task of a service.  Pure.

A task is a target of one or more target groups.  It is healthy when it is a healthy target in
all of them, unhealthy when it is an unhealthy one in any, and unknown until then: while it is
not registered everywhere, is being probed for the first time, or nobody probes it.

Hosts probe new targets faster than the target group says.  A target that was never healthy is
not held to be unhealthy before the target group's own interval and threshold could have found
it so: a slow start is no failure because somebody looked early.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from openecs.model.target_group import HealthCheck, Target
from openecs.planning.target_state import TargetCondition

_NO_DESCRIPTION = "Health checks failed"


class TargetFailure(NamedTuple):
    """What a load balancer found wrong with a task."""

    target_group_arn: str
    port: int
    #: As DescribeTargetHealth describes it.
    reason: str
    #: Set for targets that are ports of container instances.
    instance_id: str | None = None


class TargetVerdict(NamedTuple):
    """What all load balancers of a task say together."""

    health: Literal["HEALTHY", "UNKNOWN", "UNHEALTHY"]
    failure: TargetFailure | None = None
    #: Before this time (epoch seconds) UNHEALTHY counts for nothing.
    spared_until: float = 0.0


#: The verdict on a task that is not registered in all its target groups.
NOT_REGISTERED = TargetVerdict("UNKNOWN")


class SeenTarget(NamedTuple):
    """A task as a target of one target group."""

    target: Target
    condition: TargetCondition
    #: When it was healthy for the first time since it was registered.
    healthy_at: float | None
    health_check: HealthCheck
    #: Whether ``target.id`` is a container instance and not the task's own address.
    is_instance: bool = False


def judge(wanted: int, seen: Iterable[SeenTarget]) -> TargetVerdict:
    """The verdict on a task that is to be ``wanted`` targets."""
    healthy = 0
    failed: list[tuple[float, TargetFailure]] = []
    for one in seen:
        state = one.condition.state
        if state == "healthy" or one.condition.reason == "Target.HealthCheckDisabled":
            healthy += 1
        elif state == "unhealthy":
            failed.append((_spared_until(one), _failure(one)))
    if failed:
        spared_until, failure = min(failed, key=lambda found: (found[0], found[1].target_group_arn, found[1].port))
        return TargetVerdict("UNHEALTHY", failure, spared_until)
    return TargetVerdict("HEALTHY") if healthy >= wanted else NOT_REGISTERED


def _spared_until(one: SeenTarget) -> float:
    if one.healthy_at is not None:
        return 0.0
    return one.target.registered_at + one.health_check.interval * one.health_check.unhealthy_threshold


def _failure(one: SeenTarget) -> TargetFailure:
    target = one.target
    said = one.condition.description or _NO_DESCRIPTION
    return TargetFailure(target.target_group_arn, target.port, said, target.id if one.is_instance else None)
