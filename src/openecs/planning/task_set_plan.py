"""What to do next for a service with the EXTERNAL deployment controller: its task sets.  Pure.

A task set is a deployment with ``task_set``.  Somebody outside decides how much of the service
each one is (its scale) and which one is PRIMARY; the scheduler only keeps every set at its
share, each for itself.  There are no roll-outs, floors between revisions or circuit breakers.

The deployment percentages of such a service are AWS's defaults whatever the record says: of
each set's share all stays healthy and at most as much again runs while tasks are replaced.

A DRAINING set was deleted: all its tasks stop, protected ones too, and it is gone with the
last of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import msgspec

from openecs.model.record import changed
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.planning import deployment_backoff as backoff
from openecs.planning import service_condition, service_events
from openecs.planning.service_actions import Action, Event, Plan, Start, Stop, lost, scale_in, unhealthy
from openecs.planning.service_snapshot import Census, Group, ServiceSnapshot
from openecs.planning.service_victims import MAX_STOPS, Spare, choose, spare_by

_MAXIMUM_PERCENT = 200


def computed_desired_count(desired: int, scale: float) -> int:
    """A task set's share of a service: ``scale`` percent of ``desired``, rounded up.

    A third, given as 33.333333333333336, of three tasks is one: what is above a whole number
    only because of how numbers are stored is not rounded up.
    """
    return math.ceil(round(desired * scale / 100, 9))


def speaker(service: Service, deployment_id: str) -> str:
    """What service events name: the service, and of a service with task sets the set."""
    if service.deployment_controller != "EXTERNAL":
        return service.name
    return f"{service.name}, taskSet {deployment_id}"


def plan_task_sets(snapshot: ServiceSnapshot, census: Census, now: float) -> Plan:
    """The next step for every task set of the service."""
    service = snapshot.service
    actions: list[Action] = [scale_in(task, "its task set is gone") for task in census.orphans.up()]
    kept: list[Deployment] = []
    wake_at: list[float] = [at for at in (census.grace_ends_at, census.lost_at) if at is not None]
    steady = True
    spare = spare_by(service, snapshot.room_left)
    for group in census.groups:
        if group.deployment.status == "DRAINING":
            actions += [scale_in(task, "its task set is deleted") for task in group.up()]
            if group.existing:
                kept.append(_stability(group.deployment, "STABILIZING", now))
                steady = False
            continue
        share = _Share(service, group, census, spare, now)
        actions += share.actions
        wake_at += share.wake_at
        steady = steady and share.settled
        kept.append(_stability(share.deployment, "STEADY_STATE" if share.settled else "STABILIZING", now))
    condition = service_condition.steadiness(service, now, steady=steady)
    actions += condition.said
    if condition.repeat_at is not None:
        wake_at.append(condition.repeat_at)
    service = changed(service, deployments=tuple(kept), steady=condition.steady, steady_at=condition.steady_at)
    return Plan(service, tuple(_as_many_as_may(actions)), min(wake_at, default=None))


class _Verdict(NamedTuple):
    """How far a set's failures hold its launches back."""

    deployment: Deployment
    until: float
    #: What there is to say about it.
    said: list[Event]


