"""What to do next for one service: ``plan(snapshot, now) -> Plan``.  Pure.

This module only chooses the planner: rolling replicas here, one task per container instance in
``daemon_plan``, task sets in ``task_set_plan``, deployments that shift traffic in ``shift_plan``.
What deployments share is in ``rollout``.

A deployment is COMPLETED, and the service steady, when the PRIMARY deployment has exactly the
desired number of healthy tasks and every task of other deployments was told to stop.  A
deployment that was left IN_PROGRESS by a newer one keeps that state until it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import msgspec

from openecs.model.service import Service
from openecs.model.task import STATUS_ORDER
from openecs.planning import daemon_plan, rollout, shift_plan, task_set_plan, zone_rebalancing
from openecs.planning.deployment_bounds import bounds
from openecs.planning.deployment_rolling import step
from openecs.planning.service_actions import Plan, scale_in
from openecs.planning.service_snapshot import Census, ServiceSnapshot, take_census
from openecs.planning.service_victims import MAX_STOPS, spare_by


def plan(snapshot: ServiceSnapshot, now: float) -> Plan:
    """The next step for the service of ``snapshot``."""
    service = snapshot.service
    if service.status == "INACTIVE":
        return Plan(service, ())
    census = take_census(snapshot, now)
    if service.status == "DRAINING":
        return _drain(service, census, now)
    if service.deployment_controller == "EXTERNAL":
        return task_set_plan.plan_task_sets(snapshot, census, now)
    if service.scheduling_strategy == "DAEMON":
        return daemon_plan.plan_daemon(snapshot, census, now)
    if shift_plan.shifts(snapshot):
        return shift_plan.plan_shift(snapshot, census, now)
    return _replicate(snapshot, census, now)


def _drain(service: Service, census: Census, now: float) -> Plan:
    """A deleted service stops everything and is INACTIVE once all of it is on its way down."""
    alive = (task for group in census.everyone for task in group.up())
    stops = [scale_in(task, "the service is being deleted") for task in islice(alive, MAX_STOPS)]
    still_up = any(
        STATUS_ORDER[task.last_status] < STATUS_ORDER["STOPPING"]
        for group in census.everyone
        for task in group.stopping
    )
    if not stops and not still_up:
        # The last deployment stays in the record: DescribeServices goes on to show what it ran.
        kept = [d for d in service.deployments if d.status == "PRIMARY"] or list(service.deployments[:1])
        service = msgspec.structs.replace(
            service,
            status="INACTIVE",
            deployments=tuple(msgspec.structs.replace(d, status="INACTIVE", updated_at=now) for d in kept),
            deleted_at=now,
            steady=False,
        )
    return Plan(service, tuple(stops))


def _replicate(snapshot: ServiceSnapshot, census: Census, now: float) -> Plan:
    """REPLICA services: as many tasks as desired, replaced revision by revision."""
    desired = snapshot.service.desired_count
    begun = rollout.begin(snapshot, census, desired, now)
    primary = begun.census.primary
    assert primary is not None, begun.service.arn  # noqa: S101 -- every ACTIVE service with the ECS controller has one
    moved = zone_rebalancing.rebalance(
        begun.service,
        begun.census,
        primary,
        snapshot.zones,
        backing_off=primary.deployment.id in begun.barred,
        now=now,
    )
    begun = begun._replace(service=moved.service, actions=(*begun.actions, *moved.actions))
    if moved.busy:
        return Plan(begun.service, begun.actions, _earliest(moved.wake_at, begun.census.grace_ends_at))
    limits = bounds(begun.service, desired)
    spare = spare_by(begun.service, snapshot.room_left)
    todo = step(begun.census, primary, desired, limits, barred=begun.barred, now=now, spare=spare)
    result = rollout.conclude(_remembering(begun, todo.held), todo, desired, now)
    return result._replace(wake_at=_earliest(result.wake_at, moved.wake_at))


def _remembering(begun: rollout.Rollout, held: Mapping[str, int]) -> rollout.Rollout:
    """``begun`` with what the step found out about how many tasks each deployment may have."""
    changed = False
    for group in begun.census.groups:
        count = held.get(group.deployment.id, group.deployment.held)
        if group.deployment.held != count:
            group.deployment = msgspec.structs.replace(group.deployment, held=count)
            changed = True
    if not changed:
        return begun
    deployments = tuple(group.deployment for group in begun.census.groups)
    return begun._replace(service=msgspec.structs.replace(begun.service, deployments=deployments))


def _earliest(*times: float | None) -> float | None:
    return min((at for at in times if at is not None), default=None)
