"""Tasks of services with serviceRegistries: Cloud Map instances, and what hosts are told of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from control_kit import PREFIX, REGION, World, cluster, deployment, new_service, running_loop

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import NameDocument, ServiceTarget, ZoneDocument
from openecs.control.discovery import set_health
from openecs.control.discovery_documents import DiscoveryDocuments
from openecs.control.registries import RegistryController
from openecs.control.targets import TargetController
from openecs.control.virtual_time import VirtualTime
from openecs.model.discovery import DiscoveryInstance, DiscoveryService, Namespace
from openecs.model.host import Host
from openecs.model.resources import Resources
from openecs.model.task import NetworkInterface, Task, TaskContainer
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd

ARN = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1"
TASK = f"{PREFIX}:task/default/{'a' * 32}"
ENI = NetworkInterface(
    attachment_id="x",
    eni_id="eni-1",
    mac_address="02:00:00:00:00:01",
    private_ipv4_address="10.208.0.7",
    private_dns_name="ip-10-208-0-7",
    subnet_id="subnet-1",
)


class Site(World):
    """A world with one namespace, one Cloud Map service and one ECS service that is registered in it."""

    def __init__(self, time: VirtualTime, kind: str = "A", *, custom: bool = True, **registry: object) -> None:
        super().__init__(time)
        self.time = time
        self.put(
            Namespace(
                id="ns-1",
                arn="arn:ns-1",
                region=REGION,
                name="App.test",
                type="DNS_PRIVATE",
                created_at=1.0,
                creator_request_id="",
                vpc_id="vpc-1",
                soa_ttl=15,
            ),
            DiscoveryService(
                id="srv-1",
                arn=ARN,
                region=REGION,
                name="web",
                namespace_id="ns-1",
                created_at=1.0,
                creator_request_id="",
                type="DNS_HTTP",
                dns_config=sd.DnsConfig(dns_records=(sd.DnsRecord(type=kind, ttl=10),), routing_policy="MULTIVALUE"),
                health_check_custom_config=sd.HealthCheckCustomConfig() if custom else None,
            ),
        )
        registries = (ecs.ServiceRegistry(registry_arn=ARN, **registry),)
        begun = deployment(1, time.now(), service_registries=registries)
        self.put(cluster(), new_service(self, 1, deployments=(begun,)))
        self.board = HostBoard()
        self.documents = DiscoveryDocuments(self.state, self.board)
        self.board.add_source(self.documents)
        self.registries = RegistryController(self.state, time, self.ids)
        self.targets = TargetController(self.state, time, self.ids)

    def task(self, name: str = TASK, **changes: object) -> Task:
        task = Task(
            arn=name,
            region=REGION,
            cluster_arn=f"{PREFIX}:cluster/default",
            task_definition_arn=f"{PREFIX}:task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="RUNNING",
            created_at=1.0,
            group="service:web",
            containers=(TaskContainer(arn="c", name="web", image="web"),),
            reservation=Resources(cpu=0, memory=0),
            service_arn=f"{PREFIX}:service/default/web",
            deployment_id="ecs-svc/1",
            node_id="node-1",
            availability_zone="eu-west-1a",
            network_mode="awsvpc",
            eni=ENI,
        )
        task = msgspec.structs.replace(task, **changes)
        self.put(task)
        return task

    def change(self, name: str = TASK, **changes: object) -> None:
        task = self.state.tasks.get(name)
        assert task is not None
        self.put(msgspec.structs.replace(task, **changes))

    @property
    def instances(self) -> dict[str, DiscoveryInstance]:
        return {i.instance_id: i for i in self.state.discovery_instances}

    def drains(self, name: str = TASK) -> bool:
        task = self.state.tasks.get(name)
        assert task is not None
        return task.drains

    def told(self) -> dict[tuple[str, str], object]:
        """Every document as hosts get it."""
        self.board.settle()
        kinds = {"zone": ZoneDocument, "name": NameDocument}
        keys = list(self.board.keys())
        return {key: msgspec.json.decode(self.board.get(key).body, type=kinds[key[0]]) for key in keys}

    @asynccontextmanager
    async def running(self):
        loops = [part.loop(self.time.timing()) for part in (self.registries, self.targets)]
        async with running_loop(loops[0]), running_loop(loops[1]):
            yield
        assert [loop.bugs for loop in loops] == [0, 0]

    async def settled(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


async def test_a_running_task_is_an_instance_and_its_name_leads_to_it(time: VirtualTime) -> None:
    site = Site(time)
    async with site.running():
        site.task(last_status="PENDING")
        await site.settled()
        assert not site.instances
        site.change(last_status="RUNNING")
        await site.settled()
        (instance,) = site.instances.values()
        assert instance.instance_id == "a" * 32
        assert instance.attributes == {
            "AVAILABILITY_ZONE": "eu-west-1a",
            "AWS_INIT_HEALTH_STATUS": "HEALTHY",
            "AWS_INSTANCE_IPV4": "10.208.0.7",
            "ECS_CLUSTER_NAME": "default",
            "ECS_SERVICE_NAME": "web",
            "ECS_TASK_DEFINITION_FAMILY": "web",
            "REGION": REGION,
        }
        assert site.drains()
    assert site.told() == {
        ("zone", "vpc-1/app.test"): ZoneDocument(name="app.test", scope="vpc-1", soa_ttl=15),
        ("name", "vpc-1/web.app.test"): NameDocument(name="web.app.test", scope="vpc-1", ttl=10, a=("10.208.0.7",)),
    }


async def test_a_task_that_is_to_stop_is_gone_from_the_names_before_its_agent_hears_of_it(time: VirtualTime) -> None:
    site = Site(time)
    async with site.running():
        site.task()
        await site.settled()
        assert site.drains()
        seen: list[tuple[int, bool]] = []
        site.state.store.subscribe("task", lambda n: seen.append((len(site.instances), n.new.drains)))
        site.change(desired_status="STOPPED", last_status="DEACTIVATING")
        await site.settled()
        assert not site.instances
        # At no commit was it free to be stopped and still registered.
        assert all(drains or not registered for registered, drains in seen)
        assert not site.drains()
    assert ("name", "vpc-1/web.app.test") not in site.told()
    assert ("zone", "vpc-1/app.test") in site.told()


@pytest.mark.parametrize("end", ["stopped", "forgotten"])
async def test_a_task_that_ended_by_itself_is_no_instance(time: VirtualTime, end: str) -> None:
    site = Site(time)
    async with site.running():
        task = site.task()
        await site.settled()
        if end == "stopped":
            site.change(last_status="STOPPED", desired_status="STOPPED")
        else:
            with site.state.transaction() as tx:
                tx.delete(task)
        await site.settled()
        assert not site.instances


async def test_container_health_is_the_health_of_the_instance(time: VirtualTime) -> None:
    site = Site(time)
    checked = TaskContainer(arn="c", name="web", image="web", has_health_check=True)
    async with site.running():
        site.task(containers=(checked,))
        healths = []
        for health in ("UNKNOWN", "HEALTHY", "UNHEALTHY"):
            site.change(health_status=health)
            await site.settled()
            healths.append(site.instances["a" * 32].health)
        assert healths == ["UNHEALTHY", "HEALTHY", "UNHEALTHY"]
        assert site.instances["a" * 32].attributes["AWS_INIT_HEALTH_STATUS"] == "UNHEALTHY"
        # With one that is healthy the other is left out of DNS; with none all are told.
        site.task(
            f"{PREFIX}:task/default/{'b' * 32}", eni=msgspec.structs.replace(ENI, private_ipv4_address="10.208.0.8")
        )
        await site.settled()
        name = site.told()["name", "vpc-1/web.app.test"]
        assert name.a == ("10.208.0.8",)
        with site.state.transaction() as tx:
            set_health(site.state, tx, site.instances["b" * 32], "UNHEALTHY")
        site.board.settle()
        both = site.told()["name", "vpc-1/web.app.test"]
        assert both.a == ("10.208.0.7", "10.208.0.8")


async def test_a_bridge_task_is_found_by_its_hosts_address_and_port(time: VirtualTime) -> None:
    site = Site(time, "SRV", container_name="web", container_port=80)
    bound = TaskContainer(
        arn="c",
        name="web",
        image="web",
        network_bindings=(ecs.NetworkBinding(container_port=80, host_port=32768, bind_ip="0.0.0.0", protocol="tcp"),),
    )
    async with site.running():
        site.task(eni=None, network_mode="bridge", containers=(bound,))
        await site.settled()
        assert not site.instances
        assert any("has not told its address" in event for event in site.events())
        site.put(Host(node_id="node-1", address="192.168.7.7"))
        await site.settled()
        assert site.instances["a" * 32].attributes["AWS_INSTANCE_PORT"] == "32768"
    target = f"{'a' * 32}.web.app.test"
    told = site.told()
    assert told["name", "vpc-1/web.app.test"].srv == (ServiceTarget(port=32768, target=target),)
    assert told["name", f"vpc-1/{target}"].a == ("192.168.7.7",)


async def test_a_host_mode_task_and_one_with_a_port_of_its_own(time: VirtualTime) -> None:
    site = Site(time, "SRV", container_name="web", container_port=8080)
    site.put(Host(node_id="node-1", address="192.168.7.7"))
    async with site.running():
        site.task(eni=None, network_mode="host")
        await site.settled()
        attributes = site.instances["a" * 32].attributes
        assert (attributes["AWS_INSTANCE_IPV4"], attributes["AWS_INSTANCE_PORT"]) == ("192.168.7.7", "8080")


async def test_what_somebody_deregistered_comes_back_and_other_instances_stay(time: VirtualTime) -> None:
    site = Site(time)
    own = DiscoveryInstance(
        service_id="srv-1",
        instance_id="mine",
        region=REGION,
        attributes={"AWS_INSTANCE_IPV4": "10.9.9.9"},
        created_at=1.0,
    )
    site.put(own)
    async with site.running():
        site.task()
        await site.settled()
        with site.state.transaction() as tx:
            tx.delete(site.instances["a" * 32])
        await site.settled()
        assert set(site.instances) == {"a" * 32, "mine"}
        site.change(desired_status="STOPPED")
        await site.settled()
        assert set(site.instances) == {"mine"}


async def test_everything_is_made_good_after_a_start(time: VirtualTime) -> None:
    site = Site(time)
    site.task()
    async with site.running():
        await site.settled()
    assert set(site.instances) == {"a" * 32}
    site.change(desired_status="STOPPED", last_status="DEACTIVATING")
    # The control plane was down when the order came.
    async with site.running():
        await site.settled()
    assert not site.instances
    assert not site.drains()


async def test_a_registry_that_is_gone_is_told_in_the_events(time: VirtualTime) -> None:
    site = Site(time)
    with site.state.transaction() as tx:
        tx.delete(site.state.discovery_services.get("srv-1"))
    async with site.running():
        site.task()
        await site.settled()
    assert any("The service registry does not exist" in event for event in site.events())
    assert not site.drains()


def test_documents_follow_namespaces_and_services(time: VirtualTime) -> None:
    site = Site(time)
    site.put(
        DiscoveryInstance(
            service_id="srv-1",
            instance_id="i",
            region=REGION,
            attributes={"AWS_INSTANCE_IPV4": "10.9.9.9"},
            created_at=1.0,
        )
    )
    assert set(site.told()) == {("zone", "vpc-1/app.test"), ("name", "vpc-1/web.app.test")}
    service = site.state.discovery_services.get("srv-1")
    assert service is not None
    faster = sd.DnsConfig(dns_records=(sd.DnsRecord(type="A", ttl=3),), routing_policy="WEIGHTED")
    site.put(msgspec.structs.replace(service, dns_config=faster))
    name = site.told()["name", "vpc-1/web.app.test"]
    assert (name.ttl, name.routing) == (3, "weighted")
    site.put(msgspec.structs.replace(service, dns_config=None))
    assert set(site.told()) == {("zone", "vpc-1/app.test")}
    with site.state.transaction() as tx:
        for record in (*site.state.discovery_instances, service, site.state.namespaces.get("ns-1")):
            tx.delete(record)
    assert site.told() == {}
