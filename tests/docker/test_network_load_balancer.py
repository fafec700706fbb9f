"""Network load balancers on the real engine: datagrams to tasks of services, and traffic that is shifted."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
from balanced_front import endpoint_of
from deployed_service import DeployedService, deployed
from docker_world import World
from measured import measured
from steady_load import SteadyLoad
from test_service_behind_balancer import revision
from waiting import wait_for
from web_tasks import web_task

#: Health is asked over TCP, as on AWS.
CHECK = {"HealthCheckProtocol": "HTTP", "HealthCheckPath": "/health"}
QUICK = {"Delay": 1, "MaxAttempts": 60}


class Network(NamedTuple):
    """A network load balancer whose targets are in its own security group."""

    elb: Any
    balancer: str
    vpc: str
    subnet: str
    group: str

    def target_group(self, **settings: Any) -> str:
        request = {"Name": "g" + uuid.uuid4().hex[:12], "VpcId": self.vpc, "TargetType": "ip", **settings}
        (made,) = self.elb.create_target_group(**request)["TargetGroups"]
        arn: str = made["TargetGroupArn"]
        return arn

    def listener(self, protocol: str, port: int, *groups: tuple[str, int]) -> str:
        tuples = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups]
        action = {"Type": "forward", "ForwardConfig": {"TargetGroups": tuples}}
        (made,) = self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol=protocol, Port=port, DefaultActions=[action]
        )["Listeners"]
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[self.balancer], WaiterConfig=QUICK)
        arn: str = made["ListenerArn"]
        return arn

    def awsvpc(self) -> dict[str, Any]:
        return {"awsvpcConfiguration": {"subnets": [self.subnet], "securityGroups": [self.group]}}


@pytest.fixture(scope="module")
def network(world: World) -> Iterator[Network]:
    elb, ec2 = world.installation.client("elbv2"), world.installation.client("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    own = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}, {"Name": "group-name", "Values": ["default"]}]
    group = ec2.describe_security_groups(Filters=own)["SecurityGroups"][0]["GroupId"]
    (balancer,) = elb.create_load_balancer(
        Name="n" + uuid.uuid4().hex[:12], Type="network", Subnets=[subnet["SubnetId"]], SecurityGroups=[group]
    )["LoadBalancers"]
    arn = balancer["LoadBalancerArn"]
    yield Network(elb, arn, subnet["VpcId"], subnet["SubnetId"], group)
    used = [g["TargetGroupArn"] for g in elb.describe_target_groups(LoadBalancerArn=arn)["TargetGroups"]]
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=QUICK)
    for target_group in used:
        elb.delete_target_group(TargetGroupArn=target_group)


class Client:
    """One flow of datagrams."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.rpartition(":")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(1)
        self.socket.connect((host, int(port)))

    def ask(self, times: int = 1) -> list[str]:
        """Version, host and the client's address as the task sees them; a datagram may be lost."""
        for attempt in range(times):
            self.socket.send(b"?")
            try:
                return self.socket.recv(2048).decode().split()
            except TimeoutError:
                assert attempt + 1 < times, "no answer"
        raise AssertionError


def flows(stack: ExitStack, endpoint: str, count: int) -> list[Client]:
    made = [Client(endpoint) for _ in range(count)]
    for one in made:
        stack.enter_context(one.socket)
    return made


def test_datagrams_stay_with_a_task_until_it_is_stopped(world: World, network: Network) -> None:
    group = network.target_group(Protocol="UDP", Port=5300, HealthCheckPort="8080", **CHECK)
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "2"}
    network.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[delay])
    listener = network.listener("UDP", 18053, (group, 1))
    endpoint = endpoint_of(network.elb, listener)
    with deployed(world) as service, ExitStack() as stack:
        definition = web_task(world.image, "v1=8080", "udp:v1=5300")
        made = world.ecs.register_task_definition(family=service.name, **definition)["taskDefinition"]
        service.create(
            made["taskDefinitionArn"],
            2,
            networkConfiguration=network.awsvpc(),
            loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 5300}],
        )
        service.stable()
        clients = flows(stack, endpoint, 24)
        before = [client.ask() for client in clients]
        assert len({host for _, host, _ in before}) == 2
        # Targets see the load balancer.
        interfaces = world.installation.client("ec2").describe_network_interfaces()["NetworkInterfaces"]
        own = {i["PrivateIpAddress"] for i in interfaces if network.balancer.split("/")[2] in i["Description"]}
        assert {address for _, _, address in before} == own
        assert [client.ask() for client in clients] == before
        (one, _) = service.tasks()
        world.ecs.stop_task(task=one["taskArn"])
        world.reaches(one["taskArn"], "STOPPED")
        answered = [client.ask(times=5) for client in clients]
        stayed = [new for new, old in zip(answered, before, strict=True) if new == old]
        # Those of the task that was left alone never moved; the others have a new one.
        assert 0 < len(stayed) < len(clients)
        assert len({host for _, host, _ in stayed}) == 1
        service.stable()


