"""What clients do: every kind of call, refused ones too, and many at a time.

A call may be answered, refused, or end in silence.  What is done with services is in
``service_clients``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from workload import AWSVPC, DEFINITIONS, PROVIDERS

from openecs.errors import AWSError, Retryable
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulation import World

#: Every task of this group is to be on an instance of its own.
DISTINCT_GROUP = "distinct"
FAMILIES = tuple(definition.family for definition in DEFINITIONS)


class Clients:
    """The users of the API."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self._serial = 0

    def steps(self) -> dict[Callable[[], Awaitable[None]], float]:
        """What they do, and how often."""
        return {
            self.run_task: 6.0,
            self.stop_task: 4.0,
            self.protect_task: 2.0,
            self.look: 4.0,
            self.ask_nonsense: 1.5,
        }

    def say(self, coroutine: Any) -> None:
        """A client goes on beside everything else."""
        self.world.user.spawn(coroutine)

    async def attempt(self, operation: str, request: Any) -> Any:
        """One call; ``None`` when it was refused or its outcome is unknown."""
        try:
            answer = await self.world.call(operation, request)
        except AWSError as error:
            self.world.note(f"{operation}: {error.code} {error.message}")
        except Retryable:
            self.world.note(f"{operation}: outcome unknown")
        else:
            self.world.note(f"{operation}: done")
            return answer
        return None

    async def run_task(self) -> None:
        family = self.family(FAMILIES)
        self._serial += 1
        token = f"token-{self._serial}" if self.rng.random() < 0.5 else None
        request = ecs.RunTaskRequest(
            task_definition=family,
            count=self.rng.randint(1, 4),
            **self.capacity(family),
            client_token=token,
            started_by=token,
            network_configuration=self.network(family),
        )
        if self.rng.random() < 0.15 and request.launch_type == "EC2":
            request = msgspec.structs.replace(
                request, group=DISTINCT_GROUP, placement_constraints=(ecs.PlacementConstraint(type="distinctInstance"),)
            )
        tries = self.rng.randint(1, 3) if token else 1

        async def go() -> None:
            for _ in range(tries):
                await self.attempt("RunTask", request)

        self.say(go())

    async def stop_task(self) -> None:
        known = list(self.world.ledger.tasks)
        if known:
            request = ecs.StopTaskRequest(task=self.rng.choice(known), reason="the user wants it so")
            self.say(self.attempt("StopTask", request))

    async def protect_task(self) -> None:
        # Clients are not told of services' tasks; those that protect themselves know who they are.
        known = [t.arn for t in self.world.checker.tasks.values() if t.service_arn and t.desired_status == "RUNNING"]
        if known:
            request = ecs.UpdateTaskProtectionRequest(
                cluster="default",
                tasks=tuple(self.rng.sample(known, min(10, len(known)))),
                protection_enabled=self.rng.random() < 0.8,
                expires_in_minutes=self.rng.choice((1, 5, 30)),
            )
            self.say(self.attempt("UpdateTaskProtection", request))

    async def look(self) -> None:
        known = list(self.world.ledger.tasks)
        what = self.rng.random()
        if what < 0.7 and known:
            asked = tuple(self.rng.sample(known, min(len(known), 6)))
            self.say(self._describe(asked))
        elif what < 0.85:
            self.say(
                self.attempt("ListTasks", ecs.ListTasksRequest(desired_status=self.rng.choice(("RUNNING", "STOPPED"))))
            )
        else:
            names = tuple(self.world.services) or ("none",)
            self.say(self.attempt("DescribeServices", ecs.DescribeServicesRequest(services=names[:10])))

    async def _describe(self, asked: tuple[str, ...]) -> None:
        answer = await self.attempt("DescribeTasks", ecs.DescribeTasksRequest(tasks=asked))
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
        self.say(self.attempt(operation, request))

    def family(self, families: Sequence[str]) -> str:
        """One of these task definitions."""
        if self.world.theme == "capacity" and self.rng.random() < 0.4:
            return "fargate"
        if self.world.theme == "balancers" and self.rng.random() < 0.7:
            return self.rng.choice(("dynamic", "vpc", "fargate"))
        return self.rng.choice(families)

    def capacity(self, family: str) -> dict[str, Any]:
        """A launch type or a capacity provider strategy."""
        if self.rng.random() < (0.2 if self.world.theme == "capacity" else 0.7):
            return {"launch_type": "FARGATE" if family == "fargate" else "EC2"}
        names = ("FARGATE", "FARGATE_SPOT") if family == "fargate" else PROVIDERS
        weights = self.rng.choice(((1, 0), (1, 1), (1, 3), (0, 1)))
        base = self.rng.choice((0, 0, 1))
        items = [
            ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight, base=its_base)
            for name, weight, its_base in zip(names, weights, (base, 0), strict=True)
        ]
        return {"capacity_provider_strategy": tuple(items)}

    def network(self, family: str) -> ecs.NetworkConfiguration | None:
        if family not in AWSVPC:
            return None
        network = self.world.start_control_plane().networks.plan("eu-west-1") if self._plane_is_up() else None
        subnet = network.subnets[0].id if network is not None else "subnet-unknown"
        return ecs.NetworkConfiguration(awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(subnet,)))

    def _plane_is_up(self) -> bool:
        plane = self.world.control_plane
        return plane is not None and plane.process.alive
