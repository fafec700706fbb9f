"""Which of two target groups the tasks of a deployment are in.  Pure.

With ``advancedConfiguration`` a load balancer of a service has a pair of target groups.  A new
revision gets the ones that the revision in production does not use, so that a listener rule's
weights decide who serves.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.model.service import Deployment, Service
from openecs.shapes import ecs


def in_use(load_balancers: tuple[ecs.LoadBalancer, ...], *, alternate: bool) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers with the target groups that tasks are registered in."""
    if not alternate:
        return load_balancers
    return tuple(
        msgspec.structs.replace(one, target_group_arn=one.advanced_configuration.alternate_target_group_arn)
        if one.advanced_configuration is not None
        else one
        for one in load_balancers
    )


def of(deployment: Deployment) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of a deployment with the target groups that its tasks are registered in."""
    return in_use(deployment.load_balancers, alternate=deployment.alternate)


def groups(load_balancers: Iterable[ecs.LoadBalancer]) -> set[str]:
    """The target groups that load balancers name as their own."""
    return {one.target_group_arn for one in load_balancers if one.target_group_arn}


def places(deployment: Deployment) -> set[str]:
    """Where the tasks of a deployment get traffic from: target groups, and their place in Service Connect."""
    connect = deployment.connect
    offered = connect.ports if connect is not None else ()
    return groups(of(deployment)) | {
        f"{port.discovery_name}/{connect.alternate}" for port in offered if connect is not None
    }


def base(service: Service) -> Deployment | None:
    """The deployment that has the production traffic of a service now, outside of any shift.

    The one that is complete; else the one that a running shift would go back to; else the newest
    one that was complete, or at least ran.
    """
    live = [d for d in service.deployments if d.status in ("PRIMARY", "ACTIVE")]
    primary = service.primary
    if primary is not None and primary.rollout_state == "COMPLETED":
        return primary
    chosen = next((d for d in live if d.id == service.production_id), None)
    if chosen is not None:
        return chosen
    sound = [d for d in live if d.rollout_state != "FAILED"]
    proven = [d for d in sound if d.rollout_state == "COMPLETED" or d.rolls_back is not None]
    ran = [d for d in sound if d.first_running_at is not None]
    return next(iter(proven or ran), None)
