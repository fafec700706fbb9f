"""What clients do with services: create, update, delete, stop their deployments, move task sets.

Every service has its own mix of settings, drawn when it is created: percentages, circuit breaker,
early success criteria, constraints and strategies; some are DAEMON services, some have task sets.
``ServiceModel`` keeps what follows from the answers for what the client may expect.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from clients import Clients
from shift_settings import shift_settings
from simulated_balancer import PAIRS, load_balancers, shifting
from simulated_registry import connect, registries
from workload import AWSVPC, FAILING, IMAGE, LASTING, NEVER_HEALTHY

from openecs.errors import AWSError, Retryable
from openecs.shapes import ecs

if TYPE_CHECKING:
    from simulation import World

    from openecs.model.service import Service

CONFIGURATIONS = ((100, 200), (50, 100), (0, 100), (50, 150), (100, 150), (50, 200))
THRESHOLDS = (
    None,
    None,
    ecs.ThresholdConfiguration(type="COUNT", value=2),
    ecs.ThresholdConfiguration(type="UNBOUNDED_PERCENT", value=100),
    ecs.ThresholdConfiguration(type="BOUNDED_PERCENT", value=100),
)
DISTINCT = ecs.PlacementConstraint(type="distinctInstance")
NOT_IN_B = ecs.PlacementConstraint(type="memberOf", expression="attribute:ecs.availability-zone != eu-west-1b")
OVER_ZONES = ecs.PlacementStrategy(type="spread", field="attribute:ecs.availability-zone")
STRATEGIES = ((OVER_ZONES,), (OVER_ZONES, ecs.PlacementStrategy(type="binpack", field="memory")))
OTHER_STRATEGIES = ((ecs.PlacementStrategy(type="random"),), (ecs.PlacementStrategy(type="binpack", field="cpu"),))
MOST_SERVICES = 5


class ServiceModel(msgspec.Struct):
    """What a client knows of a service: values that desiredCount may have after what it asked."""

    name: str
    family: str
    possible: set[int]
    kind: Literal["replica", "daemon", "external", "shift"] = "replica"
    #: Of target groups, for one that shifts its traffic.
    pair: int = -1
    #: Calls whose outcome nobody knows may still be carried out.
    unsure: set[int] = msgspec.field(default_factory=set)
    deleted: bool = False
    #: An update is on its way; the next one waits, so that their order is known.
    busy: bool = False
    #: Outcome unknown: it may exist or not, its settings may be any of those asked for.
    vague: bool = False


class ServiceClients:
    """The users of services."""

    def __init__(self, world: World, clients: Clients, kinds: tuple[float, float, float, float]) -> None:
        self.world = world
        self.rng = world.rng
        self.services: dict[str, ServiceModel] = world.services
        self._clients = clients
        self._kinds = kinds
        self._serial = 0

    def steps(self) -> dict[Callable[[], Awaitable[None]], float]:
        """What they do, and how often."""
        return {
            self.create_service: 3.0,
            self.update_service: 5.0,
            self.roll_out_what_fails: 1.5,
            self.stop_deployment: 1.0,
            self.continue_deployment: 1.0,
            self.change_task_sets: 3.0,
            self.push_image: 1.5,
            self.delete_service: 0.7,
            self.look_at_deployments: 1.0,
        }

    # -- new services ---------------------------------------------------------------------

    async def create_service(self) -> None:
        if len(self.services) >= MOST_SERVICES:
            return
        self._serial += 1
        name = f"service-{self._serial}"
        kind = self.rng.choices(("replica", "daemon", "external", "shift"), self._kinds)[0]
        made = {"replica": self._replica, "daemon": self._daemon, "external": self._external, "shift": self._shifting}
        model, request = made[kind](name)
        self.services[model.name] = model

        async def go() -> None:
            if await self._clients.attempt("CreateService", request) is not None:
                model.vague = model.deleted

        self._clients.say(go())

    def _replica(self, name: str) -> tuple[ServiceModel, ecs.CreateServiceRequest]:
        family = self._clients.family(LASTING if self.rng.random() < 0.85 else FAILING)
        minimum, maximum = self.rng.choice(CONFIGURATIONS)
        desired = self.rng.randint(0, 5)
        request = ecs.CreateServiceRequest(
            service_name=name,
            task_definition=family,
            desired_count=desired,
            **self._clients.capacity(family),
            **({} if family == "fargate" else self._placement()),
            network_configuration=self._clients.network(family),
            load_balancers=self._balancers(name, family),
            service_registries=self._registries(name, family),
            service_connect_configuration=self._connect(name, family),
            deployment_configuration=ecs.DeploymentConfiguration(
                minimum_healthy_percent=minimum,
                maximum_percent=maximum,
                deployment_circuit_breaker=self._breaker(),
                early_success_criteria=self._early_success(minimum),
            ),
            health_check_grace_period_seconds=self.rng.choice((None, None, None, 20)),
        )
        return ServiceModel(name, family, {desired}, vague=True), request

    def _shifting(self, name: str) -> tuple[ServiceModel, ecs.CreateServiceRequest]:
        """A service that shifts its traffic between the target groups of a pair of its own."""
        number = sum(model.kind == "shift" for model in self.services.values())
        if number == len(PAIRS):
            return self._replica(name)
        family = PAIRS[number]
        desired = self.rng.randint(0, 3)
        request = ecs.CreateServiceRequest(
            service_name=name,
            task_definition=family,
            desired_count=desired,
            launch_type="FARGATE" if family == "fargate" else "EC2",
            network_configuration=self._clients.network(family),
            load_balancers=shifting(number),
            deployment_configuration=shift_settings(self.rng, self._breaker()),
        )
        return ServiceModel(name, family, {desired}, kind="shift", pair=number, vague=True), request

    def _balancers(self, service: str, family: str) -> tuple[ecs.LoadBalancer, ...]:
        """Two of three services whose tasks have a port are behind the load balancer; drawn beside all else."""
        drawn = random.Random(f"{self.world.seed}/{service}/balancer").random()
        return load_balancers(family, wanted=drawn < 0.67)

    def _registries(self, service: str, family: str) -> tuple[ecs.ServiceRegistry, ...]:
        """Half of the services whose tasks have an address are found in Cloud Map; drawn beside all else."""
        drawn = random.Random(f"{self.world.seed}/{service}/registry").random()
        return registries(family, wanted=drawn < 0.5)

    def _connect(self, service: str, family: str) -> ecs.ServiceConnectConfiguration | None:
        """Half of the services whose tasks have an interface call each other; drawn beside all else."""
        drawn = random.Random(f"{self.world.seed}/{service}/connect").random()
        return connect(service, family, wanted=drawn < 0.5)

    def _placement(self) -> dict[str, Any]:
        """Constraints and strategies; most services have none."""
        what = self.rng.random()
        if what < 0.15:
            return {"placement_constraints": (DISTINCT,)}
        if what < 0.25:
            return {"placement_constraints": (NOT_IN_B,)}
        if what < 0.4:
            return {"placement_strategy": self.rng.choice(STRATEGIES)}
        if what < 0.5:
            return {"placement_strategy": self.rng.choice(OTHER_STRATEGIES)}
        return {}

    def _breaker(self) -> ecs.DeploymentCircuitBreaker | None:
        if self.rng.random() < 0.4:
            return None
        return ecs.DeploymentCircuitBreaker(
            enable=True,
            rollback=self.rng.random() < 0.75,
            reset_on_healthy_task=self.rng.choice((None, None, False)),
            threshold_configuration=self.rng.choice(THRESHOLDS),
        )

    def _early_success(self, minimum: int) -> ecs.DeploymentEarlySuccessCriteria | None:
        if self.rng.random() < 0.8:
            return None
        return ecs.DeploymentEarlySuccessCriteria(
            enable=True,
            healthy_percent=max(minimum, self.rng.choice((0, 50, 100))),
            source_service_revision_cleanup=self.rng.choice(("BLOCKING", "DEFERRED")),
        )

    def _daemon(self, name: str) -> tuple[ServiceModel, ecs.CreateServiceRequest]:
        family = self.rng.choice([family for family in LASTING if family not in AWSVPC])
        breaker = self._breaker()
        request = ecs.CreateServiceRequest(
            service_name=name,
            task_definition=family,
            scheduling_strategy="DAEMON",
            launch_type="EC2",
            load_balancers=self._balancers(name, family),
            placement_constraints=(NOT_IN_B,) if self.rng.random() < 0.2 else None,
            deployment_configuration=ecs.DeploymentConfiguration(
                minimum_healthy_percent=self.rng.choice((0, 0, 50)), deployment_circuit_breaker=breaker
            ),
        )
        return ServiceModel(name, family, set(), kind="daemon", vague=True), request

    def _external(self, name: str) -> tuple[ServiceModel, ecs.CreateServiceRequest]:
        desired = self.rng.randint(1, 4)
        request = ecs.CreateServiceRequest(
            service_name=name,
            desired_count=desired,
            deployment_controller=ecs.DeploymentController(type="EXTERNAL"),
        )
        return ServiceModel(name, "", {desired}, kind="external", vague=True), request

    async def push_image(self) -> None:
        """Another image under the tag that everybody uses."""
        moved = self.world.moved_tags
        moved[IMAGE] = moved.get(IMAGE, 0) + 1
        self.world.note(f"the tag of {IMAGE} is moved")

    # -- what happens to them -------------------------------------------------------------

    def _known(self, *kinds: str) -> list[ServiceModel]:
        """Services of which the client knows that they are there, and what it last asked for."""
        return [m for m in self.services.values() if m.kind in kinds and not (m.vague or m.deleted or m.busy)]

    async def update_service(self) -> None:
        models = self._known("replica", "daemon", "external", "shift")
        if not models:
            return
        model = self.rng.choice(models)
        what = self.rng.random()
        if model.kind == "external" or (what < 0.45 and model.kind == "replica") or (what < 0.3 and model.pair >= 0):
            desired = self.rng.randint(0, 3 if model.pair >= 0 else 5)
            request = ecs.UpdateServiceRequest(service=model.name, desired_count=desired)
            self._clients.say(self._update(model, request, desired))
        elif what < 0.5 and model.pair >= 0:
            request = ecs.UpdateServiceRequest(
                service=model.name, deployment_configuration=shift_settings(self.rng, self._breaker())
            )
            self._clients.say(self._update(model, request, None))
        elif what < 0.7 and model.pair >= 0:
            self._roll_out(model, PAIRS[model.pair])
        elif what < 0.7 and model.family not in AWSVPC:
            self._roll_out(model, self.rng.choice([f for f in LASTING if f not in AWSVPC]))
        elif what < 0.8 and model.kind == "replica":
            minimum, maximum = self.rng.choice(CONFIGURATIONS)
            configuration = ecs.DeploymentConfiguration(
                minimum_healthy_percent=minimum, maximum_percent=maximum, deployment_circuit_breaker=self._breaker()
            )
            request = ecs.UpdateServiceRequest(service=model.name, deployment_configuration=configuration)
            self._clients.say(self._update(model, request, None))
        else:
            request = ecs.UpdateServiceRequest(service=model.name, force_new_deployment=True)
            self._clients.say(self._update(model, request, None))

    async def roll_out_what_fails(self) -> None:
        """A bad image, a container that crashes after its start, one that is unhealthy later."""
        models = [model for model in self._known("replica", "daemon", "shift") if model.family not in AWSVPC]
        if models:
            model = self.rng.choice(models)
            failing = ("crashport",) if model.pair >= 0 else (*FAILING, *NEVER_HEALTHY)
            self._roll_out(model, self.rng.choice(failing))

    def _roll_out(self, model: ServiceModel, family: str) -> None:
        behind = shifting(model.pair) if model.pair >= 0 else self._balancers(model.name, family)
        request = ecs.UpdateServiceRequest(
            service=model.name,
            task_definition=family,
            load_balancers=behind,
            service_registries=self._registries(model.name, family) if model.kind == "replica" else None,
        )
        model.family = family
        self._clients.say(self._update(model, request, None, family))

    async def _update(
        self, model: ServiceModel, request: ecs.UpdateServiceRequest, desired: int | None, family: str | None = None
    ) -> None:
        model.busy = True
        try:
            await self.world.call("UpdateService", request)
        except AWSError as error:
            self.world.note(f"UpdateService {model.name}: {error.code} {error.message}")
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
            request = ecs.DeleteServiceRequest(service=model.name, force=True)
            self._clients.say(self._clients.attempt("DeleteService", request))

    async def stop_deployment(self) -> None:
        arns = [s.service_deployment_arn for s in self.world.checker.services.values() if s.service_deployment_arn]
        if arns:
            request = ecs.StopServiceDeploymentRequest(
                service_deployment_arn=self.rng.choice(arns), stop_type=self.rng.choice((None, "ROLLBACK", "ABORT"))
            )
            self._clients.say(self._clients.attempt("StopServiceDeployment", request))

    async def continue_deployment(self) -> None:
        waiting = [
            (record.arn, run.id)
            for record in self.world.checker.service_deployments.values()
            for run in (record.shift.hooks if record.shift is not None else ())
            if run.status == "AWAITING_ACTION"
        ]
        if waiting:
            arn, hook = self.rng.choice(waiting)
            request = ecs.ContinueServiceDeploymentRequest(
                service_deployment_arn=arn, hook_id=hook, action=self.rng.choice(("CONTINUE", "CONTINUE", "ROLLBACK"))
            )
            self._clients.say(self._clients.attempt("ContinueServiceDeployment", request))

    async def look_at_deployments(self) -> None:
        services = list(self.world.checker.services.values())
        if not services:
            return
        service = self.rng.choice(services)
        arns = tuple(d.revision_arn for d in service.deployments if d.revision_arn)
        if service.deployment_controller == "EXTERNAL":
            request: Any = ecs.DescribeTaskSetsRequest(cluster="default", service=service.name)
            self._clients.say(self._clients.attempt("DescribeTaskSets", request))
        elif service.service_deployment_arn and self.rng.random() < 0.5:
            request = ecs.DescribeServiceDeploymentsRequest(service_deployment_arns=(service.service_deployment_arn,))
            self._clients.say(self._clients.attempt("DescribeServiceDeployments", request))
        elif arns:
            request = ecs.DescribeServiceRevisionsRequest(service_revision_arns=arns)
            self._clients.say(self._clients.attempt("DescribeServiceRevisions", request))

    # -- task sets ------------------------------------------------------------------------

    async def change_task_sets(self) -> None:
        names = {model.name for model in self._known("external")}
        services = [s for s in self.world.checker.services.values() if s.name in names and s.status == "ACTIVE"]
        if services:
            operation, request = self._change(self.rng.choice(services))
            self._clients.say(self._clients.attempt(operation, request))

    def _change(self, service: Service) -> tuple[str, Any]:
        sets = [d.task_set.arn for d in service.deployments if d.task_set is not None]
        what = self.rng.random()
        scale = ecs.Scale(value=self.rng.choice((0.0, 25.0, 50.0, 100.0, 100.0)), unit="PERCENT")
        if not sets or what < 0.35:
            family = self._clients.family((*LASTING, *LASTING, *FAILING))
            return "CreateTaskSet", ecs.CreateTaskSetRequest(
                cluster="default",
                service=service.name,
                task_definition=family,
                **self._clients.capacity(family),
                network_configuration=self._clients.network(family),
                load_balancers=self._balancers(service.name, family),
                scale=scale,
            )
        chosen = self.rng.choice(sets)
        if what < 0.65:
            return "UpdateTaskSet", ecs.UpdateTaskSetRequest(
                cluster="default", service=service.name, task_set=chosen, scale=scale
            )
        if what < 0.8:
            return "UpdateServicePrimaryTaskSet", ecs.UpdateServicePrimaryTaskSetRequest(
                cluster="default", service=service.name, primary_task_set=chosen
            )
        return "DeleteTaskSet", ecs.DeleteTaskSetRequest(
            cluster="default", service=service.name, task_set=chosen, force=self.rng.random() < 0.7
        )
