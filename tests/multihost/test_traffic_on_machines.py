"""Tasks on two machines: who may reach whom, and requests that go on whatever happens to a machine.

Each machine runs one interface of the load balancer, and is asked at its own address.
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import pytest
from multihost_site import CLUSTER, STAY, Site, opened
from steady_load import SteadyLoad
from waiting import wait_for
from web_tasks import web_task

PORT = 8080
#: Prints the addresses of a name, as the host's resolver knows them.
RESOLVE = """
import sys
import dns.resolver
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = ["169.254.169.253"]
print(*(record.address for record in resolver.resolve(sys.argv[1], "A")))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, busybox_image: str) -> Iterator[Site]:
    """Machines ``one`` and ``two`` in a zone each, whose load balancers others reach."""
    with opened(tmp_path_factory.mktemp("plane"), busybox_image, "one", "two") as site:
        for name, zone in (("one", "us-east-1a"), ("two", "us-east-1b")):
            site.join(name, "--availability-zone", zone, "--edge-address", site.machines[name].address)
        yield site


class Place(NamedTuple):
    """A task in the matrix."""

    name: str
    machine: str
    #: Index of the zone's subnet.
    zone: int


PLACES = (Place("web", "one", 0), Place("app", "two", 0), Place("db", "one", 1), Place("lone", "two", 1))
PORTS = (80, 81)
#: Who may connect to a place's port, by its security group; nobody to a port that is not here.
INGRESS = {
    ("web", 80): {"app", "db", "lone"},
    ("app", 80): {"web"},
    ("app", 81): {"web"},
    ("db", 81): {"app"},
}
#: Where a place may connect to; others may anywhere.
EGRESS = {"lone": {("web", 80)}}
ALL = {(s.name, d.name, port) for s in PLACES for d in PLACES for port in PORTS if s != d}
ALLOWED = {
    (source, target, port)
    for source, target, port in ALL
    if source in INGRESS.get((target, port), ()) and (source not in EGRESS or (target, port) in EGRESS[source])
}
ZONE = {place.name: place.zone for place in PLACES}


class Matrix:
    """The tasks, their groups, and who reaches whom."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ec2: Any = site.installation.client("ec2")
        found = self.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        self.subnets = sorted(found, key=lambda subnet: subnet["AvailabilityZone"])
        self.vpc = self.subnets[0]["VpcId"]
        prefix = uuid.uuid4().hex[:8]
        self.groups = {
            place.name: self.ec2.create_security_group(
                GroupName=f"{prefix}-{place.name}", Description="matrix", VpcId=self.vpc
            )["GroupId"]
            for place in PLACES
        }
        for (target, port), sources in INGRESS.items():
            permission: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
            permission["UserIdGroupPairs"] = [{"GroupId": self.groups[source]} for source in sorted(sources)]
            self.ec2.authorize_security_group_ingress(GroupId=self.groups[target], IpPermissions=[permission])
        for source, targets in EGRESS.items():
            anything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            self.ec2.revoke_security_group_egress(GroupId=self.groups[source], IpPermissions=anything)
            for target, port in targets:
                permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
                permission["UserIdGroupPairs"] = [{"GroupId": self.groups[target]}]
                self.ec2.authorize_security_group_egress(GroupId=self.groups[source], IpPermissions=[permission])
        definition = site.register("httpd -p 80 -h /www; httpd -p 81 -h /www; " + STAY, networkMode="awsvpc")
        self.tasks = {
            place.name: site.start(place.machine, definition, networkConfiguration=self._network(place))
            for place in PLACES
        }
        self.addresses: dict[str, str] = {}
        self._inside: dict[str, list[str]] = {}
        for place in PLACES:
            task = site.reaches(self.tasks[place.name], "RUNNING")
            self.addresses[place.name] = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
            self._inside[place.name] = self._enter(place.machine, task["containers"][0]["runtimeId"])

    def _network(self, place: Place) -> dict[str, Any]:
        subnet = self.subnets[place.zone]["SubnetId"]
        return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [self.groups[place.name]]}}

    def _enter(self, name: str, container: str) -> list[str]:
        """A command in the task's network: this machine's programs, the task's interface."""
        machine = self.site.machines[name]
        status, answer = machine.engine.call("GET", f"/containers/{container}/json")
        assert status == 200, answer
        return machine.command("nsenter", f"--net=/proc/{json.loads(answer)['State']['Pid']}/ns/net")

    def reached(self) -> set[tuple[str, str, int]]:
        """Who connects to whom now: source, target, port."""
        with ThreadPoolExecutor(len(ALL)) as threads:
            return {pair for pair, well in zip(ALL, threads.map(self._connects, ALL), strict=True) if well}

    def _connects(self, pair: tuple[str, str, int]) -> bool:
        source, target, port = pair
        script = f"exec 3<>/dev/tcp/{self.addresses[target]}/{port}"
        command = [*self._inside[source], "timeout", "2", "bash", "-c", script]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def becomes(self, expected: set[tuple[str, str, int]]) -> None:
        """Wait until exactly these reach each other."""

        def look() -> bool:
            self.last = self.reached()
            return self.last == expected

        try:
            wait_for(look, seconds=10, what="the matrix")
        except AssertionError:
            assert self.last == expected  # Which says where they differ.
            raise


