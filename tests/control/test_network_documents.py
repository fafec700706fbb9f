"""What hosts are told of networks, and what becomes of what they say of themselves."""

from __future__ import annotations

import msgspec
import pytest
from control_kit import ACCOUNT, CLUSTER, PREFIX, REGION, World

from openecs.acs.host_board import HostBoard
from openecs.acs.host_documents import AclRule, Document, GroupRule, HostReport, InterfaceDocument, PeerDocument
from openecs.control import network_documents
from openecs.control.hosts import HostReports
from openecs.control.network_documents import NetworkDocuments
from openecs.control.virtual_time import VirtualTime
from openecs.model.network import region_network
from openecs.model.network_acl import AclEntry
from openecs.model.network_interface import Interface
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.route_table import NatGateway, Route, RouteTable, RouteTableAssociation
from openecs.model.security_group import SecurityGroupRule
from openecs.model.task import NetworkInterface, Task

NETWORK = region_network(ACCOUNT, REGION)
SUBNET = NETWORK.subnets[0]
KINDS = ("peer", "vpc", "subnet", "interface", "security-group", "network-acl")


@pytest.fixture
def world() -> World:
    return World(VirtualTime())


@pytest.fixture
def board(world: World) -> HostBoard:
    board = HostBoard()
    network_documents.attach(board, world.state, vni=77)
    HostReports(world.state).attach(board)
    return board


def told(board: HostBoard, world: World) -> dict[tuple[str, str], Document]:
    """Everything that hosts are told, from what the board has kept; the same as if it were made anew."""
    board.settle()
    fresh = NetworkDocuments(world.state, 77)
    made = {}
    for kind in KINDS:
        for key in fresh.keys(kind):
            placed = fresh.render(kind, key)
            if placed is not None:
                made[kind, key] = placed.document
    kept = {key: msgspec.json.decode(board.get(key).body, type=type(made[key])) for key in made if board.get(key)}  # type: ignore[union-attr]
    assert kept == made
    assert set(board.keys()) == set(made)
    return made


def task(**changes: object) -> Task:
    eni = NetworkInterface(
        attachment_id="attachment",
        eni_id="eni-task",
        mac_address="0a:58:0a:d0:00:04",
        private_ipv4_address="10.208.0.4",
        private_dns_name="ip-10-208-0-4",
        subnet_id=SUBNET.id,
        security_groups=(NETWORK.security_group_id,),
        vpc_id=NETWORK.vpc_id,
        public_ip="10.208.192.9",
    )
    values = {
        "arn": f"{PREFIX}:task/default/1",
        "cluster_arn": CLUSTER,
        "task_definition_arn": f"{PREFIX}:task-definition/web:1",
        "region": REGION,
        "launch_type": "EC2",
        "desired_status": "RUNNING",
        "last_status": "PENDING",
        "group": "family:web",
        "containers": (),
        "reservation": Resources(),
        "network_mode": "awsvpc",
        "eni": eni,
        "created_at": 1.0,
    }
    return Task(**(values | changes))  # type: ignore[arg-type]


def test_a_region_is_told_as_it_is_made(world: World, board: HostBoard) -> None:
    documents = told(board, world)
    assert documents["vpc", NETWORK.vpc_id] == msgspec.convert(
        {"cidrs": ["10.208.0.0/16"], "resolver": "10.208.0.2"}, type=type(documents["vpc", NETWORK.vpc_id])
    )
    subnet = documents["subnet", SUBNET.id]
    assert (subnet.cidr, subnet.gateway, subnet.egress) == ("10.208.0.0/18", "10.208.0.1/18", "internet")  # type: ignore[attr-defined]
    group = documents["security-group", NETWORK.security_group_id]
    assert group.ingress == (GroupRule(protocol="-1", group=NETWORK.security_group_id),)  # type: ignore[attr-defined]
    assert group.egress == (GroupRule(protocol="-1", cidr="0.0.0.0/0"),)  # type: ignore[attr-defined]
    (acl,) = [document for (kind, _), document in documents.items() if kind == "network-acl"]
    assert set(acl.subnets) == {subnet.id for subnet in NETWORK.subnets}  # type: ignore[attr-defined]
    everything = (AclRule(number=100, allow=True, protocol="-1", cidr="0.0.0.0/0"),)
    assert acl.ingress == acl.egress == everything  # type: ignore[attr-defined]


def test_a_tasks_interface_is_told_from_its_placement_to_its_end(world: World, board: HostBoard) -> None:
    key = ("interface", "eni-task")
    world.put(task())
    assert key not in told(board, world)
    world.put(task(node_id="node"))
    assert told(board, world)[key] == InterfaceDocument(
        vpc_id=NETWORK.vpc_id,
        subnet_id=SUBNET.id,
        address="10.208.0.4",
        node_id="node",
        security_groups=(NETWORK.security_group_id,),
        public_address="10.208.192.9",
    )
    world.put(task(node_id="node", last_status="RUNNING"))
    assert key in told(board, world)
    world.put(task(node_id="node", last_status="STOPPED"))
    assert key not in told(board, world)


