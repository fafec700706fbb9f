"""Deployments that shift the traffic of Service Connect: nothing goes on before all hosts have what they are told."""

from __future__ import annotations

from contextlib import asynccontextmanager

import msgspec
import pytest
from control_kit import PREFIX, REGION, World, controlled, definition, deployment, new_service, running_loop

from openecs.acs.host_documents import ConnectDocument, ConnectReport, ConnectTest
from openecs.api.ecs import service_connect
from openecs.api.ecs import service_records as records
from openecs.control.connect_documents import ConnectChanges, ConnectDocuments
from openecs.control.connect_draining import ConnectDraining
from openecs.control.connect_reports import ConnectReports
from openecs.control.registries import RegistryController
from openecs.control.services import ServiceController
from openecs.control.targets import TargetController
from openecs.control.virtual_time import VirtualTime
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.model.resources import Resources
from openecs.model.service_connect import ConnectName, ConnectPort, ServiceConnect
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.task import Task
from openecs.model.traffic_shift import TrafficShift
from openecs.planning.launch_requirements import SERVICE_CONNECT
from openecs.shapes import ecs

KEY = "ns-1/web"
HOST = "caller"
WEB = ConnectPort(discovery_name="web", container_port=80, ingress_port=80, protocol="http", test_header="x-test")
SERVER = ServiceConnect(namespace_id="ns-1", ports=(WEB,))
CALLER = ServiceConnect(
    namespace_id="ns-1", names=(ConnectName(dns_name="web", port=80, discovery_name="web", protocol="http"),)
)
PAUSES = tuple(
    ecs.DeploymentLifecycleHook(target_type="PAUSE", lifecycle_stages=(stage,))
    for stage in ("POST_TEST_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT")
)


