"""Target groups, targets, their health and their draining."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from elb_kit import REGION, World

from openecs.control.loop import After, Done
from openecs.model.node import ContainerInstance
from openecs.model.target_group import target_key

ADDRESS = "10.208.0.9"


@pytest.fixture
def world() -> World:
    return World()


def test_the_same_target_group_is_made_once(world: World) -> None:
    arn = world.group()
    assert world.group() == arn
    request = {"Name": "blue", "Protocol": "HTTP", "Port": 81, "VpcId": world.vpc, "TargetType": "ip"}
    world.refused("DuplicateTargetGroupName", "different settings", "CreateTargetGroup", **request)
    world("DeleteTargetGroup", TargetGroupArn=arn)
    assert world("DeleteTargetGroup", TargetGroupArn=arn) == {}
    world.refused("TargetGroupNotFound", "target groups not found", "DescribeTargetGroups", Names=["blue"])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Name": "a_b"}, "ValidationError", "alphanumeric"),
        ({"Port": None}, "ValidationError", "port"),
        ({"Protocol": None}, "ValidationError", "protocol"),
        ({"VpcId": None}, "ValidationError", "VPC"),
        ({"VpcId": "vpc-0"}, "ValidationError", "vpc-0"),
        ({"HealthCheckPath": "/a\r\nX-Injected: 1"}, "ValidationError", "not allowed"),
        ({"HealthCheckPath": "/a b"}, "ValidationError", "not allowed"),
        ({"TargetType": "lambda"}, "InvalidConfigurationRequest", "not supported"),
        ({"TargetType": "alb"}, "InvalidConfigurationRequest", "not supported"),
        ({"Protocol": "QUIC"}, "InvalidConfigurationRequest", "not supported"),
        ({"Protocol": "UDP", "HealthCheckProtocol": "UDP"}, "ValidationError", "not supported"),
        ({"Protocol": "GENEVE"}, "InvalidConfigurationRequest", "not supported"),
        ({"IpAddressType": "ipv6"}, "InvalidConfigurationRequest", "not supported"),
        ({"ProtocolVersion": "HTTP3"}, "ValidationError", "HTTP3"),
        ({"Protocol": "TCP", "ProtocolVersion": "HTTP1"}, "ValidationError", "protocol version"),
        ({"Protocol": "TCP", "HealthCheckPath": "/x"}, "ValidationError", "path"),
        ({"HealthCheckProtocol": "TCP"}, "ValidationError", "not supported"),
        ({"Matcher": {"GrpcCode": "0"}}, "ValidationError", "HTTP codes"),
        ({"HealthCheckTimeoutSeconds": 40}, "ValidationError", "smaller than"),
    ],
)
def test_target_groups_that_cannot_be(world: World, change: dict[str, Any], code: str, words: str) -> None:
    request = {"Name": "x", "Protocol": "HTTP", "Port": 80, "VpcId": world.vpc, "TargetType": "ip", **change}
    world.refused(code, words, "CreateTargetGroup", **{k: v for k, v in request.items() if v is not None})


def test_a_health_check_is_changed_in_place(world: World) -> None:
    arn = world.group(HealthCheckPath="/a", Matcher={"HttpCode": "200-299"})
    change = {"HealthCheckIntervalSeconds": 10, "HealthCheckProtocol": "HTTPS"}
    (shown,) = world("ModifyTargetGroup", TargetGroupArn=arn, **change)["TargetGroups"]
    assert (shown["HealthCheckIntervalSeconds"], shown["HealthCheckPath"]) == (10, "/a")
    assert (shown["HealthCheckProtocol"], shown["Matcher"]) == ("HTTPS", {"HttpCode": "200-299"})
    world.refused("ValidationError", "", "ModifyTargetGroup", TargetGroupArn=arn, HealthCheckPath="x")
    stream = world.group("stream", Protocol="TCP")
    (shown,) = world("ModifyTargetGroup", TargetGroupArn=stream, HealthCheckProtocol="HTTP")["TargetGroups"]
    assert (shown["HealthCheckPath"], shown["Matcher"]) == ("/", {"HttpCode": "200-399"})


def test_attributes_of_a_target_group_fit_together(world: World) -> None:
    arn = world.group()

    def attributes(**values: str) -> list[dict[str, str]]:
        return [{"Key": key.replace("__", "."), "Value": value} for key, value in values.items()]

    sticky = attributes(stickiness__enabled="true", stickiness__type="app_cookie")
    world.refused(
        "InvalidConfigurationRequest",
        "cookie_name",
        "ModifyTargetGroupAttributes",
        TargetGroupArn=arn,
        Attributes=sticky,
    )
    named = [*sticky, *attributes(stickiness__app_cookie__cookie_name="session")]
    shown = world("ModifyTargetGroupAttributes", TargetGroupArn=arn, Attributes=named)["Attributes"]
    assert all(attribute in shown for attribute in named)
    assert world("DescribeTargetGroupAttributes", TargetGroupArn=arn)["Attributes"] == shown


@pytest.mark.parametrize(
    ("target", "code", "words"),
    [
        ({"Id": "i-0123456789abcdef0"}, "ValidationError", "IPv4"),
        ({"Id": "::1"}, "ValidationError", "IPv4"),
        ({"Id": "8.8.8.8", "AvailabilityZone": "all"}, "InvalidTarget", "8.8.8.8"),
        ({"Id": "192.168.0.1"}, "ValidationError", "Availability Zone is required for IP address '192.168.0.1'"),
        ({"Id": "192.168.0.1", "AvailabilityZone": "moon"}, "ValidationError", "select 'all'"),
        ({"Id": "192.168.0.1", "AvailabilityZone": "us-east-1a"}, "ValidationError", "is outside the VPC"),
        ({"Id": ADDRESS, "AvailabilityZone": "all"}, "ValidationError", f"to 'all' from '{REGION}a'"),
        ({"Id": ADDRESS, "AvailabilityZone": f"{REGION}b"}, "ValidationError", f"to '{REGION}b' from '{REGION}a'"),
        # The public addresses of the default VPC are in none of its subnets.
        ({"Id": "10.208.192.9"}, "ValidationError", "because it is not in the VPC"),
        ({"Id": ADDRESS, "QuicServerId": "0x0"}, "ValidationError", "QUIC"),
    ],
)
def test_addresses_that_are_no_targets(world: World, target: dict[str, Any], code: str, words: str) -> None:
    group = world.group()
    world.refused(code, words, "RegisterTargets", TargetGroupArn=group, Targets=[target])


@pytest.mark.parametrize(
    ("address", "zone", "shown"),
    [
        (ADDRESS, None, f"{REGION}a"),
        (ADDRESS, f"{REGION}a", f"{REGION}a"),
        ("10.208.192.9", f"{REGION}c", f"{REGION}c"),
        ("192.168.0.1", "all", "all"),
        ("192.168.0.1", f"{REGION}b", f"{REGION}b"),
    ],
)
def test_zones_that_addresses_can_have(world: World, address: str, zone: str | None, shown: str) -> None:
    group = world.group()
    target = {"Id": address} | ({"AvailabilityZone": zone} if zone is not None else {})
    world("RegisterTargets", TargetGroupArn=group, Targets=[target])
    (found,) = world("DescribeTargetHealth", TargetGroupArn=group)["TargetHealthDescriptions"]
    assert found["Target"] == {"Id": address, "Port": 80, "AvailabilityZone": shown}


def test_a_target_from_its_registration_to_its_end(world: World) -> None:
    world.host()
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    target = {"TargetGroupArn": group, "Targets": [{"Id": ADDRESS}]}
    assert world.health(group, Targets=[{"Id": ADDRESS}]) == [("unused", "Target.NotRegistered")]
    world("RegisterTargets", **target)
    registered = world.state.targets.get(target_key(group, ADDRESS, 80))
    world("RegisterTargets", **target)
    assert world.state.targets.get(target_key(group, ADDRESS, 80)) is registered
    assert world.health(group) == [("initial", "Elb.RegistrationInProgress")]
    world.report(balancer)
    world.sees(group, "initial", reason="Elb.InitialHealthChecking", description="Initial health checks in progress")
    assert world.health(group) == [("initial", "Elb.InitialHealthChecking")]
    world.sees(group, "healthy")
    assert world.health(group) == [("healthy", None)]
    world.sees(group, "unhealthy", reason="Target.Timeout", description="Request timed out")
    (shown,) = world("DescribeTargetHealth", TargetGroupArn=group)["TargetHealthDescriptions"]
    assert shown == {
        "Target": {"Id": ADDRESS, "Port": 80, "AvailabilityZone": f"{REGION}a"},
        "HealthCheckPort": "80",
        "TargetHealth": {"State": "unhealthy", "Reason": "Target.Timeout", "Description": "Request timed out"},
    }
    world("DeregisterTargets", **target)
    assert world.health(group) == [("draining", "Target.DeregistrationInProgress")]
    key = target_key(group, ADDRESS, 80)
    assert world.draining.reconcile(key) == After(300.0)
    world.sees(group, "draining", drained=True)
    assert world.draining.reconcile(key) == Done()
    assert world.health(group) == []
    assert len(world.state.target_health) == 0


def test_draining_ends_with_the_delay_or_without_a_load_balancer(world: World) -> None:
    world.host()
    balancer, listener, group = world.serving()
    world.balancers.reconcile(balancer)
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}]
    world("ModifyTargetGroupAttributes", TargetGroupArn=group, Attributes=delay)
    world("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS}, {"Id": ADDRESS, "Port": 81}])
    world("DeregisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS, "Port": 80}])
    key = target_key(group, ADDRESS, 80)
    assert world.draining.reconcile(key) == After(20.0)
    world.clock.advance(20.0)
    world.draining.reconcile(key)
    assert [target.port for target in world.state.targets] == [81]
    # Without a port, the one at the group's port is meant.
    world("DeregisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS}])
    assert world.health(group, Targets=[{"Id": ADDRESS}]) == [("unused", "Target.NotRegistered")]
    assert world.health(group, Targets=[{"Id": ADDRESS, "Port": 81}]) == [("initial", "Elb.RegistrationInProgress")]
    world("DeregisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS, "Port": 81}])
    world("DeleteListener", ListenerArn=listener)
    world.draining.reconcile(target_key(group, ADDRESS, 81))
    assert len(world.state.targets) == 0


def test_a_target_that_comes_back_while_it_drains_begins_anew(world: World) -> None:
    world.host()
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    world.report(balancer)
    target = {"TargetGroupArn": group, "Targets": [{"Id": ADDRESS}]}
    world("RegisterTargets", **target)
    world.sees(group, "healthy")
    world("DeregisterTargets", **target)
    world.sees(group, "draining", drained=True)
    world.clock.advance(1.0)
    world("RegisterTargets", **target)
    assert world.health(group) == [("initial", "Elb.RegistrationInProgress")]
    assert world.draining.reconcile(target_key(group, ADDRESS, 80)) == Done()
    assert len(world.state.targets) == 1


def test_targets_of_a_group_that_nobody_uses(world: World) -> None:
    group = world.group()
    world("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS}])
    assert world.health(group) == [("unused", "Target.NotInUse")]


def test_instances_are_reached_at_their_host(world: World) -> None:
    world.host()
    instance = ContainerInstance(
        arn=f"arn:aws:ecs:{REGION}:123456789012:container-instance/default/{'a' * 32}",
        cluster_arn="c",
        region=REGION,
        node_id="n1",
        status="ACTIVE",
        registered_at=1.0,
        ec2_instance_id="i-0123456789abcdef0",
    )
    world.put(instance)
    balancer = world.balancer()
    group = world.group(TargetType="instance")
    world.listener(balancer, group)
    world.balancers.reconcile(balancer)
    targets = [{"Id": "i-0123456789abcdef0", "Port": 8080}, {"Id": "a" * 32}]
    world("RegisterTargets", TargetGroupArn=group, Targets=targets)
    world.refused(
        "InvalidTarget", "running", "RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "i-0123456789abcdef1"}]
    )
    world.refused("ValidationError", "not valid", "RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "10.0.0.1"}])
    world.board.settle()
    kept = world.board.get(("target-group", group))
    assert kept is not None
    assert kept.body.count(b'"address":"192.0.2.1"') == 2
    # The instance goes, and with it the address.
    with world.state.transaction() as tx:
        tx.delete(instance)
    assert world.health(group) == [("unused", "Target.InvalidState")] * 2
    world.board.settle()
    kept = world.board.get(("target-group", group))
    assert kept is not None
    assert b"192.0.2.1" not in kept.body


def test_a_tasks_target_that_is_registered_again_stays_the_tasks(world: World) -> None:
    _, _, group = world.serving()
    target = [{"Id": ADDRESS, "Port": 80}]
    world("RegisterTargets", TargetGroupArn=group, Targets=target)
    key = target_key(group, ADDRESS, 80)
    registered = world.state.targets.get(key)
    assert registered is not None
    world.put(msgspec.structs.replace(registered, task_arn="arn:task", draining_since=world.clock.now()))
    world("RegisterTargets", TargetGroupArn=group, Targets=target)
    again = world.state.targets.get(key)
    assert again is not None
    assert (again.task_arn, again.draining_since) == ("arn:task", None)
