"""What befalls machines: crashes, outages, partitions, slowness, wrong clocks.

Most faults end after a while by themselves; ``heal`` ends all of them.  Some are aimed: a process
dies at one of its next writes, because that is where what it forgets matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from clients import Clients

from openecs.errors import AWSError
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulated_node import Node
    from simulation import World


class DiskFullError(OSError):
    """What the control plane's journal dies of."""


class Faults:
    """Every kind of trouble."""

    def __init__(self, world: World, clients: Clients) -> None:
        self.world = world
        self.rng = world.rng
        self._clients = clients

    def steps(self) -> dict[Callable[[], Awaitable[None]], float]:
        """What happens, and how often."""
        return {
            self.crash_control_plane: 1.0,
            self.crash_control_plane_at_a_commit: 2.5,
            self.journal_fails: 0.3,
            self.crash_agent: 1.0,
            self.crash_agent_at_a_write: 2.5,
            self.engine_outage: 0.8,
            self.engine_outage_at_a_call: 1.5,
            self.losing_engine: 1.0,
            self.reboot_host: 0.7,
            self.partition: 2.0,
            self.cut_off_user: 0.7,
            self.break_sockets: 1.0,
            self.bad_network: 1.0,
            self.slow_engine: 1.0,
            self.slow_disk: 1.0,
            self.container_ends: 3.0,
            self.health_flaps: 1.5,
            self.clock_skips: 0.8,
            self.drain_instance: 1.2,
            self.interrupt_spot: 1.0,
            self.retire_node: 0.15,
            self.lose_host: 0.1,
            self.long_quiet: 0.1,
        }

    async def heal(self) -> None:
        """Everything works again."""
        world = self.world
        world.note("everything is healed")
        world.slow_disk = 0.01
        world.aim_control_plane = None
        world.start_control_plane()
        world.user_link.heal()
        for node in world.nodes:
            node.aim_agent = node.aim_engine = None
            node.link.heal()
            node.link.latency, node.link.loss = 0.02, 0.0
            node.slowness, node.engine_loss = 0.05, 0.0
            if node.lost:
                continue
            node.engine.come_back()
            node.start_agent()
        await self._give_up_lost_hosts()
        await asyncio.sleep(60.0)
        instances = tuple(
            i.arn for i in world.start_control_plane().state.container_instances if i.status == "DRAINING"
        )
        if instances:
            await world.call_until_answered(
                "UpdateContainerInstancesState",
                ecs.UpdateContainerInstancesStateRequest(container_instances=instances, status="ACTIVE"),
            )

    async def _give_up_lost_hosts(self) -> None:
        """What an operator does when a host is gone for good."""
        for node in self.world.nodes:
            instance = node.store.get("container-instance-arn") if node.lost else None
            if instance is None:
                continue
            request = ecs.DeregisterContainerInstanceRequest(container_instance=instance, force=True)
            try:
                await self.world.call_until_answered("DeregisterContainerInstance", request)
            except AWSError as error:
                self.world.note(f"DeregisterContainerInstance {node.name}: {error.message}")

    def _node(self) -> Node:
        return self.rng.choice(self.world.nodes)

    def _for(self, shortest: float, longest: float) -> float:
        return shortest * (longest / shortest) ** self.rng.random()

    def _later(self, seconds: float, end: Callable[[], Any]) -> None:
        self.world.loop.call_later(seconds, end)

    async def crash_control_plane(self) -> None:
        self.world.note("the control plane is killed")
        self.world.crash_control_plane()

    async def crash_control_plane_at_a_commit(self) -> None:
        """Killed while something is on its way to the disk, or has just arrived there."""
        self.world.aim_control_plane = self.rng.randint(1, 8)

    async def journal_fails(self) -> None:
        self.world.note("the control plane cannot write any more")
        self.world.client.disk_failed = True
        if self.world.control_plane is not None:
            self.world.control_plane.journal.fail(DiskFullError())

    async def crash_agent(self) -> None:
        node = self._node()
        self.world.note(f"the agent of {node.name} is killed")
        node.crash_agent()
        self._later(self._for(0.05, 60.0), node.start_agent)

    async def crash_agent_at_a_write(self) -> None:
        """Killed between noting what it is about to do and doing it."""
        self._node().aim_agent = self.rng.randint(1, 8)

    async def engine_outage_at_a_call(self) -> None:
        self._node().aim_engine = self.rng.randint(1, 8)

    async def losing_engine(self) -> None:
        node = self._node()
        self.world.note(f"answers of the engine of {node.name} get lost")
        node.engine_loss = 0.4

        def end() -> None:
            node.engine_loss = 0.0

        self._later(self._for(1.0, 60.0), end)

    async def engine_outage(self) -> None:
        node = self._node()
        killing = self.rng.random() < 0.5
        self.world.note(f"the engine of {node.name} goes away {'with' if killing else 'without'} its containers")
        node.engine.go_down(killing_containers=killing)
        self._later(self._for(0.1, 40.0), node.recover_engine)

    async def reboot_host(self) -> None:
        node = self._node()
        self.world.note(f"{node.name} reboots")
        node.lose_power()
        seconds = self._for(1.0, 60.0)
        self._later(seconds, node.recover_engine)
        self._later(seconds + self._for(0.05, 3.0), node.start_agent)

    async def partition(self) -> None:
        node = self._node()
        self.world.note(f"{node.name} is cut off")
        node.link.partitioned = True
        self._later(self._for(0.5, 400.0), node.link.heal)

    async def cut_off_user(self) -> None:
        self.world.note("the user is cut off")
        self.world.user_link.partitioned = True
        self._later(self._for(0.5, 60.0), self.world.user_link.heal)

    async def break_sockets(self) -> None:
        node = self._node()
        self.world.note(f"connections of {node.name} break")
        node.link.break_sockets()

    async def bad_network(self) -> None:
        node = self._node()
        self.world.note(f"the network of {node.name} is bad")
        node.link.latency, node.link.loss = self._for(0.1, 5.0), 0.4

        def end() -> None:
            node.link.latency, node.link.loss = 0.02, 0.0

        self._later(self._for(1.0, 90.0), end)

    async def slow_engine(self) -> None:
        node = self._node()
        self.world.note(f"the engine of {node.name} is slow")
        node.slowness = self._for(0.5, 200.0)

        def end() -> None:
            node.slowness = 0.05

        self._later(self._for(1.0, 60.0), end)

    async def slow_disk(self) -> None:
        self.world.note("the control plane's disk is slow")
        self.world.slow_disk = self._for(0.2, 5.0)

        def end() -> None:
            self.world.slow_disk = 0.01

        self._later(self._for(1.0, 60.0), end)

    async def container_ends(self) -> None:
        node = self._node()
        running = [c for c in node.engine.containers if c.status == "running"]
        if running and not node.engine.down:
            container = self.rng.choice(running)
            if self.rng.random() < 0.2:
                node.engine.oom_kill(container.id)
            else:
                node.engine.exit(container.id, self.rng.choice((0, 1)))

    async def health_flaps(self) -> None:
        node = self._node()
        checked = [c for c in node.engine.containers if c.health is not None and c.status == "running"]
        if checked:
            node.engine.set_health(self.rng.choice(checked).id, self.rng.choice(("healthy", "unhealthy")))

    async def clock_skips(self) -> None:
        name, clock = self.rng.choice([("control plane", self.world.clock), *self.world.node_clocks.items()])
        clock.skew = self.rng.choice((-90.0, -5.0, -0.5, 0.0, 0.5, 5.0, 90.0))
        self.world.note(f"the clock of {name} is wrong by {clock.skew:g} s")

    async def drain_instance(self) -> None:
        node = self._node()
        instance = node.store.get("container-instance-arn")
        status = self.rng.choice(("DRAINING", "DRAINING", "ACTIVE"))
        if instance:
            request = ecs.UpdateContainerInstancesStateRequest(container_instances=(instance,), status=status)
            self._clients.say(self._clients.attempt("UpdateContainerInstancesState", request))

    async def interrupt_spot(self) -> None:
        """AWS wants the capacity back."""
        plane = self.world.control_plane
        found = [t.arn for t in self.world.checker.tasks.values() if t.capacity_provider_name == "FARGATE_SPOT"]
        if plane is None or not plane.process.alive or not found:
            return
        try:
            await plane.interruptions.interrupt({"task": self.rng.choice(found)})
        except AWSError as error:
            self.world.note(f"interruption: {error.code}")
        else:
            self.world.note("a spot task is interrupted")

    async def lose_host(self) -> None:
        """It burns down.  Hosts of the Fargate pool are spared: there is no call that gives their tasks up.

        So is the first one: somebody has to be able to run load balancers.
        """
        nodes = [node for node in self.world.nodes[1:] if not node.retired and not node.fargate]
        if nodes:
            node = self.rng.choice(nodes)
            node.retired = node.lost = True
            self.world.note(f"{node.name} is lost for ever")
            node.lose_power()
            node.link.break_sockets()

    async def long_quiet(self) -> None:
        """Longer than STOPPED tasks are remembered, and than connections live."""
        await asyncio.sleep(4000.0)

    async def retire_node(self) -> None:
        nodes = [node for node in self.world.nodes if not node.retired]
        instance = nodes[-1].store.get("container-instance-arn") if len(nodes) > 1 else None
        if instance:
            nodes[-1].retired = True
            self.world.note(f"{nodes[-1].name} is retired")
            request = ecs.DeregisterContainerInstanceRequest(container_instance=instance, force=True)
            self._clients.say(self._clients.attempt("DeregisterContainerInstance", request))
