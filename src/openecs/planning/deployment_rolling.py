"""One step of a rolling replacement: which tasks to start and stop now.  Pure.

The step is the same for a first roll-out, a new revision, scaling, the replacement of failed
tasks and the draining of instances: the PRIMARY deployment gets as many tasks as are missing
and the ceiling allows; tasks that are not wanted any more go as far as the floor allows.
Tasks that were told to stop count against the ceiling until they are STOPPED, because they
still hold what they hold.

While a deployment is under way the service falls back on the newest older revision that was
complete once: what that one loses below the floor it gets back, up to what it had when it was
replaced less what the scheduler has stopped of it since (``Deployment.held``).  It comes before the
new revision, so that one that hangs or fails cannot take the service below its floor.

A deployment that FAILED and did not roll back stalls: it launches nothing and nothing healthy is
stopped for it.  Then the revision that the service falls back on is what runs the service, all
that is desired of it.  Tasks under scale-in protection are never stopped because they are not
wanted; they may go when they fail their health checks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from openecs.model.task import Task
from openecs.planning.deployment_bounds import Bounds
from openecs.planning.fallback import fallback, held_by
from openecs.planning.service_actions import Start, Stop, lost, scale_in, unhealthy
from openecs.planning.service_snapshot import Census, Group
from openecs.planning.service_victims import MAX_STOPS, Spare, choose

_DRAINING = "its container instance is DRAINING"


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
    #: Deployment → what is to be remembered as ``Deployment.held``.
    held: dict[str, int] = field(default_factory=dict)


def step(
    census: Census,
    primary: Group,
    desired: int,
    limits: Bounds,
    *,
    barred: frozenset[str],
    now: float,
    spare: Spare | None = None,
) -> Step:
    """The next step towards ``desired`` healthy tasks of ``primary`` and none of others.

    ``barred`` names the deployments that may start nothing at present; ``spare`` weighs
    instances when tasks are taken from a service that packs bins.
    """
    return _Rolling(census, primary, desired, limits, barred, now, spare).run()


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
        spare: Spare | None,
    ) -> None:
        self.primary = primary
        self.desired = desired
        self.limits = limits
        self.lower = limits.lower
        self.barred = barred
        self.now = now
        self.spare = spare
        everyone = census.everyone
        self.groups = everyone
        self.target_failures = census.target_failures
        self.fallback = fallback(everyone)
        #: What goes first comes first: what was never proved, then what is longest out of date.
        self.others = [group for group in reversed(everyone) if group is not primary and group is not self.fallback]
        if self.fallback is not None:
            self.others.append(self.fallback)
        self.stalled = primary.deployment.rollout_state == "FAILED"
        #: Whether the PRIMARY deployment can replace nothing at present.
        self.idle = primary.deployment.id in barred
        self.room = limits.upper - sum(group.existing for group in everyone)
        #: Healthy tasks, of any revision, that will be left after the stops chosen so far.
        self.serving = sum(group.serving for group in everyone)
        self.primary_serving = primary.serving
        self.any_stopping = any(group.stopping for group in everyone)
        #: Tasks that were chosen to stop.
        self.told: set[str] = set()
        self.result = Step()

    def run(self) -> Step:
        for group in (self.primary, *self.others):
            self._stop(group.stranded, f"{_DRAINING} and it does not run yet")
        self._replace_leaving(self.primary)
        if self.stalled and self.fallback is not None:
            self._replace_leaving(self.fallback)
        self._replace_unhealthy()
        kept = self._retire_others()
        self._scale_in()
        self._give_up_lost()
        lacking = self._lacking(kept)
        reserved = self._start_fallback(lacking)
        missing = self.desired - self.primary.wanted
        self._start_primary(missing, reserved)
        self._unblock_fallback(lacking)
        self._unblock(missing)
        self._conclude(lacking)
        return self.result

    @property
    def budget(self) -> int:
        """How many healthy tasks may be stopped without going below the floor."""
        return max(0, self.serving - self.lower)

    def _replace_leaving(self, group: Group) -> None:
        leaving = self._free(group, group.leaving, len(group.leaving))[: self.budget]
        stopped = self._stop(leaving, _DRAINING, healthy=True)
        if group is self.primary:
            self.primary_serving -= len(stopped)
        self._stop_unready(group)

    def _stop_unready(self, group: Group) -> None:
        if group.unready and self.serving >= self.lower:
            self._stop(self._free(group, group.unready, len(group.unready)), f"{_DRAINING} and it does not serve")

    def _replace_unhealthy(self) -> None:
        group = self.primary
        excess = len(group.healthy) + len(group.unhealthy) - self.desired
        if self.stalled and self.fallback is not None and self.serving >= self.lower:
            # Its own deployment replaces nothing any more; another one does.
            excess = len(group.unhealthy)
        for task in _oldest(group.unhealthy)[: max(0, excess)]:
            self._stop_unhealthy(task, "enough other tasks are healthy")

    def _retire_others(self) -> int:
        """Stop what older revisions no longer need; returns how many of their tasks stay."""
        keep = max(0, self.lower - self.primary_serving)
        proven = self.fallback
        for group in self.others:
            if group is not proven:
                waiting = [*group.starting, *group.unready]
                pending = self._free(group, _least_far(waiting), len(waiting))
                failed = group.deployment.rollout_state == "FAILED"
                self._stop(
                    pending, "its deployment failed" if failed else "a newer deployment replaces it before it serves"
                )
            else:
                self._stop_unready(group)
            if self.serving >= self.lower:
                for task in group.unhealthy:
                    self._stop_unhealthy(task, "the service has its minimum without it")
        if self.stalled:
            keep = max(keep, self.desired)
        if proven is not None:
            victims = self._free(proven, _least_far(proven.starting), 0)[: self._surplus(proven, keep)]
            self._stop(victims, "a newer deployment replaces it before it serves")
        for group in self.others:
            surplus = self._kept() - keep
            if group is proven and self.stalled:
                surplus = self._surplus(group, keep) + self._left(group.leaving)
            self._take(group, group.leaving, surplus, "a newer deployment replaces it")
            surplus = self._surplus(group, keep) if group is proven else self._kept() - keep
            self._take(group, group.healthy, surplus, "a newer deployment replaces it")
        return self._kept()

    def _kept(self) -> int:
        """Tasks of older revisions that serve, or of the one that the service falls back on will, and stay."""
        starting = self._left(self.fallback.starting) if self.fallback else 0
        return starting + sum(self._left(group.healthy) + self._left(group.leaving) for group in self.others)

    def _surplus(self, proven: Group, keep: int) -> int:
        """How many of the tasks are too many that the service falls back on.

        Those on instances that are drained are no reason to stop others, which may be there to
        replace them; and of a stalled service nobody else's are: what is stopped here is not lacking.
        """
        if self.stalled:
            return max(self._left(proven.healthy) + self._left(proven.starting) - keep, 0)
        return max(self._kept() - self._left(proven.leaving) - keep, 0)

    def _scale_in(self) -> None:
        surplus = self.primary.wanted - self.desired
        if surplus <= 0:
            return
        pending = self._free(self.primary, _least_far(self.primary.starting), 0)[:surplus]
        surplus -= len(self._stop(pending, "more tasks than desired"))
        self.primary_serving -= self._take(self.primary, self.primary.healthy, surplus, "more tasks than desired")

    def _give_up_lost(self) -> None:
        if self.serving < self.desired:
            return
        for group in self.groups:
            for task in group.lost[: MAX_STOPS - len(self.result.stops)]:
                self.result.stops.append(lost(task))
                self.told.add(task.arn)

    def _lacking(self, kept: int) -> int:
        """Tasks that the revision lacks on which the service falls back; at most 0: it lacks none."""
        group = self.fallback
        if group is None:
            return 0
        leaving = self._left(group.leaving)
        there = self._left(group.healthy) + self._left(group.starting)
        if self.stalled:
            return self.desired - len(self.primary.healthy) - there
        if self.idle:
            # Nothing else comes in the place of what runs on instances that are drained.
            kept -= leaving
        else:
            there += leaving
        return min(self.lower - self.primary_serving - kept, held_by(group) - there)

    def _start_fallback(self, lacking: int) -> int:
        """Start what is lacking; returns the room that is kept for what may not start yet."""
        group = self.fallback
        if group is None or lacking <= 0:
            return 0
        if group.deployment.id not in self.barred:
            replaces = min(len(group.unhealthy), lacking)
            self._start(group, lacking, "a lost task is replaced with its own revision", replaces)
            return 0
        # Percentages without any room to move let nothing new start but in the place of what failed.
        return lacking if self.limits.upper > self.lower else 0

    def _start_primary(self, missing: int, reserved: int) -> None:
        if self.idle:
            return
        replaces = min(len(self.primary.unhealthy), max(missing, 0))
        reason = "unhealthy tasks are replaced" if replaces else "fewer tasks than desired"
        self._start(self.primary, min(missing, self.room - reserved), reason, replaces)

    def _unblock(self, missing: int) -> None:
        """Make room for one more task when the ceiling is reached and nothing else will."""
        if missing <= 0 or self.idle or not self._stuck():
            return
        # What still starts of older revisions is needed for the floor.
        sick = [task for group in (*self.others, self.primary) for task in group.unhealthy]
        if sick:
            self._stop_unhealthy(_oldest(sick)[0], "there is no room to start a replacement first")
        else:
            self.result.blocked = not any(group.starting for group in (self.primary, *self.others))

    def _unblock_fallback(self, lacking: int) -> None:
        """The same for a task that the service falls back on; it comes before what does not serve yet."""
        group = self.fallback
        if group is None or lacking <= 0 or group.deployment.id in self.barred or not self._stuck():
            return
        sick = group.unhealthy or self.primary.unhealthy
        pending = [task for task in self.primary.starting if not task.protected(self.now)]
        if sick:
            self._stop_unhealthy(_oldest(sick)[0], "there is no room to start a replacement first")
        elif pending:
            self._stop(_least_far(pending)[:1], "what it replaces lacks a task and there is no room for it")
        elif self.stalled:
            self.result.blocked = not group.starting

    def _stuck(self) -> bool:
        result = self.result
        return not (self.room > 0 or result.starts or result.stops or result.protected or self.any_stopping)

    def _conclude(self, lacking: int) -> None:
        result = self.result
        started = {start.deployment_id for start in result.starts}
        for group in self.others:
            remains = any(task.arn not in self.told for task in group.up())
            needed = group is self.fallback and (lacking > 0 or self.stalled)
            if not remains and group.deployment.id not in started and not needed:
                result.finished.add(group.deployment.id)
        self._remember()
        primary = self.primary
        result.older_gone = all(group.deployment.id in result.finished for group in self.others)
        result.settled = (
            not result.starts
            and not result.stops
            and len(primary.healthy) == self.desired == primary.alive
            and result.older_gone
        )

    def _remember(self) -> None:
        """What every deployment may have from now on, whatever it loses."""
        held = self.result.held
        held[self.primary.deployment.id] = self.desired
        for group in self.others:
            there = sum(self._left(tasks) for tasks in (group.healthy, group.starting, group.leaving))
            if group is self.fallback and self.stalled:
                held[group.deployment.id] = max(self.desired - len(self.primary.healthy), there)
            else:
                may_have = held_by(group)
                before = len(group.healthy) + len(group.starting) + len(group.leaving)
                # One that goes because its replacement is there leaves that one.
                given_up = before - there - max(before - may_have, 0)
                held[group.deployment.id] = max(may_have - max(given_up, 0), 0)

    def _take(self, group: Group, tasks: list[Task], count: int, reason: str) -> int:
        """Stop up to ``count`` healthy tasks of a list as far as the floor allows; how many."""
        tasks = [task for task in tasks if task.arn not in self.told]
        count = min(len(tasks), count, self.budget)
        if count <= 0:
            return 0
        free = self._free(group, tasks, count)
        count = min(count, len(free), MAX_STOPS - len(self.result.stops))
        return len(self._stop(choose(free, count, self._staying(), self.spare), reason, healthy=True))

    def _staying(self) -> list[Task]:
        """The tasks whose spread over zones and nodes matters when victims are chosen."""
        return [
            task
            for group in self.groups
            for tasks in (group.healthy, group.starting, group.leaving)
            for task in tasks
            if task.arn not in self.told
        ]

    def _left(self, tasks: list[Task]) -> int:
        """How many of these tasks stay."""
        return sum(task.arn not in self.told for task in tasks) if self.told else len(tasks)

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

    def _stop(self, tasks: list[Task], reason: str, *, healthy: bool = False) -> list[Task]:
        """Tell tasks to stop, as many as one step may; returns these."""
        tasks = [task for task in tasks if task.arn not in self.told][: MAX_STOPS - len(self.result.stops)]
        self.result.stops.extend(scale_in(task, reason) for task in tasks)
        self.told.update(task.arn for task in tasks)
        if healthy:
            self.serving -= len(tasks)
        return tasks

    def _stop_unhealthy(self, task: Task, reason: str) -> None:
        if len(self.result.stops) < MAX_STOPS:
            self.result.stops.append(unhealthy(task, reason, self.target_failures.get(task.arn)))
            self.told.add(task.arn)

    def _start(self, group: Group, count: int, reason: str, replaces_unhealthy: int) -> None:
        count = min(count, self.room)
        if count <= 0:
            return
        self.room -= count
        self.result.starts.append(Start(group.deployment.id, count, reason, min(replaces_unhealthy, count)))


def _least_far(tasks: list[Task]) -> list[Task]:
    """Tasks that do not serve yet: those that do not even run first, the newest before others."""
    return sorted(tasks, key=lambda task: (task.last_status != "RUNNING", task.created_at, task.arn), reverse=True)


def _oldest(tasks: list[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (task.created_at, task.arn))
