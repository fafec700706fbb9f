"""Tasks in Service Connect: endpoints, what hosts are told, and draining before a task stops."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import PREFIX, REGION, World, cluster, deployment, new_service

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import ConnectDocument, ConnectReport
from openecs.control import connect_documents
from openecs.control.connect_draining import LONGEST, ConnectDraining
from openecs.control.connect_endpoints import ConnectEndpoints
from openecs.control.connect_reports import ConnectReports
from openecs.control.loop import After
from openecs.control.registries import RegistryController
from openecs.control.targets import TargetController
from openecs.control.virtual_time import VirtualTime
from openecs.model.discovery import DiscoveryService, Namespace
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.service_connect import ConnectName, ConnectPort, ServiceConnect
from openecs.model.task import NetworkInterface, Task

KEY = "ns-1/web"
WEB = ConnectPort(discovery_name="web", container_port=80, ingress_port=8181, protocol="http", request_timeout=3)
NAME = ConnectName(dns_name="web", port=80, discovery_name="web", protocol="http")
SERVER = ServiceConnect(namespace_id="ns-1", ports=(WEB,))
CLIENT = ServiceConnect(namespace_id="ns-1", names=(NAME,))


class Site(World):
    """One endpoint, its server on node 1, a client on node 2."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(time)
        self.time = time
        begun = deployment(1, time.now(), connect=SERVER)
        self.put(cluster(), new_service(self, 1, deployments=(begun,)))
        (self.service,) = self.state.services
        self.put(
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
                arn="arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1",
                region=REGION,
                name="web",
                namespace_id="ns-1",
                created_at=1.0,
                creator_request_id="",
                type="HTTP",
                owner_arn=self.service.arn,
            ),
        )
        self.board = HostBoard()
        connect_documents.attach(self.board, self.state)
        self.documents = connect_documents.ConnectDocuments(self.state)
        self.registries = RegistryController(self.state, time, self.ids)
        self.targets = TargetController(self.state, time, self.ids)
        self.reports = ConnectReports()
        self.draining = ConnectDraining(self.state, time, self.reports)
        self.endpoints = ConnectEndpoints(self.state)
        self.server = self.task("a", "10.0.0.1", "node-1", SERVER, self.service)
        self.client = self.task("b", "10.0.0.2", "node-2", CLIENT, None)

    def task(self, letter: str, address: str, node: str, connect: ServiceConnect, service: Service | None) -> str:
        eni = NetworkInterface(
            attachment_id=letter,
            eni_id=f"eni-{letter}",
            mac_address="02:00:00:00:00:01",
            private_ipv4_address=address,
            private_dns_name="x",
            subnet_id="subnet-1",
        )
        task = Task(
            arn=f"{PREFIX}:task/default/{letter * 32}",
            region=REGION,
            cluster_arn=f"{PREFIX}:cluster/default",
            task_definition_arn=f"{PREFIX}:task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="RUNNING",
            created_at=1.0,
            group="service:web",
            containers=(),
            reservation=Resources(),
            service_arn=service.arn if service is not None else None,
            deployment_id=service.deployments[0].id if service is not None else None,
            node_id=node,
            network_mode="awsvpc",
            eni=eni,
            connect=connect,
        )
        self.put(task)
        return task.arn

    def look(self, arn: str) -> Task:
        found = self.state.tasks.get(arn)
        assert found is not None
        return found

    def change(self, arn: str, **members: object) -> None:
        self.put(msgspec.structs.replace(self.look(arn), **members))

    def told(self) -> tuple[ConnectDocument, frozenset[str] | None]:
        placed = self.documents.render("connect", KEY)
        assert placed is not None
        assert isinstance(placed.document, ConnectDocument)
        return placed.document, placed.audience

    def leaves(self) -> None:
        """The server is told to stop, and leaves its endpoint."""
        self.registries.reconcile(self.server)
        self.change(self.server, desired_status="STOPPED")
        self.registries.reconcile(self.server)

    def let_go(self) -> bool:
        """Whether the order to stop may go to the agent."""
        self.targets._tasks = {self.service.arn: {self.server: None}}
        self.targets.reconcile(self.service.arn)
        return not self.look(self.server).drains


