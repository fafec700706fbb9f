"""One step of a rolling replacement: which tasks to start and stop now.  Pure.

The step is the same for a first roll-out, a new revision, scaling, the replacement of failed
tasks and the draining of instances: the PRIMARY deployment gets as many tasks as are missing
and the ceiling allows; tasks that are not wanted any more go as far as the floor allows.
Tasks that were told to stop count against the ceiling until they are STOPPED, because they
still hold what they hold.

While a deployment is under way, tasks that the previous revision loses by failing are
replaced with that revision, so that a new revision that never starts cannot take the
service below its floor.

A deployment that FAILED and did not roll back stalls: it launches nothing and nothing healthy
is stopped for it.  Tasks under scale-in protection are never stopped because they are not
wanted; they may go when they fail their health checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.model.task import Task
from openecs.planning.deployment_bounds import Bounds
from openecs.planning.service_actions import HEALTH_CHECK_REASON, Start, Stop, scale_in, unhealthy
from openecs.planning.service_snapshot import Census, Group
from openecs.planning.service_victims import choose


@dataclass(slots=True)
class Step:
    """What to do now, and what stands in the way of doing more."""

    starts: list[Start] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    #: Deployments whose tasks are gone and that need none.
    finished: set[str] = field(default_factory=set)
    #: The percentages leave no room and nothing under way will make some.
    blocked: bool = False
    #: Deployment → tasks that should go and are protected from scale-in.
    protected: dict[str, int] = field(default_factory=dict)
    #: When the first of these protections ends (epoch seconds).
    protection_ends_at: float | None = None
    #: Every task of older deployments was told to stop.
    older_gone: bool = False
    #: The PRIMARY deployment has exactly what it should, and nobody else has anything.
    settled: bool = False


def step(census: Census, primary: Group, desired: int, limits: Bounds, *, barred: frozenset[str], now: float) -> Step:
    """The next step towards ``desired`` healthy tasks of ``primary`` and none of others.

    ``barred`` names the deployments that may start nothing at present.
    """
    return _Rolling(census, primary, desired, limits, barred, now).run()


class _Rolling:
    """The arithmetic of one step, in the order in which it is done."""

    def __init__(
        self,
        census: Census,
        primary: Group,
        desired: int,
        limits: Bounds,
        barred: frozenset[str],
        now: float,
    ) -> None:
        self.primary = primary
        self.desired = desired
        self.lower = limits.lower
        self.barred = barred
        self.now = now
        #: Oldest first: what is longest out of date goes first.
        self.others = [group for group in reversed(census.everyone) if group is not primary]
        everyone = census.everyone
        self.groups = everyone
        self.room = limits.upper - sum(group.existing for group in everyone)
        #: Healthy tasks, of any revision, that will be left after the stops chosen so far.
        self.serving = sum(group.serving for group in everyone)
        self.primary_serving = primary.serving
        self.any_stopping = any(group.stopping for group in everyone)
        self.result = Step()

    def run(self) -> Step:
        for group in (self.primary, *self.others):
            self._stop(group.stranded, "its container instance is DRAINING and it does not serve yet")
        self._replace_leaving()
        self._replace_unhealthy()
        kept = self._retire_others()
        self._scale_in()
        missing = self.desired - self.primary.wanted
        self._start_primary(missing)
        held = self._hold(kept)
        self._unblock(missing)
        self._conclude(held=held)
        return self.result

    @property
    def budget(self) -> int:
        """How many healthy tasks may be stopped without going below the floor."""
        return max(0, self.serving - self.lower)

    def _replace_leaving(self) -> None:
        leaving = self._free(self.primary, self.primary.leaving, len(self.primary.leaving))[: self.budget]
        self._stop(leaving, "its container instance is DRAINING", healthy=True)
        self.primary_serving -= len(leaving)

    def _replace_unhealthy(self) -> None:
        group = self.primary
        excess = len(group.healthy) + len(group.unhealthy) - self.desired
        for task in _oldest(group.unhealthy)[: max(0, excess)]:
            self.result.stops.append(unhealthy(task, "enough other tasks are healthy"))

    def _retire_others(self) -> int:
        """Stop what older revisions no longer need; returns how many of their tasks stay."""
        keep = max(0, self.lower - self.primary_serving)
        proven = self._held_group()
        stalled = self.primary.deployment.rollout_state == "FAILED"
        for group in self.others:
            if group is not proven:
                pending = self._free(group, _least_far(group.starting), len(group.starting))
                failed = group.deployment.rollout_state == "FAILED"
                self._stop(
                    pending, "its deployment failed" if failed else "a newer deployment replaces it before it serves"
                )
            if self.serving >= self.lower:
                for task in group.unhealthy:
                    self.result.stops.append(unhealthy(task, "the service has its minimum without it"))
        good = sum(group.serving for group in self.others) + (len(proven.starting) if proven else 0)
        excess = good - (max(keep, self.desired) if stalled else keep)
        if proven is not None and excess > 0:
            victims = self._free(proven, _least_far(proven.starting), 0)[:excess]
            self._stop(victims, "a newer deployment replaces it before it serves")
            excess -= len(victims)
            good -= len(victims)
        for group in self.others:
            for tasks in (group.leaving, group.healthy):
                count = min(len(tasks), excess, self.budget)
                if count <= 0:
                    continue
                free = self._free(group, tasks, count)
                victims = choose(free, min(count, len(free)), self._staying())
                self._stop(victims, "a newer deployment replaces it", healthy=True)
                excess -= len(victims)
                good -= len(victims)
        return good

    def _scale_in(self) -> None:
        surplus = self.primary.wanted - self.desired
        if surplus <= 0:
            return
        pending = self._free(self.primary, _least_far(self.primary.starting), 0)[:surplus]
        self._stop(pending, "more tasks than desired")
        count = min(surplus - len(pending), self.budget)
        if count <= 0:
            return
        free = self._free(self.primary, self.primary.healthy, count)
        victims = choose(free, min(count, len(free)), self._staying())
        self._stop(victims, "more tasks than desired", healthy=True)
        self.primary_serving -= len(victims)

    def _start_primary(self, missing: int) -> None:
        if self.primary.deployment.id in self.barred:
            return
        replaces = min(len(self.primary.unhealthy), max(missing, 0))
        reason = "unhealthy tasks are replaced" if replaces else "fewer tasks than desired"
        self._start(self.primary, missing, reason, replaces)

    def _hold(self, kept: int) -> bool:
        """Replace tasks that the previous revision lost; whether it is still needed for that."""
        group = self._held_group()
        if group is None:
            return False
        lost = _lost(group, self.primary.deployment.created_at)
        missing = min(self.lower - self.primary_serving - kept, lost)
        if missing <= 0:
            return False
        if group.deployment.id not in self.barred:
            replaces = min(len(group.unhealthy), missing)
            self._start(group, missing, "a failed task is replaced with its own revision", replaces)
        return True

    def _unblock(self, missing: int) -> None:
        """Make room for one more task when the ceiling is reached and nothing else will."""
        result = self.result
        waiting = self.primary.deployment.id in self.barred or bool(result.protected)
        if missing <= 0 or waiting or self.room > 0 or result.starts or result.stops or self.any_stopping:
            return
        pending = [task for group in self.others for task in group.starting if not task.protected(self.now)]
        sick = [task for group in (*self.others, self.primary) for task in group.unhealthy]
        if pending:
            self._stop(_least_far(pending)[:1], "the deployment configuration leaves no room for a new task")
        elif sick:
            result.stops.append(unhealthy(_oldest(sick)[0], "there is no room to start a replacement first"))
        else:
            result.blocked = not self.primary.starting

    def _conclude(self, *, held: bool) -> None:
        result = self.result
        stopped = {stop.task_arn for stop in result.stops}
        started = {start.deployment_id for start in result.starts}
        proven = self._held_group()
        for group in self.others:
            remains = any(
                task.arn not in stopped
                for tasks in (group.healthy, group.starting, group.leaving, group.unhealthy, group.stranded)
                for task in tasks
            )
            if not remains and group.deployment.id not in started and not (held and group is proven):
                result.finished.add(group.deployment.id)
        primary = self.primary
        result.older_gone = all(group.deployment.id in result.finished for group in self.others)
        result.settled = (
            not result.starts
            and not result.stops
            and len(primary.healthy) == self.desired == primary.alive
            and result.older_gone
        )

    def _held_group(self) -> Group | None:
        """The newest older deployment that once was complete: what the service falls back on."""
        return next((g for g in reversed(self.others) if g.deployment.status == "ACTIVE" and _proven(g)), None)

    def _staying(self) -> list[Task]:
        """The tasks whose spread over zones and nodes matters when victims are chosen."""
        going = {stop.task_arn for stop in self.result.stops}
        return [
            task
            for group in self.groups
            for tasks in (group.healthy, group.starting, group.leaving)
            for task in tasks
            if task.arn not in going
        ]

    def _free(self, group: Group, tasks: list[Task], wanted: int) -> list[Task]:
        """Those of ``tasks`` that may be stopped although nothing is wrong with them.

        When fewer than ``wanted`` are, it notes that protection keeps the others.
        """
        free = [task for task in tasks if not task.protected(self.now)]
        kept = len(tasks) - len(free)
        if kept and len(free) < wanted:
            protected = self.result.protected
            protected[group.deployment.id] = protected.get(group.deployment.id, 0) + kept
            ends = min(task.protected_until or self.now for task in tasks if task.protected(self.now))
            self.result.protection_ends_at = min(self.result.protection_ends_at or ends, ends)
        return free

    def _stop(self, tasks: list[Task], reason: str, *, healthy: bool = False) -> None:
        self.result.stops.extend(scale_in(task, reason) for task in tasks)
        if healthy:
            self.serving -= len(tasks)

    def _start(self, group: Group, count: int, reason: str, replaces_unhealthy: int) -> None:
        count = min(count, self.room)
        if count <= 0:
            return
        self.room -= count
        self.result.starts.append(Start(group.deployment.id, count, reason, min(replaces_unhealthy, count)))


def _proven(group: Group) -> bool:
    """Whether a deployment was complete once; one that the service went back to was."""
    deployment = group.deployment
    return deployment.rollout_state == "COMPLETED" or (
        deployment.rollout_state == "IN_PROGRESS" and deployment.rolls_back is not None
    )


def _lost(group: Group, since: float) -> int:
    """Tasks of a deployment that failed after ``since`` and were not replaced yet."""
    lost = len(group.unhealthy)
    for task in (*group.stopped, *group.stopping):
        if (task.stopped_at or task.stopping_at or since + 1.0) > since and _failed(task):
            lost += 1
    return lost - sum(1 for task in group.known if task.created_at > since)


def _failed(task: Task) -> bool:
    """Whether a task went down for another reason than that somebody did not want it."""
    on_request = task.stop_code in ("UserInitiated", "ServiceSchedulerInitiated")
    return not on_request or task.stopped_reason == HEALTH_CHECK_REASON


def _least_far(tasks: list[Task]) -> list[Task]:
    """Tasks that do not serve yet: those that do not even run first, the newest before others."""
    return sorted(tasks, key=lambda task: (task.last_status != "RUNNING", task.created_at, task.arn), reverse=True)


def _oldest(tasks: list[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (task.created_at, task.arn))
