"""One step of a DAEMON service: one task on every container instance that it matches.  Pure.

``maximumPercent`` of such a service is 100, and that holds for every instance: a task of a new
revision is started when nothing of the service is left on the instance.  The floor is counted
over the service: ``minimumHealthyPercent`` of the ACTIVE instances that match keep a healthy
task while revisions are replaced.

* A DRAINING instance gets no task.  The one that it has, if it runs, stays until all tasks but
  those of DAEMON services are gone from it, and counts for nothing meanwhile.
* An instance whose agent is disconnected keeps what it has and gets nothing; without a task it
  is not counted, so that a lost machine does not hold a deployment up.
* A task whose instance no longer meets the constraints is stopped.

A deployment that FAILED and did not roll back launches nothing, and nothing is stopped for it.
Then instances without a task get one of the newest older deployment that was complete once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning.deployment_rolling import Step
from openecs.planning.fallback import fallback
from openecs.planning.service_actions import Start, Stop, names_health_checks, scale_in, unhealthy
from openecs.planning.service_places import DaemonInstance
from openecs.planning.service_snapshot import Census, Group
from openecs.planning.service_victims import MAX_STOPS

#: CreateService without the percentage, as through the API on AWS.
DEFAULT_MINIMUM_HEALTHY_PERCENT = 0


@dataclass(slots=True)
class DaemonStep(Step):
    """What to do now, and how many tasks there should be."""

    #: Container instances that are to have a task: the service's desired count.
    desired: int = 0


@dataclass(slots=True)
class _Place:
    """What is on one container instance."""

    instance: DaemonInstance
    #: Tasks that nobody told to stop: (group, task, one of HEALTHY, UNHEALTHY, RUNNING, STARTING).
    alive: list[tuple[Group, Task, str]] = field(default_factory=list)
    #: Whether something of the service is still on its way down here.
    going: bool = False


def step(
    service: Service,
    census: Census,
    instances: Sequence[DaemonInstance],
    now: float,
    *,
    barred: frozenset[str] = frozenset(),
) -> DaemonStep:
    """The next step towards one healthy task of the PRIMARY deployment on every instance that it matches.

    ``barred`` names the deployments that may start nothing at present: they back off or FAILED.
    """
    finished = _nothing_to_do(census, instances)
    if finished is not None:
        return finished
    return _Daemon(service, census, instances, now, barred).run()


def _nothing_to_do(census: Census, instances: Sequence[DaemonInstance]) -> DaemonStep | None:
    """The answer for a service that is as it should be, which is the usual case of many instances."""
    primary = census.primary
    if primary is None or any(group.existing for group in census.everyone if group is not primary):
        return None
    if primary.deployment.rollout_state == "FAILED":
        return None
    if len(primary.healthy) != primary.existing:
        return None
    served = {task.container_instance_arn for task in primary.healthy}
    identifier = primary.deployment.id
    wanted = {
        place.arn
        for place in instances
        if place.active and identifier in place.matches and (place.connected or place.arn in served)
    }
    if served != wanted or len(wanted) != len(primary.healthy):
        return None
    others = {group.deployment.id for group in census.groups if group is not primary}
    return DaemonStep(desired=len(wanted), finished=others, older_gone=True, settled=True)


class _Daemon:
    """The decisions of one step, instance by instance."""

    def __init__(
        self,
        service: Service,
        census: Census,
        instances: Sequence[DaemonInstance],
        now: float,
        barred: frozenset[str],
    ) -> None:
        primary = census.primary
        if primary is None:
            raise ValueError(f"{service.arn} has no PRIMARY deployment")
        self.census = census
        self.primary = primary
        self.id = primary.deployment.id
        self.now = now
        #: Whether older tasks are to stay, because no new ones will come in their place.
        self.stalled = primary.deployment.rollout_state == "FAILED"
        #: The deployment whose tasks are started.
        self.source: Group | None = fallback(census.everyone) if self.stalled else primary
        source = self.source.deployment.id if self.source is not None else ""
        self.may_start = bool(source) and source not in barred
        #: Deployments whose tasks may stay on an instance that they match.
        self.lasting = {self.id, source}
        self.places = {instance.arn: _Place(instance) for instance in instances}
        self.result = DaemonStep()
        self.homeless: list[Task] = []
        self._sort_tasks()
        #: Instances that are to have a task.
        self.wanted = [
            place
            for place in self.places.values()
            if place.instance.active
            and not place.instance.matches.isdisjoint(self.lasting)
            and (place.instance.connected or place.alive)
        ]
        self.result.desired = len(self.wanted)
        minimum = service.deployment_configuration.minimum_healthy_percent
        minimum = DEFAULT_MINIMUM_HEALTHY_PERCENT if minimum is None else minimum
        self.lower = -(-self.result.desired * minimum // 100)
        self.serving = 0
        #: Healthy tasks of older revisions, to be replaced as far as the floor allows.
        self.outdated: list[tuple[DaemonInstance, Task]] = []
        self.sick: list[Task] = []
        self.healthy = 0

    def run(self) -> DaemonStep:
        for task in self.homeless:
            self._stop(task, "its container instance is gone")
        for place in self.places.values():
            if place.instance.active:
                self._tidy(place)
            else:
                self._drain(place)
        retired = self._retire()
        self._stop_sick()
        self._start()
        self._conclude(retired)
        return self.result

    def _sort_tasks(self) -> None:
        for group in self.census.everyone:
            for health, tasks in (
                ("HEALTHY", group.healthy),
                ("HEALTHY", group.leaving),
                ("STARTING", group.starting),
                ("RUNNING", group.unready),
                ("STARTING", group.stranded),
                ("UNHEALTHY", group.unhealthy),
            ):
                for task in tasks:
                    place = self.places.get(task.container_instance_arn or "")
                    if place is None:
                        self.homeless.append(task)
                    else:
                        place.alive.append((group, task, health))
            for task in group.stopping:
                place = self.places.get(task.container_instance_arn or "")
                if place is not None:
                    place.going = True

    def _drain(self, place: _Place) -> None:
        for _, task, health in place.alive:
            if health == "STARTING":
                self._stop(task, "its container instance is DRAINING and it does not run yet")
            elif health == "UNHEALTHY":
                self._tell(self._unhealthy(task, "its container instance is DRAINING"))
            elif not place.instance.occupied:
                self._stop_unless_protected(
                    task, "its container instance is DRAINING and nothing else runs there any more"
                )

    def _tidy(self, place: _Place) -> None:
        """Leave at most one task on an ACTIVE instance, one that belongs there."""
        if len(place.alive) > 1:
            place.alive.sort(key=self._worth)
            for _, task, _ in place.alive[1:]:
                self._stop(task, "a container instance runs one task of a DAEMON service")
            del place.alive[1:]
        for group, task, health in place.alive:
            current = group is self.primary or group is self.source
            if current and group.deployment.id not in place.instance.matches:
                self._stop_unless_protected(task, "its container instance no longer meets the placement constraints")
            elif current:
                self.serving += health == "HEALTHY"
                self.healthy += health == "HEALTHY" and group is self.primary
                if health == "UNHEALTHY":
                    self.sick.append(task)
            elif health == "HEALTHY":
                self.serving += 1
                self.outdated.append((place.instance, task))
            elif not self.stalled:
                self._stop_unless_protected(task, "a newer deployment replaces it before it serves")

    def _worth(self, entry: tuple[Group, Task, str]) -> tuple[bool, int, float, str]:
        group, task, health = entry
        return (
            group is not self.primary,
            ("HEALTHY", "STARTING", "RUNNING", "UNHEALTHY").index(health),
            task.created_at,
            task.arn,
        )

    def _retire(self) -> int:
        """Stop tasks of older revisions as far as the floor allows; returns how many."""
        if self.stalled:
            return 0
        for task in (task for _, task in self.outdated if task.protected(self.now)):
            self._note_protection(task)
        free = [(instance, task) for instance, task in self.outdated if not task.protected(self.now)]
        # First where the new revision will not follow, last where nobody listens.
        free.sort(
            key=lambda entry: (self.id in entry[0].matches, not entry[0].connected, entry[1].created_at, entry[1].arn)
        )
        budget = max(0, self.serving - self.lower)
        budget = min(budget, len(free), MAX_STOPS - len(self.result.stops))
        for _, task in free[:budget]:
            self._stop(task, "a newer deployment replaces it")
        return budget

    def _note_protection(self, task: Task) -> None:
        result = self.result
        owner = task.deployment_id or ""
        result.protected[owner] = result.protected.get(owner, 0) + 1
        ends = task.protected_until or self.now
        result.protection_ends_at = min(result.protection_ends_at or ends, ends)

    def _stop_sick(self) -> None:
        """One unhealthy task at a time: there is no room to start its replacement first."""
        groups = [group for group in (self.primary, self.source) if group is not None]
        if any(names_health_checks(task.stopped_reason) for group in groups for task in group.stopping):
            return
        for task in sorted(self.sick, key=lambda task: (task.created_at, task.arn))[:1]:
            self._tell(self._unhealthy(task, "there is no room to start a replacement first"))

    def _start(self) -> None:
        if self.source is None:
            return
        source = self.source.deployment.id
        empty = [
            place.instance
            for place in self.wanted
            if not place.alive and not place.going and place.instance.connected and source in place.instance.matches
        ]
        free = tuple(instance.arn for instance in empty if not instance.refused)
        if not free or not self.may_start:
            return
        replaced = self._after_unhealthy(self.source, frozenset(free))
        reason = "container instances are without a task of the service"
        self.result.starts.append(Start(source, len(free), reason, replaced, free))

    def _after_unhealthy(self, source: Group, free: frozenset[str]) -> int:
        """How many of the instances lost their last task to its health checks."""
        last: dict[str, Task] = {}
        for task in source.stopped:
            arn = task.container_instance_arn or ""
            if arn in free and (arn not in last or task.created_at > last[arn].created_at):
                last[arn] = task
        return sum(names_health_checks(task.stopped_reason) for task in last.values())

    def _conclude(self, retired: int) -> None:
        result = self.result
        stays = sum(not task.protected(self.now) for _, task in self.outdated) - retired
        told = {stop.task_arn for stop in result.stops}
        needed = {
            group.deployment.id
            for place in self.places.values()
            if place.instance.active
            for group, task, _ in place.alive
            if group is not self.primary and task.arn not in told
        }
        if self.stalled and self.source is not None:
            needed.add(self.source.deployment.id)
        # What waits on DRAINING instances for others to go no longer needs its deployment.
        result.finished = {group.deployment.id for group in self.census.groups if group is not self.primary} - needed
        result.older_gone = not needed
        moving = result.starts or result.stops or self.primary.starting
        going = any(place.going for place in self.places.values() if place.instance.active)
        result.blocked = bool(stays and not self.stalled and self.may_start and not (moving or going or self.sick))
        result.settled = (
            not result.starts and not result.stops and not needed and not self.sick and self.healthy == result.desired
        )

    def _stop_unless_protected(self, task: Task, reason: str) -> None:
        """Nothing is wrong with the task but that it is not wanted."""
        if task.protected(self.now):
            self._note_protection(task)
        else:
            self._stop(task, reason)

    def _stop(self, task: Task, reason: str) -> None:
        self._tell(scale_in(task, reason))

    def _unhealthy(self, task: Task, reason: str) -> Stop:
        return unhealthy(task, reason, self.census.target_failures.get(task.arn))

    def _tell(self, stop: Stop) -> None:
        """As many as one step may; the others come with the next one."""
        if len(self.result.stops) < MAX_STOPS:
            self.result.stops.append(stop)