def test_groups_and_acls_decide_who_reaches_whom_on_two_machines(site: Site) -> None:
    matrix = Matrix(site)
    ec2 = matrix.ec2
    matrix.becomes(ALLOWED)
    acl = ec2.create_network_acl(VpcId=matrix.vpc)["NetworkAcl"]["NetworkAclId"]
    subnet = matrix.subnets[1]["SubnetId"]
    (old,) = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
    (association,) = [a for a in old["Associations"] if a["SubnetId"] == subnet]

    def entry(number: int, ports: tuple[int, int], action: str, *, egress: bool) -> None:
        ec2.create_network_acl_entry(
            NetworkAclId=acl,
            RuleNumber=number,
            Protocol="6",
            PortRange={"From": ports[0], "To": ports[1]},
            RuleAction=action,
            Egress=egress,
            CidrBlock="0.0.0.0/0",
        )

    entry(100, (1, 65535), "allow", egress=False)
    entry(100, (1, 65535), "allow", egress=True)
    entry(90, (81, 81), "deny", egress=False)
    changed = ec2.replace_network_acl_association(
        AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl
    )["NewAssociationId"]
    # The second zone's ACL: nothing comes to port 81 from the other subnet, but tasks inside the subnet are not asked.
    inward = {pair for pair in ALLOWED if (ZONE[pair[0]], ZONE[pair[1]]) == (0, 1)}
    outward = {pair for pair in ALLOWED if (ZONE[pair[0]], ZONE[pair[1]]) == (1, 0)}
    assert inward
    assert outward
    matrix.becomes(ALLOWED - {pair for pair in inward if pair[2] == 81})
    # ACLs remember nothing: without the way in for answers there is no way out either.
    ec2.delete_network_acl_entry(NetworkAclId=acl, RuleNumber=100, Egress=False)
    matrix.becomes(ALLOWED - inward - outward)
    ec2.replace_network_acl_association(AssociationId=changed, NetworkAclId=old["NetworkAclId"])
    matrix.becomes(ALLOWED)
    site.stop(*matrix.tasks.values())