class _Share:
    """One task set that is not being deleted: what it lacks and what it has too much of."""

    def __init__(self, service: Service, group: Group, census: Census, spare: Spare | None, now: float) -> None:
        settings = group.deployment.task_set
        self.group = group
        self._target_failures = census.target_failures
        self._spare = spare
        self.now = now
        self.desired = computed_desired_count(service.desired_count, settings.scale if settings else 100.0)
        self.actions: list[Action] = []
        self.wake_at: list[float] = []
        #: Healthy tasks that will be left after the stops chosen so far.
        self._serving = group.serving
        verdict = _judge(service, group, self.desired, now)
        self.deployment = verdict.deployment
        self._start(verdict)
        self._stop_unwanted(service)
        #: Whether DescribeTaskSets may say STEADY_STATE.
        self.settled = not self.actions and len(group.healthy) == self.desired == group.alive
        self.actions += verdict.said

    def _start(self, verdict: _Verdict) -> None:
        group = self.group
        room = self.desired * _MAXIMUM_PERCENT // 100 - group.alive
        missing = min(self.desired - group.wanted, room)
        if missing <= 0:
            return
        if verdict.until > self.now:
            self.wake_at.append(verdict.until)
            return
        replaced = min(len(group.unhealthy), missing)
        reason = "unhealthy tasks are replaced" if replaced else "fewer tasks than the task set's share"
        self.actions.append(Start(self.deployment.id, missing, reason, replaced))

    def _stop_unwanted(self, service: Service) -> None:
        group = self.group
        self.actions += [
            scale_in(task, "its container instance is DRAINING and it does not run yet") for task in group.stranded
        ]
        going = (*group.leaving, *group.unready)
        self.wake_at += [task.protected_until or self.now for task in going if task.protected(self.now)]
        leaving = [task for task in group.leaving if not task.protected(self.now)]
        for task in leaving[: self._budget]:
            self._stop_serving(task, "its container instance is DRAINING")
        if self._serving >= self.desired:
            reason = "its container instance is DRAINING and it does not serve"
            self.actions += [scale_in(task, reason) for task in group.unready if not task.protected(self.now)]
        sick = sorted(group.unhealthy, key=lambda task: (task.created_at, task.arn))
        excess = len(group.healthy) + len(sick) - self.desired
        self.actions += [
            unhealthy(task, "enough other tasks are healthy", self._target_failures.get(task.arn))
            for task in sick[: max(excess, 0)]
        ]
        self._scale_in(service)
        if self._serving >= self.desired:
            self.actions += [lost(task) for task in group.lost]

    def _scale_in(self, service: Service) -> None:
        group = self.group
        surplus = group.wanted - self.desired
        if surplus <= 0:
            return
        starting = sorted(group.starting, key=lambda task: (task.created_at, task.arn), reverse=True)
        pending = [task for task in starting if not task.protected(self.now)][:surplus]
        self.actions += [scale_in(task, "more tasks than the task set's share") for task in pending]
        surplus -= len(pending)
        free = [task for task in group.healthy if not task.protected(self.now)]
        for task in choose(free, min(surplus, len(free), self._budget), group.healthy, self._spare):
            self._stop_serving(task, "more tasks than the task set's share")
            surplus -= 1
        held = [task for task in (*group.healthy, *group.starting) if task.protected(self.now)]
        if surplus > 0 and held:
            text = service_events.scale_in_blocked(service.name, self.deployment.id, len(held))
            self.actions.append(Event(text))
            self.wake_at += [task.protected_until for task in held if task.protected_until is not None]

    @property
    def _budget(self) -> int:
        return max(0, self._serving - self.desired)

    def _stop_serving(self, task: Task, reason: str) -> None:
        self.actions.append(scale_in(task, reason))
        self._serving -= 1


def _judge(service: Service, group: Group, desired: int, now: float) -> _Verdict:
    deployment = backoff.account(group.deployment, group.stopped, group.each(), now)
    held = backoff.state(deployment, desired, now)
    said = service_condition.back_off(service, deployment, held, desired, speaker=speaker(service, deployment.id))
    return _Verdict(deployment, held.until if held else 0.0, said)


def _stability(deployment: Deployment, status: Literal["STEADY_STATE", "STABILIZING"], now: float) -> Deployment:
    settings = deployment.task_set
    if settings is None or settings.stability_status == status:
        return deployment
    settings = msgspec.structs.replace(settings, stability_status=status, stability_status_at=now)
    return msgspec.structs.replace(deployment, task_set=settings)


def _as_many_as_may(actions: Iterable[Action]) -> Iterator[Action]:
    """The actions without stops beyond those that one step may have."""
    stops = 0
    for action in actions:
        stops += isinstance(action, Stop)
        if stops <= MAX_STOPS or not isinstance(action, Stop):
            yield action
