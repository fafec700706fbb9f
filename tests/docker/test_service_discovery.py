"""Names of services, asked for from inside tasks of every network mode, and from the host."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from docker_world import STAY, World, by_name, fetch
from waiting import wait_for

RESOLVER = "169.254.169.253"
SERVE = "echo from-$HOSTNAME > /tmp/index.html; httpd -p 8080 -h /tmp; " + STAY
LOOK = (
    "until wget -qO /tmp/page http://$NAME:8080/; do sleep 0.05; done; "
    "nslookup $NAME > /tmp/answer; echo page=$(cat /tmp/page); "
    "echo resolv=$(grep ^nameserver /etc/resolv.conf); echo done; " + STAY
)


class Names:
    """A private namespace of the default VPC, with what is registered in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cloud_map: Any = world.installation.client("servicediscovery", inject_host_prefix=False)
        subnet = world.installation.subnet()
        (shown,) = world.installation.client("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"]
        self.name = f"n{uuid.uuid4().hex[:8]}.test"
        operation = self.cloud_map.create_private_dns_namespace(Name=self.name, Vpc=shown["VpcId"])["OperationId"]
        self.id = self.cloud_map.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]

    def registry(self, name: str, kind: str) -> dict[str, Any]:
        service: dict[str, Any] = self.cloud_map.create_service(
            Name=name,
            NamespaceId=self.id,
            DnsConfig={"DnsRecords": [{"Type": kind, "TTL": 5}]},
            HealthCheckCustomConfig={"FailureThreshold": 1},
        )["Service"]
        return service

    def ask(self, name: str, kind: str = "A") -> list[Any]:
        """What the resolver of this host answers."""
        query = dns.message.make_query(f"{name}.{self.name}", kind)
        reply = dns.query.udp(query, RESOLVER, timeout=5)
        wanted = dns.rdatatype.from_text(kind)
        return [rdata for rrset in reply.answer if rrset.rdtype == wanted for rdata in rrset]

    def addresses(self, name: str) -> set[str]:
        return {rdata.address for rdata in self.ask(name)}


@pytest.fixture(scope="module")
def names(world: World) -> Names:
    return Names(world)


def network(world: World) -> dict[str, Any]:
    return {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}


def address_of(task: dict[str, Any]) -> str:
    details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
    return details["privateIPv4Address"]


@pytest.fixture(scope="module")
def web(world: World, names: Names) -> Iterator[str]:
    """The name of an awsvpc service of one task that is registered as ``web``."""
    registry = names.registry("web", "A")
    service = "s" + uuid.uuid4().hex[:12]
    definition = world.register(
        world.container(script=SERVE, portMappings=[{"containerPort": 8080}]), networkMode="awsvpc"
    )
    world.ecs.create_service(
        serviceName=service,
        taskDefinition=definition,
        desiredCount=1,
        networkConfiguration=network(world),
        serviceRegistries=[{"registryArn": registry["Arn"]}],
    )
    yield service
    world.ecs.delete_service(service=service, force=True)


@pytest.mark.parametrize("mode", ["awsvpc", "bridge", "host"])
def test_a_task_of_every_network_mode_finds_the_service_by_its_name(
    world: World, names: Names, web: str, mode: str
) -> None:
    (running,) = world.wait_for_tasks(web, 1, without="")
    name = f"web.{names.name}"
    looker = world.run(
        world.container(script=LOOK, environment=[{"name": "NAME", "value": name}]),
        networkMode=mode,
        run={"networkConfiguration": network(world), "launchType": "EC2"} if mode == "awsvpc" else None,
    )
    found = world.facts(looker)
    task = world.reaches(running, "RUNNING")
    assert found["page"].startswith("from-")
    assert names.addresses("web") == {address_of(task)}
    if mode != "awsvpc":
        assert RESOLVER in found["resolv"]
    world.stop(looker)


def test_names_follow_tasks_as_they_come_and_go(world: World, names: Names, web: str) -> None:
    world.ecs.update_service(service=web, desiredCount=2)
    arns = world.wait_for_tasks(web, 2, without="")
    tasks = [world.reaches(arn, "RUNNING") for arn in arns]
    expected = {address_of(task) for task in tasks}
    # RUNNING was durable before anybody could see it; the resolver hears of it in the same moment.
    wait_for(lambda: names.addresses("web") == expected, seconds=5, what="both tasks to be answered")
    world.ecs.stop_task(task=arns[0])
    gone = address_of(tasks[0])
    wait_for(lambda: gone not in names.addresses("web"), seconds=5, what="the stopped task not to be answered")
    world.ecs.update_service(service=web, desiredCount=1)


def test_a_bridge_service_is_found_by_its_srv_record(world: World, names: Names) -> None:
    registry = names.registry("api", "SRV")
    service = "s" + uuid.uuid4().hex[:12]
    definition = world.register(world.container(script=SERVE, portMappings=[{"containerPort": 8080}]))
    world.ecs.create_service(
        serviceName=service,
        taskDefinition=definition,
        desiredCount=1,
        serviceRegistries=[{"registryArn": registry["Arn"], "containerName": "main", "containerPort": 8080}],
    )
    (arn,) = world.wait_for_tasks(service, 1, without="")
    task = world.reaches(arn, "RUNNING")
    (found,) = wait_for(lambda: names.ask("api", "SRV"), seconds=5, what="the SRV record")
    (binding,) = [b for b in by_name(task)["main"]["networkBindings"] if b["bindIP"] == "0.0.0.0"]
    assert found.port == binding["hostPort"]
    host = found.target.to_text(omit_final_dot=True).removesuffix(f".{names.name}")
    (address,) = names.addresses(host)
    assert fetch(address, found.port).startswith("from-")
    instances = names.cloud_map.discover_instances(NamespaceName=names.name, ServiceName="api")["Instances"]
    assert [i["InstanceId"] for i in instances] == [arn.rsplit("/", 1)[-1]]
    world.ecs.delete_service(service=service, force=True)
    world.reaches(arn, "STOPPED")
    assert names.ask("api", "SRV") == []
    wait_for(lambda: names.cloud_map.list_instances(ServiceId=registry["Id"])["Instances"] == [], what="no instance")
    names.cloud_map.delete_service(Id=registry["Id"])


def test_other_names_are_forwarded_and_unknown_ones_of_the_namespace_do_not_exist(world: World, names: Names) -> None:
    query = dns.message.make_query(f"nobody.{names.name}", "A")
    assert dns.query.tcp(query, RESOLVER, timeout=5).rcode() == dns.rcode.NXDOMAIN
