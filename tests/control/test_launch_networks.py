"""The interfaces of launched tasks: in which subnet, with which group, with which addresses."""

from __future__ import annotations

import ipaddress
import random

import msgspec
import pytest
from control_kit import ACCOUNT, CLUSTER, PREFIX, REGION, World, cluster, definition

from openecs.control.launch_spec import LaunchSpec
from openecs.control.region_networks import RegionNetworks
from openecs.control.virtual_time import VirtualTime
from openecs.errors import AWSError
from openecs.model.network import region_network
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.security_group import SecurityGroup
from openecs.model.task import Task
from openecs.model.vpc import VpcSubnet
from openecs.planning.new_vpc import companions, new_vpc
from openecs.shapes import ecs

DEFAULT = region_network(ACCOUNT, REGION)
OWN = VpcSubnet(
    id="subnet-own", region=REGION, owner=ACCOUNT, vpc_id="vpc-own", availability_zone=f"{REGION}a", cidr="10.20.1.0/28"
)


@pytest.fixture
def world() -> World:
    world = World(VirtualTime())
    instance = ContainerInstance(
        arn=f"{PREFIX}:container-instance/default/a",
        cluster_arn=CLUSTER,
        region=REGION,
        node_id="a",
        status="ACTIVE",
        registered_at=1.0,
        attributes=(ecs.Attribute(name="ecs.availability-zone", value=f"{REGION}a"),),
    )
    node = Node(id="a", capacity=Resources(cpu=40960, memory=10_000), agent_connected=True, fargate_pool=True)
    world.put(node, instance)
    vpc = new_vpc(
        vpc_id="vpc-own",
        region=REGION,
        owner=ACCOUNT,
        cidr="10.20.0.0/16",
        dhcp_options_id="dopt-1",
        make_id=lambda prefix, _: f"{prefix}-own",
    )
    records, acl = companions(vpc, lambda prefix, what: f"{prefix}-{what}", group_id="sg-own")
    world.put(vpc, acl, OWN, *records)
    return world


def launch(
    world: World, subnet: str, *groups: str, count: int = 1, public: bool = False
) -> tuple[list[Task], list[str | None]]:
    wanted = ecs.AwsVpcConfiguration(
        subnets=(subnet,), security_groups=groups or None, assign_public_ip="ENABLED" if public else None
    )
    spec = LaunchSpec(
        cluster=cluster(),
        definition=definition(1, network_mode="awsvpc", compatibilities=("FARGATE",)),
        count=count,
        launch_type="FARGATE",
        group="family:web",
        network_configuration=ecs.NetworkConfiguration(awsvpc_configuration=wanted),
    )
    with world.state.transaction() as tx:
        launched = world.launcher.launch(tx, spec, now=5.0, ids=world.ids)
    return list(launched.tasks), [failure.reason for failure in launched.failures]


def test_a_subnet_of_any_vpc_serves_with_its_vpcs_default_group(world: World) -> None:
    (task,), _ = launch(world, OWN.id)
    assert task.eni is not None
    assert (task.eni.vpc_id, task.eni.security_groups) == ("vpc-own", ("sg-own",))
    assert (task.eni.private_ipv4_address, task.availability_zone) == ("10.20.1.4", f"{REGION}a")
    (other,), _ = launch(world, DEFAULT.subnets[0].id)
    assert other.eni is not None
    assert (other.eni.vpc_id, other.eni.security_groups) == (DEFAULT.vpc_id, (DEFAULT.security_group_id,))


def test_a_full_subnet_takes_no_more_tasks_until_one_has_stopped(world: World) -> None:
    tasks, failures = launch(world, OWN.id, count=12)
    assert (len(tasks), failures) == (11, ["RESOURCE:ENI"])
    assert world.state.addresses.used(OWN.id) == 11
    world.put(msgspec.structs.replace(tasks[3], last_status="STOPPED"))
    (again,), _ = launch(world, OWN.id)
    assert again.eni is not None
    assert tasks[3].eni is not None
    assert again.eni.private_ipv4_address == tasks[3].eni.private_ipv4_address


def test_public_addresses_come_from_the_pool_and_go_back(world: World) -> None:
    tasks, _ = launch(world, OWN.id, count=3, public=True)
    public = [task.eni.public_ip for task in tasks if task.eni is not None]
    pool = ipaddress.IPv4Network("10.208.192.0/18")
    assert len(set(public)) == 3
    assert all(address is not None and ipaddress.IPv4Address(address) in pool for address in public)
    assert all(address in world.state.addresses for address in public)
    world.put(*(msgspec.structs.replace(task, last_status="STOPPED") for task in tasks))
    assert world.state.addresses.taken() == {}
    (private,), _ = launch(world, OWN.id)
    assert private.eni is not None
    assert private.eni.public_ip is None


@pytest.mark.parametrize("gone", ["subnet", "group"])
def test_what_was_deleted_meanwhile_is_named(world: World, gone: str) -> None:
    group = SecurityGroup(id="sg-web", region=REGION, owner=ACCOUNT, vpc_id="vpc-own", name="web", description="web")
    world.put(group)
    launch(world, OWN.id, group.id)
    with world.state.transaction() as tx:
        tx.delete(OWN if gone == "subnet" else group)
    named = "The subnet ID 'subnet-own'" if gone == "subnet" else "The security group 'sg-web'"
    with pytest.raises(AWSError, match=f"{named} does not exist"):
        launch(world, OWN.id, group.id)


def test_derived_sums_follow_the_records(world: World) -> None:
    """After any history of launches and stops the taken addresses are those of live tasks."""
    rng = random.Random(5)
    live: list[Task] = []
    for _ in range(60):
        if live and rng.random() < 0.5:
            task = live.pop(rng.randrange(len(live)))
            world.put(msgspec.structs.replace(task, last_status="STOPPED"))
        else:
            tasks, _ = launch(world, OWN.id, public=rng.random() < 0.5)
            live += tasks
        enis = [task.eni for task in live if task.eni is not None]
        wanted = [a for eni in enis for a in (eni.private_ipv4_address, eni.public_ip) if a is not None]
        assert world.state.addresses.taken() == dict.fromkeys(wanted, 1)


def test_networks_are_made_once(world: World) -> None:
    networks = RegionNetworks(world.state, ACCOUNT, "10.208.0.0/16")
    revision = world.state.store.revision
    networks.ensure_all(REGION)
    assert world.state.store.revision == revision
    networks.ensure("us-east-1")
    assert world.state.store.revision == revision + 1
    assert {vpc.region for vpc in world.state.vpcs if vpc.is_default} == {REGION, "us-east-1"}