def test_datagrams_reach_tasks_on_dynamic_ports(world: World, network: Network) -> None:
    group = network.target_group(Protocol="UDP", Port=1, TargetType="instance", HealthCheckPort="18079", **CHECK)
    endpoint = endpoint_of(network.elb, network.listener("UDP", 18054, (group, 1)))
    # The same port of the container by TCP has another one on the host.
    ports = [
        {"containerPort": 5300, "protocol": "tcp"},
        {"containerPort": 5300, "protocol": "udp"},
        {"containerPort": 8080, "hostPort": 18079},
    ]
    with deployed(world) as service, ExitStack() as stack:
        definition = web_task(world.image, "v1=8080", "other=5300", "udp:v1=5300", portMappings=ports)
        made = world.ecs.register_task_definition(family=service.name, **{**definition, "networkMode": "bridge"})
        service.create(
            made["taskDefinition"]["taskDefinitionArn"],
            1,
            loadBalancers=[{"targetGroupArn": group, "containerName": "main", "containerPort": 5300}],
        )
        service.stable()
        assert {client.ask()[0] for client in flows(stack, endpoint, 4)} == {"v1"}


@pytest.fixture
def shifted(world: World, network: Network) -> Iterator[tuple[DeployedService, str, list[str], dict[str, Any]]]:
    """A service whose tasks are behind a TCP listener, with the groups between which traffic is shifted."""
    groups = [network.target_group(Protocol="TCP", Port=80) for _ in range(2)]
    listener = network.listener("TCP", 18055, (groups[0], 1), (groups[1], 0))
    entry = {
        "targetGroupArn": groups[0],
        "containerName": "main",
        "containerPort": 80,
        "advancedConfiguration": {
            "alternateTargetGroupArn": groups[1],
            "productionListenerRule": listener,
            "roleArn": "arn:aws:iam::000000000000:role/shift",
        },
    }
    with deployed(world) as service:
        yield service, listener, groups, entry


def flows_of(world: World, network: Network) -> float:
    """New flows of TCP as CloudWatch has them."""
    name = network.balancer.partition("loadbalancer/")[2]
    return measured(world, "AWS/NetworkELB", "NewFlowCount_TCP", LoadBalancer=name)


def test_connections_are_shifted_by_weights_and_none_fails(
    world: World, network: Network, shifted: tuple[DeployedService, str, list[str], dict[str, Any]]
) -> None:
    service, listener, groups, entry = shifted
    service.create(
        revision(service, "v1"),
        1,
        launchType="FARGATE",
        networkConfiguration=network.awsvpc(),
        loadBalancers=[entry],
        deploymentConfiguration={"strategy": "LINEAR", "bakeTimeInMinutes": 0, "linearConfiguration": STEPS},
    )
    service.stable()
    with SteadyLoad(endpoint_of(network.elb, listener), keeping=0, connecting=3) as load:
        wait_for(lambda: load.answers["v1"] > 50, seconds=20, what="answers of the first revision")
        service.ends(service.update(taskDefinition=revision(service, "v2")), "SUCCESSFUL")
        wait_for(lambda: flows_of(world, network) > 50, seconds=90, what="flows to be counted")
        before = load.answers.copy()
        wait_for(lambda: (load.answers - before)["v2"] > 50, seconds=20, what="answers of the second revision")
        assert set(load.answers - before) == {"v2"}
    assert load.failures == []
    (found,) = network.elb.describe_listeners(ListenerArns=[listener])["Listeners"]
    weights = {
        group["TargetGroupArn"]: group["Weight"]
        for group in found["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    }
    assert weights == {groups[0]: 0, groups[1]: 100}


#: Half, then everything.
STEPS = {"stepPercent": 50.0, "stepBakeTimeInMinutes": 0}