def test_a_task_of_before_names_no_vpc_but_its_subnet_does(world: World, board: HostBoard) -> None:
    eni = task().eni
    assert eni is not None
    world.put(task(node_id="node", eni=msgspec.structs.replace(eni, vpc_id="")))
    assert told(board, world)["interface", "eni-task"].vpc_id == NETWORK.vpc_id  # type: ignore[attr-defined]


def test_rules_routes_and_interfaces_are_told_when_they_change(world: World, board: HostBoard) -> None:
    told(board, world)
    group = NETWORK.security_group_id
    rule = SecurityGroupRule(
        id="sgr-1", region=REGION, owner=ACCOUNT, group_id=group, is_egress=False, protocol="tcp", from_port=80,
        to_port=80, cidr_ipv4="10.0.0.0/8",
    )  # fmt: skip
    six = SecurityGroupRule(
        id="sgr-2", region=REGION, owner=ACCOUNT, group_id=group, is_egress=False, protocol="-1", cidr_ipv6="::/0"
    )
    world.put(rule, six)
    ingress = told(board, world)["security-group", group].ingress  # type: ignore[attr-defined]
    assert GroupRule(protocol="tcp", from_port=80, to_port=80, cidr="10.0.0.0/8") in ingress
    assert len(ingress) == 2  # Interfaces have no IPv6 address.

    (acl,) = world.state.network_acls
    entry = AclEntry(
        number=50, egress=False, action="deny", protocol="1", cidr_ipv4="10.0.0.0/8", icmp_type=8, icmp_code=-1
    )
    world.put(msgspec.structs.replace(acl, entries=(*acl.entries, entry)))
    told_acl = told(board, world)["network-acl", acl.id]
    assert told_acl.ingress[0] == AclRule(  # type: ignore[attr-defined]
        number=50, allow=False, protocol="1", cidr="10.0.0.0/8", from_port=8, to_port=-1
    )

    (main,) = world.state.route_tables
    world.put(msgspec.structs.replace(main, routes=main.routes[:1]))
    assert told(board, world)["subnet", SUBNET.id].egress == "none"  # type: ignore[attr-defined]

    world.put(
        Interface(
            id="eni-lb", region=REGION, owner=ACCOUNT, vpc_id=NETWORK.vpc_id, subnet_id=SUBNET.id,
            availability_zone=SUBNET.availability_zone, private_ip="10.208.0.9", mac_address="", node_id="node",
        )
    )  # fmt: skip
    assert told(board, world)["interface", "eni-lb"].node_id == "node"  # type: ignore[attr-defined]


def test_a_nat_gateway_leads_out_only_from_a_subnet_that_does(world: World, board: HostBoard) -> None:
    private, public = NETWORK.subnets[0], NETWORK.subnets[1]
    gateway = NatGateway(
        id="nat-1", region=REGION, owner=ACCOUNT, vpc_id=NETWORK.vpc_id, subnet_id=public.id, created_at=1.0
    )
    table = RouteTable(
        id="rtb-private",
        region=REGION,
        owner=ACCOUNT,
        vpc_id=NETWORK.vpc_id,
        routes=(
            Route(destination="10.208.0.0/16", target="local"),
            Route(destination="0.0.0.0/0", target="nat-1"),
            Route(destination="198.51.100.0/24", target="eni-gone"),
        ),
        associations=(RouteTableAssociation(id="a", subnet_id=private.id),),
    )
    world.put(gateway, table)
    subnet = told(board, world)["subnet", private.id]
    assert (subnet.egress, subnet.blackholes) == ("nat", ("198.51.100.0/24",))  # type: ignore[attr-defined]
    world.put(msgspec.structs.replace(gateway, subnet_id=private.id))
    assert told(board, world)["subnet", private.id].egress == "none"  # type: ignore[attr-defined]
    world.put(msgspec.structs.replace(gateway, state="deleted"))
    assert told(board, world)["subnet", private.id].egress == "none"  # type: ignore[attr-defined]


def test_hosts_that_report_become_peers(world: World, board: HostBoard) -> None:
    def report(node: str, **what: str) -> None:
        board.take(node, "host", "", msgspec.json.encode(HostReport(**what)))  # type: ignore[arg-type]

    for name in ("a", "b", "c", "d"):
        world.put(Node(id=name, capacity=Resources(cpu=1024, memory=1024), agent_connected=True))
    report("a", address="192.168.1.1")
    report("b", address="192.168.1.2", overlay="direct")
    report("c", address="127.0.0.1")
    report("d", address="192.168.1.4", network_problem="no root")
    documents = told(board, world)
    assert documents["peer", "a"] == PeerDocument(address="192.168.1.1", vni=77, tunnel="169.254.64.1")
    assert documents["peer", "b"] == PeerDocument(
        address="192.168.1.2", vni=77, tunnel="169.254.64.2", overlay="direct"
    )
    assert [key for kind, key in documents if kind == "peer"] == ["a", "b"]
    revision = world.state.store.revision
    report("a", address="192.168.1.1")
    board.take("b", "host", "", None)
    assert world.state.store.revision == revision  # Nothing new; and silence is no loss of abilities.
    report("a", address="192.168.1.9")
    assert told(board, world)["peer", "a"].address == "192.168.1.9"  # type: ignore[attr-defined]
    assert told(board, world)["peer", "a"].tunnel == "169.254.64.1"  # type: ignore[attr-defined]
