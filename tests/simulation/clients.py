"""What clients do: every kind of call, refused ones too, and many at a time.

A call may be answered, refused, or end in silence; ``ServiceModel`` keeps what follows for what
the client may expect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from workload import AWSVPC, DEFINITIONS, FAILING, LASTING, PROVIDERS

from openecs.errors import AWSError, Retryable
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulation import World

CONFIGURATIONS = ((100, 200), (50, 100), (0, 100), (50, 150), (100, 150))
FAMILIES = tuple(definition.family for definition in DEFINITIONS)


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


class Clients:
    """The users of the API."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.services: dict[str, ServiceModel] = world.services
        self._serial = 0

    def steps(self) -> dict[Callable[[], Awaitable[None]], float]:
        """What they do, and how often."""
        return {
            self.run_task: 6.0,
            self.stop_task: 4.0,
            self.protect_task: 2.0,
            self.create_service: 2.5,
            self.update_service: 4.0,
            self.delete_service: 0.7,
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
            **self._capacity(family),
            client_token=token,
            started_by=token,
            network_configuration=self._network(family),
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
            **self._capacity(family),
            network_configuration=self._network(family),
            deployment_configuration=ecs.DeploymentConfiguration(
                minimum_healthy_percent=minimum, maximum_percent=maximum
            ),
        )

        async def go() -> None:
            if await self.attempt("CreateService", request) is not None:
                model.vague = model.deleted

        self.say(go())

    async def update_service(self) -> None:
        models = [model for model in self.services.values() if not (model.vague or model.deleted or model.busy)]
        if not models:
            return
        model = self.rng.choice(models)
        what = self.rng.random()
        if what < 0.5:
            desired = self.rng.randint(0, 5)
            request = ecs.UpdateServiceRequest(service=model.name, desired_count=desired)
            self.say(self._update(model, request, desired))
        elif what < 0.8 and model.family not in AWSVPC:
            families = [f for f in (*LASTING, *LASTING, *FAILING) if f not in AWSVPC]
            family = self.rng.choice(families)
            request = ecs.UpdateServiceRequest(service=model.name, task_definition=family)
            model.family = family if family in FAILING or model.family not in FAILING else f"{model.family}?"
            self.say(self._update(model, request, None, family))
        else:
            request = ecs.UpdateServiceRequest(service=model.name, force_new_deployment=True)
            self.say(self._update(model, request, None))

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
            self.say(self.attempt("DeleteService", ecs.DeleteServiceRequest(service=model.name, force=True)))

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
            names = tuple(self.services) or ("none",)
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

    def _capacity(self, family: str) -> dict[str, Any]:
        """A launch type or a capacity provider strategy."""
        if self.rng.random() < 0.7:
            return {"launch_type": "FARGATE" if family == "fargate" else "EC2"}
        names = ("FARGATE", "FARGATE_SPOT") if family == "fargate" else PROVIDERS
        weights = self.rng.choice(((1, 0), (1, 1), (1, 3), (0, 1)))
        base = self.rng.choice((0, 0, 1))
        items = [
            ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight, base=its_base)
            for name, weight, its_base in zip(names, weights, (base, 0), strict=True)
        ]
        return {"capacity_provider_strategy": tuple(items)}

    def _network(self, family: str) -> ecs.NetworkConfiguration | None:
        if family not in AWSVPC:
            return None
        network = self.world.start_control_plane().networks.of("eu-west-1") if self._plane_is_up() else None
        subnet = network.subnets[0].id if network is not None else "subnet-unknown"
        return ecs.NetworkConfiguration(awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(subnet,)))

    def _plane_is_up(self) -> bool:
        plane = self.world.control_plane
        return plane is not None and plane.process.alive
