"""What must become true once inputs stop and everything works: the end of every seed.

First everything converges: tasks run or have stopped, services are steady or say why they are
not.  Then the user stops everything, and nothing is left on any host.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agreement import disagreements
from quiet_services import QuietServices, allows
from service_clients import DISTINCT
from told import untold

from openecs.errors import AWSError
from openecs.model.task import Task
from openecs.shapes import ecs

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulated_node import Node
    from simulation import World

#: Longer than any back-off: AWS's longest is 27 minutes, an agent's an hour.
PATIENCE = 2 * 3600.0
#: Seconds for which nothing may happen once everything is quiet.
STILL = 400.0


class Quiet:
    """Waits for the two kinds of quiet; raises ``TimeoutError`` with what is still going on."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.services = QuietServices(world)

    async def converges(self) -> None:
        """Everything is as it was asked for."""
        await self._until(self._going_on)
        await self._until(self._all_told)
        await self._stays_quiet()
        self._check_tokens()
        self._check_wishes()

    async def winds_down(self) -> None:
        """After everything was stopped, nothing is left."""
        world = self.world
        state = world.start_control_plane().state
        for service in [s for s in state.services if s.status == "ACTIVE"]:
            await world.call_until_answered("DeleteService", ecs.DeleteServiceRequest(service=service.arn, force=True))
        for task in [t for t in state.tasks if t.desired_status == "RUNNING" and t.service_arn is None]:
            try:
                await world.call_until_answered("StopTask", ecs.StopTaskRequest(task=task.arn))
            except AWSError as error:
                world.wrong(f"StopTask of {task.arn} was refused: {error!r}")
        await self._until(self._left)
        await self._until(self._all_told)

    async def _until(self, going_on: Callable[[], str | None]) -> None:
        begun = self.world.loop.time()
        pause = 0.5
        while (what := going_on()) is not None:
            if self.world.loop.time() - begun > PATIENCE:
                raise TimeoutError(f"after {PATIENCE:g} s without inputs: {what}")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 30.0)

    async def _stays_quiet(self) -> None:
        """Nobody writes for ever, nobody looks for ever: nothing happens that nobody asked for."""
        world = self.world
        plane = world.start_control_plane()
        if any(self.services.restless(service) for service in plane.state.services):
            return
        commits, looks = world.commits, [loop.reconciled for loop in plane.loops]
        live = sum(not task.stopped for task in plane.state.tasks)
        # Agents renew their connections, and each time services may try to move a task to another zone.
        most = 20 + 2 * live + 4 * len(plane.state.services) * len(world.nodes)
        await asyncio.sleep(STILL)
        if world.commits - commits > most:
            world.wrong(f"{world.commits - commits} commits in {STILL:g} s in which nothing was asked for")
        for loop, before in zip(plane.loops, looks, strict=True):
            # An agent's connection that is renewed wakes every service that waits for room.
            if loop.reconciled - before > 5 * most:
                world.wrong(f"{loop!r} looked {loop.reconciled - before} times in {STILL:g} s of quiet")
        await self._until(self._going_on)

    # -- what is still going on -----------------------------------------------------------

    def _going_on(self) -> str | None:
        world = self.world
        plane = world.start_control_plane()
        if not plane.journal.idle:
            return "not everything is durable"
        for loop in plane.loops:
            if loop.bugs:
                world.wrong(f"{loop!r} has had {loop.bugs} bugs")
        for node in self._serving():
            if not self._is_connected(node):
                return f"{node.name} is not connected"
        for service in plane.state.services:
            what = self.services.going_on(service)
            if what is not None:
                return what
        restless = {s.arn for s in plane.state.services if self.services.restless(s)}
        for task in plane.state.tasks:
            what = None if task.service_arn in restless else self._task(task)
            if what is not None:
                return what
        target = world.checker.target_rules.left()
        if target is not None and not restless:
            return target
        there = [node for node in world.nodes if not node.lost and self._is_connected(node)]
        balancer = world.checker.balancer_rules.left(there, world.checker.target_rules.seen())
        if balancer is not None:
            return balancer
        stranger = self._strangers(restless)
        if stranger is not None:
            return stranger
        return next(disagreements(world, restless), None)

    def _all_told(self) -> str | None:
        """Hosts know what they should; asked for by itself, because it takes longer than all else."""
        going_on = self._going_on()
        restless = any(self.services.restless(s) for s in self.world.start_control_plane().state.services)
        return going_on if going_on is not None or restless else next(untold(self.world), None)

    def _task(self, task: Task) -> str | None:
        if task.stopped:
            return None
        if task.waiting is not None:
            takers = [node for node in self._serving() if self._takes(node, task)]
            rooms = [self.services.room_on(node, task.reservation, fargate=False) for node in takers]
            found = next(filter(None, rooms), None)
            return None if found is None else f"{task.arn} waits for capacity, and {found} has enough"
        if task.desired_status == "STOPPED" or task.last_status != "RUNNING":
            return f"{task.arn} is {task.last_status}, desired {task.desired_status}, on {self._name(task)}"
        for container in task.containers:
            if container.last_status != "STOPPED" and not self.world.checker.running.get((task.arn, container.name)):
                return f"{task.arn} is RUNNING, and its container {container.name} does not run on {self._name(task)}"
        return None

    def _strangers(self, restless: set[str]) -> str | None:
        """Containers that run and that no live task owns."""
        state = self.world.start_control_plane().state
        for (arn, name), running in self.world.checker.running.items():
            task = state.tasks.get(arn)
            if not running or (task is not None and task.service_arn in restless) or self._lost(arn):
                continue
            if task is None or task.stopped:
                return f"container {name} of {arn} runs, and the task is {task.last_status if task else 'forgotten'}"
        return None

    def _left(self) -> str | None:
        going_on = self._going_on()
        if going_on is not None:
            return going_on
        for (arn, name), running in self.world.checker.running.items():
            if running and not self._lost(arn):
                return f"container {name} of {arn} still runs"
        for key in self.world.start_control_plane().state.access_keys:
            if key.task_arn is not None:
                return f"the access key {key.kind} of {key.task_arn} is still valid"
        for node in self._serving():
            if node.engine.containers:
                return f"{node.name} has {node.engine.containers[0].name} left"
            if kept := node.store.tasks():
                return f"the agent of {node.name} still remembers {kept[0][0].arn}"
        return None

    # -- what clients were told -----------------------------------------------------------

    def _check_tokens(self) -> None:
        """A client token stands for the same tasks for ever, however often it was sent."""
        tasks = self.world.checker.tasks.values()
        for token, named in self.world.ledger.tokens.items():
            made = {task.arn for task in tasks if task.started_by == token}
            if not made <= named:
                self.world.wrong(f"client token {token} was answered with {sorted(named)} and made {sorted(made)}")

    def _check_wishes(self) -> None:
        services = {service.name: service for service in self.world.checker.services.values()}
        for model in self.world.services.values():
            if model.vague:
                continue
            service = services.get(model.name)
            if service is None or service.status != "ACTIVE":
                self.world.wrong(f"{model.name} was created and is {service.status if service else 'lost'}")
            elif model.kind != "daemon" and service.desired_count not in model.possible:
                self.world.wrong(f"{model.name} wants {service.desired_count} tasks, asked were {model.possible}")

    # -- small ----------------------------------------------------------------------------

    def _serving(self) -> list[Node]:
        return [node for node in self.world.nodes if not node.retired]

    def _is_connected(self, node: Node) -> bool:
        record = self.world.start_control_plane().state.nodes.get(node.node_id)
        return record is not None and record.agent_connected

    def _name(self, task: Task) -> str:
        return next((node.name for node in self.world.nodes if node.node_id == task.node_id), "no node")

    def _takes(self, node: Node, task: Task) -> bool:
        """Whether the node is in the group that the task waits for, and takes such tasks."""
        state = self.world.start_control_plane().state
        instances = state.container_instances.by("node", node.node_id)
        constraints = task.waiting.placement_constraints if task.waiting is not None else ()
        if not allows(constraints, task.task_definition_arn, node):
            return False
        if DISTINCT in constraints and any(
            t.node_id == node.node_id and t.group == task.group and not t.stopped for t in state.tasks
        ):
            return False
        return node.group == task.capacity_provider_name and any(i.status == "ACTIVE" for i in instances)

    def _lost(self, task_arn: str) -> bool:
        """Whether the task was given up with its retired host: containers may go on there."""
        return task_arn in self.world.checker.abandoned
