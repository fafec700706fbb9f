"""Launching tasks: find nodes, write the records; what RunTask and services share.

Placement happens inside the caller's transaction, so that a reply or a service event tells
the truth about it.  Nothing here talks to agents: the gateway sees the new records.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from openecs.control import launch_failures, launch_records, waiting_tasks
from openecs.control.launch_places import LaunchPlaces
from openecs.control.launch_spec import Launched, LaunchSpec, together
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError, Retryable, invalid_parameter
from openecs.ids import Ids
from openecs.model.resources import Resources
from openecs.model.task import Task
from openecs.planning import gpus, image_pins, placement_history
from openecs.planning.new_task import twin
from openecs.planning.placement import Candidate, Demand, Rejection, closest, explain
from openecs.planning.provider_shares import shares
from openecs.planning.reservation import task_reservation
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Transaction

#: Up to so many nodes, history says of every placement what spoke against each other one.
EXPLAINED = 50


class Launcher:
    """Places and writes tasks.  ``rng`` serves the random placement strategy."""

    def __init__(self, state: State, networks: RegionNetworks, rng: random.Random) -> None:
        self._state = state
        self._networks = networks
        self._places = LaunchPlaces(state, networks)
        self._rng = rng
        self._paused_until = 0.0

    @property
    def networks(self) -> RegionNetworks:
        """The networks that tasks are launched into."""
        return self._networks

    def pause(self, *, until: float) -> None:
        """Launch nothing before that time: the installation is being shut down with its tasks.

        Who waits for them to stop says it again and again; when nobody does, it ends by itself.
        """
        self._paused_until = until

    def resume(self) -> None:
        """Launch again."""
        self._paused_until = 0.0

    def paused(self, now: float) -> bool:
        """Whether nothing is launched."""
        return now < self._paused_until

    def launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched:
        """Write the tasks that fit.  Raises ``AWSError`` when the cluster has no instances,
        ``Retryable`` while launching is paused."""
        if self.paused(now):
            raise Retryable("the installation is being shut down")
        if not spec.capacity_provider_strategy:
            return self._launch(tx, spec, now=now, ids=ids)
        parts = [
            self._launch(tx, msgspec.structs.replace(spec, count=count, capacity_provider=name), now=now, ids=ids)
            for name, count in shares(spec.capacity_provider_strategy, spec.count, self._there(spec)).items()
        ]
        return together(parts)

    def place_waiting(self, tx: Transaction, tasks: Sequence[Task], *, ids: Ids) -> int:
        """Put as many as fit of these tasks, which wait for the same capacity, on nodes.

        They are equal but for their names: same definition, overrides, group and wishes.
        Returns how many found a node: the first ones.
        """
        like = tasks[0]
        spec = waiting_tasks.launch_again(self._state, like, len(tasks))
        try:
            self._places.check(spec)
        except AWSError:
            # They wait on: their subnet or security group was deleted after they were asked for.
            return 0
        scope = self._places.scope(spec)
        offer = self._state.fleet.offer(scope)
        view = offer.view(scope, self._places.demand(spec, like.reservation), self._rng)
        for placed, task in enumerate(tasks):
            chosen = offer.best(view)
            where = self._places.location(spec, chosen, ids) if chosen else None
            if where is None:
                return placed
            tx.because(task.arn, "capacity has come", fitting=view.fitting, offered=len(offer))
            containers = image_pins.settled(task.containers, waiting_tasks.pins_of(self._state, task))
            task = msgspec.structs.replace(task, waiting=None, containers=containers, version=task.version + 1)
            tx.put(self._placed(task, spec, where))
        return len(tasks)

    def _there(self, spec: LaunchSpec) -> dict[str, int]:
        """Tasks that are there of the same deployment (or, standalone, of the same group), by provider."""
        owner = spec.deployment_id or spec.group
        return {
            item.capacity_provider: self._state.tasks.count(
                "provided", (spec.cluster.arn, owner, item.capacity_provider)
            )
            for item in spec.capacity_provider_strategy
        }

    def _wait(self, tx: Transaction, spec: LaunchSpec, reservation: Resources, now: float, ids: Ids) -> Task:
        """Write one task that waits until its capacity provider has room for it."""
        task = launch_records.unplaced(spec, reservation, now, ids)
        return launch_records.put(tx, spec, msgspec.structs.replace(task, waiting=waiting_tasks.wishes(spec)))

    def _launch(self, tx: Transaction, spec: LaunchSpec, *, now: float, ids: Ids) -> Launched:
        """Write tasks of one launch type or capacity provider."""
        may_wait = waiting_tasks.may_wait(spec)
        self._places.check(spec)
        reservation = task_reservation(spec.definition.definition, spec.overrides)
        demand = self._places.demand(spec, reservation)
        if spec.container_instances:
            return self._start_on(tx, spec, demand, now, ids)
        scope = self._places.scope(spec)
        offer = self._state.fleet.offer(scope)
        view = offer.view(scope, demand, self._rng)
        tasks: list[Task] = []
        against: dict[str, Any] = {}
        names = demand.strategy_names
        missing = no_address = 0
        while len(tasks) < spec.count:
            chosen = offer.best(view)
            if chosen is None:
                # What does not fit now does not fit the rest of the tasks either.
                missing = spec.count - len(tasks)
                break
            fitting = view.fitting
            if not tasks and fitting < len(offer) <= EXPLAINED:
                named = placement_history.NAMED_FOR_ONE
                against = placement_history.against(offer.explain(view), reservation, named=named)
            task = self._write(tx, spec, chosen, demand, now, ids, tasks[-1] if tasks else None)
            if task is None:
                no_address = spec.count - len(tasks)
                break
            tasks.append(task)
            why = placement_history.chosen(names, fitting=fitting, offered=len(offer), against=against)
            tx.because(task.arn, "", **why)
        rejections: tuple[Rejection, ...] = ()
        if missing:
            if not may_wait and spec.launch_type != "FARGATE" and not offer.candidates(scope):
                launch_failures.note(tx, spec, reservation, (), launch_failures.NO_INSTANCES, missing, now)
                raise invalid_parameter(launch_failures.NO_INSTANCES)
            rejections = offer.explain(view)
        waiting = 0
        if may_wait and missing:
            waiting = min(missing, waiting_tasks.room(self._state, spec.cluster.arn))
            waiters = [self._wait(tx, spec, reservation, now, ids) for _ in range(waiting)]
            tasks += waiters
            against = placement_history.against(rejections, reservation, named=placement_history.NAMED_FOR_ONE)
            for task in waiters:
                tx.because(task.arn, "", **against)
            too_many = ecs.Failure(arn=spec.cluster.arn, reason=launch_failures.TOO_MANY_WAITING)
            failures = [too_many] * (missing - waiting)
        else:
            failures = [*launch_failures.unplaceable(spec, rejections, missing)]
        failures += [ecs.Failure(arn=spec.cluster.arn, reason=launch_failures.NO_ADDRESS)] * no_address
        if failures:
            launch_failures.note(tx, spec, reservation, rejections, failures[0].reason, spec.count - len(tasks), now)
        return Launched(tuple(tasks), tuple(failures), closest(rejections), waiting)

    def _start_on(self, tx: Transaction, spec: LaunchSpec, demand: Demand, now: float, ids: Ids) -> Launched:
        tasks: list[Task] = []
        failures: list[ecs.Failure] = []
        rejections: list[Rejection] = []
        for instance in spec.container_instances:
            candidate = self._state.fleet.instance(instance)
            reason = explain(demand, candidate) if candidate else "INACTIVE"
            if candidate is None or reason is not None:
                failures.append(ecs.Failure(arn=instance.arn, reason=reason))
                if candidate is not None and reason is not None:
                    rejections.append(Rejection(candidate, reason))
                continue
            task = self._write(tx, spec, candidate, demand, now, ids, tasks[-1] if tasks else None)
            if task is None:
                failures.append(ecs.Failure(arn=instance.arn, reason=launch_failures.NO_ADDRESS))
                continue
            tasks.append(task)
        if failures:
            launch_failures.note(tx, spec, demand.resources, rejections, failures[0].reason, len(failures), now)
        return Launched(tuple(tasks), tuple(failures), None)

    def _write(
        self,
        tx: Transaction,
        spec: LaunchSpec,
        chosen: Candidate,
        demand: Demand,
        now: float,
        ids: Ids,
        like: Task | None,
    ) -> Task | None:
        """Write one task onto the chosen node; ``None`` when its subnets are full.

        ``like`` is a task that the same launch wrote before.
        """
        where = self._places.location(spec, chosen, ids)
        if where is None:
            return None
        if like is not None and not demand.resources.gpus:
            return launch_records.put(tx, spec, twin(like, ids, **where))
        task = launch_records.unplaced(spec, demand.resources, now, ids)
        return launch_records.put(tx, spec, self._placed(task, spec, where))

    def _placed(self, task: Task, spec: LaunchSpec, where: dict[str, Any]) -> Task:
        """The task at its place, with GPUs of that node if it asks for some."""
        if task.reservation.gpus:
            counts = gpus.wanted(spec.definition.definition, spec.overrides)
            free = self._state.fleet.free_gpus(where["node_id"])
            where = {**where, "containers": gpus.assign(task.containers, counts, free)}
        return msgspec.structs.replace(task, **where)