@pytest.fixture
def site() -> Site:
    return Site(VirtualTime(1_000.0))


def test_a_running_task_is_behind_its_endpoint_for_the_hosts_of_clients(site: Site) -> None:
    site.registries.reconcile(site.server)
    document, audience = site.told()
    assert [(t.address, t.port, t.draining) for t in document.targets] == [("10.0.0.1", 8181, False)]
    assert document.request_timeout == 3
    assert audience == {"node-2"}
    assert site.look(site.server).drains


def test_a_task_that_leaves_gets_nothing_new_and_stops_when_all_hosts_say_so(site: Site) -> None:
    site.leaves()
    document, _ = site.told()
    assert [(t.address, t.port, t.draining) for t in document.targets] == [("10.0.0.1", 8181, True)]
    assert not site.let_go()
    outcome = site.draining.reconcile(site.server)
    assert isinstance(outcome, After)
    site.reports.take("node-2", KEY, ConnectReport())
    site.draining.reconcile(site.server)
    assert not site.let_go()
    site.reports.take("node-2", KEY, ConnectReport(drained=("10.0.0.1:8181",)))
    site.draining.reconcile(site.server)
    assert site.let_go()
    assert site.told()[0].targets == ()


def test_draining_ends_after_a_while_whatever_is_in_flight(site: Site) -> None:
    site.leaves()
    site.change(site.server, connect_draining_since=1_000.0 - LONGEST)
    site.draining.reconcile(site.server)
    assert site.let_go()


def test_without_clients_there_is_nothing_to_drain(site: Site) -> None:
    site.change(site.client, last_status="STOPPED")
    site.leaves()
    site.draining.reconcile(site.server)
    assert site.let_go()


def test_a_host_that_withdraws_its_report_has_not_drained(site: Site) -> None:
    site.leaves()
    site.reports.take("node-2", KEY, ConnectReport(drained=("10.0.0.1:8181",)))
    site.reports.take("node-2", KEY, None)
    assert isinstance(site.draining.reconcile(site.server), After)


def test_an_endpoint_goes_when_nobody_offers_it_and_nobody_is_behind_it(site: Site) -> None:
    site.registries.reconcile(site.server)
    site.put(msgspec.structs.replace(site.service, status="INACTIVE"))
    site.endpoints.reconcile("srv-1")
    assert site.state.discovery_services.get("srv-1") is not None
    site.change(site.server, last_status="STOPPED", desired_status="STOPPED")
    site.registries.reconcile(site.server)
    site.endpoints.reconcile("srv-1")
    assert site.state.discovery_services.get("srv-1") is None
    assert site.documents.render("connect", KEY) is None


def test_only_another_set_of_hosts_with_clients_is_news_for_all_endpoints(site: Site) -> None:
    """A document is not made again for each of a thousand tasks that come and go."""
    looked_at: list[tuple[str, str]] = []
    connect_documents.ConnectChanges(site.state, lambda kind, key: looked_at.append((kind, key)))

    def news() -> list[tuple[str, str]]:
        found = list(looked_at)
        looked_at.clear()
        return found

    second = site.task("c", "10.0.0.3", "node-2", CLIENT, None)
    other_server = site.task("d", "10.0.0.4", "node-4", SERVER, None)
    site.change(second, last_status="STOPPED")
    assert news() == []
    third = site.task("e", "10.0.0.5", "node-3", CLIENT, None)
    assert (news(), site.told()[1]) == ([("connect", KEY)], {"node-2", "node-3"})
    site.change(third, last_status="STOPPED")
    assert (news(), site.told()[1]) == ([("connect", KEY)], {"node-2"})
    site.change(other_server, connect_draining_since=1.0)
    assert news() == [("connect", KEY)]
    site.change(other_server, last_status="STOPPED")
    assert news() == [("connect", KEY)]