class Web:
    """A service of two tasks, one on each machine, and where it is reached."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.elb: Any = site.installation.client("elbv2")
        ec2: Any = site.installation.client("ec2")
        subnets = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1a", "us-east-1b"]}])[
            "Subnets"
        ]
        self.name = "w" + uuid.uuid4().hex[:12]
        ids = [subnet["SubnetId"] for subnet in subnets]
        (balancer,) = self.elb.create_load_balancer(Name=self.name, Subnets=ids)["LoadBalancers"]
        self.balancer = balancer["LoadBalancerArn"]
        (group,) = self.elb.create_target_group(
            Name=self.name, Protocol="HTTP", Port=PORT, VpcId=subnets[0]["VpcId"], TargetType="ip"
        )["TargetGroups"]
        self.group = group["TargetGroupArn"]
        (listener,) = self.elb.create_listener(
            LoadBalancerArn=self.balancer,
            Protocol="HTTP",
            Port=18080,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )["Listeners"]
        self.listener = listener["ListenerArn"]
        site.ecs.create_service(
            cluster=CLUSTER,
            serviceName=self.name,
            taskDefinition=self.revision("first"),
            desiredCount=2,
            networkConfiguration={"awsvpcConfiguration": {"subnets": ids}},
            loadBalancers=[{"targetGroupArn": self.group, "containerName": "main", "containerPort": PORT}],
        )
        site.installation.aws("elbv2", "wait", "load-balancer-available", "--load-balancer-arns", self.balancer)
        site.until_service_on(self.name, "one", "two")

    def revision(self, version: str) -> str:
        task = web_task(self.site.image, f"{version}={PORT}")
        reply = self.site.ecs.register_task_definition(family=self.name, **task)
        arn: str = reply["taskDefinition"]["taskDefinitionArn"]
        return arn

    def deploy(self, version: str) -> None:
        """A rolling deployment, to its end."""
        arn = self.site.ecs.update_service(cluster=CLUSTER, service=self.name, taskDefinition=self.revision(version))[
            "service"
        ]["currentServiceDeployment"]

        def over() -> bool:
            (found,) = self.site.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
            return bool(found["status"] == "SUCCESSFUL")

        wait_for(over, seconds=60, what="the deployment to end")

    def healthy(self) -> int:
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return [target["TargetHealth"]["State"] for target in found].count("healthy")

    @contextmanager
    def loaded(self) -> Iterator[list[SteadyLoad]]:
        """Clients of each machine, all of which have been answered."""
        wait_for(lambda: self.healthy() == 2, seconds=40, what="two healthy targets")
        with ExitStack() as stack:
            loads = [
                stack.enter_context(SteadyLoad(f"{machine.address}:18080", path="/version", keeping=1, connecting=1))
                for machine in self.site.machines.values()
            ]
            go_on(loads)
            yield loads

    def delete(self) -> None:
        self.site.delete_service(self.name)
        self.elb.delete_load_balancer(LoadBalancerArn=self.balancer)


@pytest.fixture(scope="module")
def web(site: Site) -> Iterator[Web]:
    made = Web(site)
    yield made
    made.delete()


def go_on(loads: list[SteadyLoad]) -> None:
    """Wait until each has had some answers more."""
    before = [sum(load.answers.values()) for load in loads]
    wait_for(
        lambda: all(sum(load.answers.values()) >= old + 50 for load, old in zip(loads, before, strict=True)),
        seconds=30,
        what="more answers from each machine",
    )


def test_deploying_and_draining_a_machine_fail_no_request(web: Web) -> None:
    with web.loaded() as loads:
        web.deploy("second")
        web.site.set_state("two", "DRAINING")
        web.site.until_service_on(web.name, "one", "one")
        wait_for(lambda: web.healthy() == 2, seconds=40, what="two healthy targets")
        go_on(loads)
        web.site.set_state("two", "ACTIVE")
        web.deploy("third")
        go_on(loads)
    assert [load.failures for load in loads] == [[], []]
    assert all(set(load.answers) == {"first", "second", "third"} for load in loads)


def test_an_engine_that_is_started_again_fails_no_request(web: Web) -> None:
    machine = web.site.machines["one"]
    with web.loaded() as loads:
        machine.stop_engine()
        assert not machine.engine.answers()
        go_on(loads)
        machine.start_engine()
        machine.wait_for_engine()
        web.deploy("fourth")
        go_on(loads)
    assert [load.failures for load in loads] == [[], []]
    assert all("fourth" in load.answers for load in loads)


def test_a_machine_without_its_cable_is_left_out(web: Web) -> None:
    site, (one, two) = web.site, web.site.machines.values()
    (balancer,) = web.elb.describe_load_balancers(LoadBalancerArns=[web.balancer])["LoadBalancers"]

    def addresses() -> int:
        return len(one.run(sys.executable, "-c", RESOLVE, balancer["DNSName"]).split())

    with web.loaded() as (load, _):
        assert addresses() == 2
        site.fabric.cut(two.port)
        try:
            wait_for(lambda: addresses() == 1, seconds=60, what="a name with the address of the other machine only")
            assert not site.instance("two")["agentConnected"]
            # Each client had one request in flight to it at most; no probe has had the time to fail twice.
            assert len(load.failures) <= load.clients
            assert web.healthy() == 2
            before = list(load.failures)
            go_on([load])
            assert load.failures == before
        finally:
            site.fabric.mend(two.port)
        wait_for(lambda: addresses() == 2, seconds=60, what="a name with both addresses")
