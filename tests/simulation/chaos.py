"""What clients do and what befalls machines, all of it drawn from the seed.

Every seed has its own mix: some kinds of step are left out, so that seeds differ in more than
their order.  Faults end after a while by themselves; ``heal`` ends all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from workload import AWSVPC, DEFINITIONS, FAILING, LASTING

from openecs.errors import AWSError, Retryable
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulated_node import Node
    from simulation import World

CONFIGURATIONS = ((100, 200), (50, 100), (0, 100), (50, 150), (100, 150))
FAMILIES = tuple(definition.family for definition in DEFINITIONS)


class DiskFullError(OSError):
    """What the control plane's journal dies of."""


class ServiceModel(msgspec.Struct):
    """What a client knows of a service: values that desiredCount may have after what it asked."""

    name: str
    family: str
    possible: set[int]
    #: Calls whose outcome nobody knows may still be carried out.
    unsure: set[int] = msgspec.field(default_factory=set)
    deleted: bool = False
    #: An update is on its way; the next one waits, so that their order is known.
    busy: bool = False
    #: Outcome unknown: it may exist or not, its settings may be any of those asked for.
    vague: bool = False


class Chaos:
    """Draws steps and carries them out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.services: dict[str, ServiceModel] = world.services
        rng = self.rng
        client: dict[Callable[[], Awaitable[None]], float] = {
            self.run_task: 6.0,
            self.stop_task: 4.0,
            self.create_service: 2.5,
            self.update_service: 4.0,
            self.delete_service: 0.7,
            self.look: 4.0,
            self.ask_nonsense: 1.5,
        }
        faults: dict[Callable[[], Awaitable[None]], float] = {
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
            self.drain_instance: 0.8,
            self.retire_node: 0.15,
            self.lose_host: 0.1,
            self.long_quiet: 0.1,
        }
        kept = {fault: weight for fault, weight in faults.items() if rng.random() < 0.6}
        self._steps = list(client.items()) + list(kept.items())
        self._gap = rng.choice((0.3, 2.0, 6.0))
        self._serial = 0

    async def run(self) -> None:
        """All steps of the seed, with pauses in which the world goes on."""
        steps = self.rng.randint(20, 80)
        functions = [function for function, _ in self._steps]
        weights = [weight for _, weight in self._steps]
        for _ in range(steps):
            step = self.rng.choices(functions, weights)[0]
            name = step.__name__  # type: ignore[attr-defined]
            self.world.counts[name] = self.world.counts.get(name, 0) + 1
            await step()
            await asyncio.sleep(self.rng.expovariate(1 / self._gap))

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

    # -- what clients do ------------------------------------------------------------------

    def _say(self, coroutine: Any) -> None:
        """A client goes on beside everything else."""
        self.world.user.spawn(coroutine)

    async def _try(self, operation: str, request: Any) -> Any:
        """One call; ``None`` when it was refused or its outcome is unknown."""
        try:
            answer = await self.world.call(operation, request)
        except AWSError as error:
            self.world.note(f"{operation}: {error.code}")
        except Retryable:
            self.world.note(f"{operation}: outcome unknown")
        else:
            self.world.note(f"{operation}: done")
            return answer
        return None

    async def run_task(self) -> None:
        family = self.rng.choice(FAMILIES)
        self._serial += 1
        token = f"token-{self._serial}" if self.rng.random() < 0.5 else None
        request = ecs.RunTaskRequest(
            task_definition=family,
            count=self.rng.randint(1, 4),
            launch_type="FARGATE" if family == "fargate" else "EC2",
            client_token=token,
            started_by=token,
            network_configuration=self._network(family),
        )
        tries = self.rng.randint(1, 3) if token else 1

        async def go() -> None:
            for _ in range(tries):
                await self._try("RunTask", request)

        self._say(go())

    async def stop_task(self) -> None:
        known = list(self.world.ledger.tasks)
        if known:
            request = ecs.StopTaskRequest(task=self.rng.choice(known), reason="the user wants it so")
            self._say(self._try("StopTask", request))

    async def create_service(self) -> None:
        if len(self.services) >= 4:
            return
        self._serial += 1
        family = self.rng.choice(LASTING if self.rng.random() < 0.8 else FAILING)
        minimum, maximum = self.rng.choice(CONFIGURATIONS)
        desired = self.rng.randint(0, 4)
        model = ServiceModel(f"service-{self._serial}", family, {desired}, vague=True)
        self.services[model.name] = model
        request = ecs.CreateServiceRequest(
            service_name=model.name,
            task_definition=family,
            desired_count=desired,
            launch_type="FARGATE" if family == "fargate" else "EC2",
            network_configuration=self._network(family),
            deployment_configuration=ecs.DeploymentConfiguration(
                minimum_healthy_percent=minimum, maximum_percent=maximum
            ),
        )

        async def go() -> None:
            if await self._try("CreateService", request) is not None:
                model.vague = model.deleted

        self._say(go())

    async def update_service(self) -> None:
        models = [model for model in self.services.values() if not (model.vague or model.deleted or model.busy)]
        if not models:
            return
        model = self.rng.choice(models)
        what = self.rng.random()
        if what < 0.5:
            desired = self.rng.randint(0, 5)
            request = ecs.UpdateServiceRequest(service=model.name, desired_count=desired)
            self._say(self._update(model, request, desired))
        elif what < 0.8 and model.family not in AWSVPC:
            families = [f for f in (*LASTING, *LASTING, *FAILING) if f not in AWSVPC]
            family = self.rng.choice(families)
            request = ecs.UpdateServiceRequest(service=model.name, task_definition=family)
            model.family = family if family in FAILING or model.family not in FAILING else f"{model.family}?"
            self._say(self._update(model, request, None, family))
        else:
            request = ecs.UpdateServiceRequest(service=model.name, force_new_deployment=True)
            self._say(self._update(model, request, None))

    async def _update(
        self, model: ServiceModel, request: ecs.UpdateServiceRequest, desired: int | None, family: str | None = None
    ) -> None:
        model.busy = True
        try:
            await self.world.call("UpdateService", request)
        except AWSError as error:
            self.world.note(f"UpdateService {model.name}: {error.code}")
        except Retryable:
            self.world.note(f"UpdateService {model.name}: outcome unknown")
            if desired is not None:
                # It may have been carried out, or still be.
                model.unsure.add(desired)
                model.possible.add(desired)
        else:
            self.world.note(f"UpdateService {model.name} {desired if family is None else family}: done")
            if desired is not None:
                model.possible = {desired, *model.unsure}
        finally:
            model.busy = False

    async def delete_service(self) -> None:
        models = [model for model in self.services.values() if not model.deleted]
        if models:
            model = self.rng.choice(models)
            model.deleted = model.vague = True
            self._say(self._try("DeleteService", ecs.DeleteServiceRequest(service=model.name, force=True)))

    async def look(self) -> None:
        known = list(self.world.ledger.tasks)
        what = self.rng.random()
        if what < 0.7 and known:
            asked = tuple(self.rng.sample(known, min(len(known), 6)))
            self._say(self._describe(asked))
        elif what < 0.85:
            self._say(
                self._try("ListTasks", ecs.ListTasksRequest(desired_status=self.rng.choice(("RUNNING", "STOPPED"))))
            )
        else:
            names = tuple(self.services) or ("none",)
            self._say(self._try("DescribeServices", ecs.DescribeServicesRequest(services=names[:10])))

    async def _describe(self, asked: tuple[str, ...]) -> None:
        answer = await self._try("DescribeTasks", ecs.DescribeTasksRequest(tasks=asked))
        for failure in (answer.failures or ()) if answer is not None else ():
            if failure.arn not in self.world.checker.forgotten:
                self.world.wrong(f"{failure.arn} was acknowledged and is {failure.reason}")

    async def ask_nonsense(self) -> None:
        operation, request = self.rng.choice(
            (
                ("RunTask", ecs.RunTaskRequest(task_definition="unknown")),
                ("RunTask", ecs.RunTaskRequest(task_definition="web", count=11)),
                ("RunTask", ecs.RunTaskRequest(task_definition="web", cluster="unknown")),
                ("RunTask", ecs.RunTaskRequest(task_definition="vpc")),
                ("StopTask", ecs.StopTaskRequest(task="0" * 32)),
                ("UpdateService", ecs.UpdateServiceRequest(service="unknown", desired_count=3)),
                ("UpdateService", ecs.UpdateServiceRequest(service="service-1", desired_count=-1)),
                ("CreateService", ecs.CreateServiceRequest(service_name="bad name", task_definition="web")),
                ("DeleteCluster", ecs.DeleteClusterRequest(cluster="default")),
                ("StartTask", ecs.StartTaskRequest(task_definition="web", container_instances=())),
            )
        )
        self._say(self._try(operation, request))

    def _network(self, family: str) -> ecs.NetworkConfiguration | None:
        if family not in AWSVPC:
            return None
        network = self.world.start_control_plane().networks.of("eu-west-1") if self._plane_is_up() else None
        subnet = network.subnets[0].id if network is not None else "subnet-unknown"
        return ecs.NetworkConfiguration(awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(subnet,)))

    def _plane_is_up(self) -> bool:
        plane = self.world.control_plane
        return plane is not None and plane.process.alive

    # -- what befalls machines ------------------------------------------------------------

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
        node.crash_agent()
        node.engine.go_down(killing_containers=True)
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
            self._say(self._try("UpdateContainerInstancesState", request))

    async def lose_host(self) -> None:
        """It burns down.  Hosts of the Fargate pool are spared: there is no call that gives their tasks up."""
        nodes = [node for node in self.world.nodes if not node.retired and not node.fargate]
        if len(self.world.nodes) > 1 and nodes:
            node = self.rng.choice(nodes)
            node.retired = node.lost = True
            self.world.note(f"{node.name} is lost for ever")
            node.crash_agent()
            node.engine.go_down(killing_containers=True)
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
            self._say(self._try("DeregisterContainerInstance", request))