class Site:
    """A service with two tasks of its first revision, a caller on another host, and what that host is told."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.world = world = World(time)
        self.reports = ConnectReports()
        world.controller = ServiceController(world.state, world.launcher, time, world.ids, connect=self.reports)
        world.put(*(definition(number, network_mode="awsvpc") for number in (1, 2, 3)))
        instance = world.add_node("servers", memory=4000)
        attributes = tuple(
            ecs.Attribute(name=name)
            for name in (
                SERVICE_CONNECT,
                "ecs.capability.task-eni",
                "com.amazonaws.ecs.capability.docker-remote-api.1.18",
            )
        )
        world.put(msgspec.structs.replace(instance, attributes=attributes))
        self.subnet = next(iter(world.state.subnets)).id
        world.put(
            Namespace(
                id="ns-1",
                arn="arn:ns-1",
                region=REGION,
                name="shop",
                type="HTTP",
                created_at=1.0,
                creator_request_id="",
            ),
            DiscoveryService(
                id="srv-1",
                arn=f"arn:aws:servicediscovery:{REGION}:123456789012:service/srv-1",
                region=REGION,
                name="web",
                namespace_id="ns-1",
                created_at=1.0,
                creator_request_id="",
                type="HTTP",
                owner_arn=f"{PREFIX}:service/default/web",
            ),
            Task(
                arn=f"{PREFIX}:task/default/{'c' * 32}",
                region=REGION,
                cluster_arn=f"{PREFIX}:cluster/default",
                task_definition_arn=f"{PREFIX}:task-definition/web:1",
                launch_type="EC2",
                desired_status="RUNNING",
                last_status="RUNNING",
                created_at=1.0,
                group="family:web",
                containers=(),
                reservation=Resources(),
                node_id=HOST,
                network_mode="awsvpc",
                connect=CALLER,
            ),
        )
        self.documents = ConnectDocuments(world.state)
        self.changed: list[str] = []
        ConnectChanges(world.state, lambda _, key: self.changed.append(key))
        #: Whether the caller's host does what it is told.
        self.hears = True
        #: Shares and tests in the order in which the host had them.
        self.heard: list[str] = []
        network = ecs.NetworkConfiguration(awsvpc_configuration=ecs.AwsVpcConfiguration(subnets=(self.subnet,)))
        self.settings = {"network_configuration": network, "connect": SERVER}

    def start(self, **configuration: object) -> None:
        done = deployment(1, self.time.now(), rollout_state="COMPLETED", **self.settings)
        settings = ecs.DeploymentConfiguration(
            **{"strategy": "BLUE_GREEN", "maximum_percent": 200, "minimum_healthy_percent": 100, **configuration}
        )
        self.world.put(
            new_service(self.world, 2, deployments=(done,), last_completed=done, deployment_configuration=settings)
        )

    def update(self, number: int) -> str:
        """A new deployment, as UpdateService makes it; its ARN."""
        service = self.world.service()
        arn = f"{service.arn.replace(':service/', ':service-deployment/')}/{number}"
        begun = deployment(number, self.time.now(), revision_arn=f"r/{number}", **self.settings)
        strategy = service.deployment_configuration.strategy
        begun = msgspec.structs.replace(begun, connect=service_connect.in_place(service, begun, strategy))
        attempt = records.service_deployment(service, begun, arn, ("r/1",))
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in service.deployments)
        production = service.deployments[0].id
        self.world.put(
            records.revision(service, begun),
            attempt,
            msgspec.structs.replace(
                service, deployments=(begun, *older), service_deployment_arn=arn, production_id=production
            ),
        )
        return arn

    def attempt(self, arn: str) -> ServiceDeployment:
        found = self.world.state.service_deployments.get(arn)
        assert found is not None
        return found

    def shift(self, arn: str) -> TrafficShift:
        found = self.attempt(arn).shift
        assert found is not None
        return found

    def told(self) -> ConnectDocument:
        placed = self.documents.render("connect", KEY)
        assert placed is not None
        assert isinstance(placed.document, ConnectDocument)
        return placed.document

    def share(self, revision: int) -> float:
        """Percent of the production traffic that the tasks of a revision get."""
        document = self.told()
        share = {True: document.alternate_share / 10, False: 100 - document.alternate_share / 10}
        (place,) = {t.connect.alternate for t in self.world.running(revision) if t.connect is not None}
        assert any(target.alternate == place for target in document.targets)
        return share[place]

    def goes_well(self) -> bool:
        """Everybody does as they are told; whether there was anything to do."""
        moved = self.world.agents_obey()
        if self.hears and KEY in self.changed:
            self.changed.clear()
            document = self.told()
            drained = tuple(f"{t.address}:{t.port}" for t in document.targets if t.draining)
            if not self.heard or self.heard[-1] != document.routing:
                self.heard.append(document.routing)
            self.reports.take(HOST, KEY, ConnectReport(drained=drained, routing=document.routing))
            return True
        return moved

    async def until(self, what: object) -> None:
        def done() -> bool:
            quiet = not self.goes_well()
            return quiet and what()  # type: ignore[operator]

        await self.time.run_until(done, within=3600)

    async def go_on(self, arn: str) -> None:
        """Continue the hook at which the deployment waits."""
        await self.until(lambda: any(h.status == "AWAITING_ACTION" for h in self.shift(arn).hooks))

    def proceed(self, arn: str) -> None:
        shift = self.shift(arn)
        hooks = tuple(msgspec.structs.replace(hook, status="SUCCEEDED") for hook in shift.hooks)
        self.world.put(msgspec.structs.replace(self.attempt(arn), shift=msgspec.structs.replace(shift, hooks=hooks)))

    @asynccontextmanager
    async def running(self):
        timing = self.time.timing()
        state, world = self.world.state, self.world
        loops = [
            RegistryController(state, self.time, world.ids).loop(timing),
            TargetController(state, self.time, world.ids).loop(timing),
            ConnectDraining(state, self.time, self.reports).loop(timing),
        ]
        async with (
            controlled(world, self.time),
            running_loop(loops[0]),
            running_loop(loops[1]),
            running_loop(loops[2]),
        ):
            yield
        assert all(loop.bugs == 0 for loop in loops)


@pytest.fixture
def site() -> Site:
    return Site(VirtualTime(1_000.0))


async def test_test_traffic_goes_first_then_production_and_the_older_tasks_last(site: Site) -> None:
    async with site.running():
        site.start(lifecycle_hooks=PAUSES)
        await site.until(lambda: site.world.service().steady)
        arn = site.update(2)
        await site.go_on(arn)
        assert site.shift(arn).stage == "POST_TEST_TRAFFIC_SHIFT"
        assert site.told().test == ConnectTest(header="x-test", alternate=True)
        assert (site.share(1), site.share(2)) == (100, 0)
        site.proceed(arn)
        await site.until(lambda: site.shift(arn).stage == "POST_PRODUCTION_TRAFFIC_SHIFT")
        assert (site.share(1), site.share(2)) == (0, 100)
        assert len(site.world.running(1)) == 2
        site.proceed(arn)
        await site.until(lambda: site.attempt(arn).status == "SUCCESSFUL")
        document = site.told()
        assert (document.alternate_share, document.test) == (1000, None)
        assert {target.alternate for target in document.targets} == {True}
        assert site.heard == ["0/", "0/x-test=None>1", "1000/x-test=None>1", "1000/"]
        # The next one goes back to the first place.
        arn = site.update(3)
        await site.go_on(arn)
        assert site.told().test == ConnectTest(header="x-test", alternate=False)
        assert (site.share(2), site.share(3)) == (100, 0)


async def test_nothing_goes_on_while_a_host_with_callers_has_not_got_it(site: Site) -> None:
    async with site.running():
        site.start()
        await site.until(lambda: site.world.service().steady)
        arn = site.update(2)
        await site.until(lambda: site.shift(arn).stage != "PRE_SCALE_UP")
        site.hears = False
        await site.until(lambda: site.shift(arn).stage == "TEST_TRAFFIC_SHIFT")
        await site.until(lambda: True)
        assert site.shift(arn).stage == "TEST_TRAFFIC_SHIFT"
        assert len(site.world.running(1)) == 2
        # A host from which nobody calls any more need not say anything.
        caller = next(task for task in site.world.state.tasks if task.node_id == HOST)
        site.world.put(msgspec.structs.replace(caller, last_status="STOPPED", desired_status="STOPPED"))
        await site.until(lambda: site.attempt(arn).status == "SUCCESSFUL")


async def test_a_rollback_gives_everything_back(site: Site) -> None:
    async with site.running():
        site.start(lifecycle_hooks=PAUSES[1:])
        await site.until(lambda: site.world.service().steady)
        arn = site.update(2)
        await site.go_on(arn)
        assert site.share(2) == 100
        site.world.put(msgspec.structs.replace(site.attempt(arn), stop_requested="ROLLBACK"))
        await site.until(lambda: site.attempt(arn).status == "ROLLBACK_SUCCESSFUL")
        assert site.share(1) == 100
        assert site.told().test is None
        assert {target.alternate for target in site.told().targets} == {False}


async def test_a_canary_gets_its_share(site: Site) -> None:
    canary = ecs.CanaryConfiguration(canary_percent=12.5, canary_bake_time_in_minutes=1)
    async with site.running():
        site.start(strategy="CANARY", canary_configuration=canary)
        await site.until(lambda: site.world.service().steady)
        arn = site.update(2)
        await site.until(lambda: site.attempt(arn).status == "SUCCESSFUL")
    shares = [routing.partition("/")[0] for routing in site.heard]
    assert list(dict.fromkeys(shares)) == ["0", "125", "1000"]


async def test_a_rolling_deployment_stays_where_production_is(site: Site) -> None:
    async with site.running():
        site.start()
        await site.until(lambda: site.world.service().steady)
        first = site.update(2)
        await site.until(lambda: site.attempt(first).status == "SUCCESSFUL")
        service = site.world.service()
        rolling = msgspec.structs.replace(service.deployment_configuration, strategy="ROLLING")
        site.world.put(msgspec.structs.replace(service, deployment_configuration=rolling))
        second = site.update(3)
        await site.until(lambda: site.attempt(second).status == "SUCCESSFUL")
        assert site.share(3) == 100
    assert site.heard[-1] == "1000/"
    assert {target.alternate for target in site.told().targets} == {True}
