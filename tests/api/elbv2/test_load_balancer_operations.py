"""Load balancers, their attributes and tags."""

from __future__ import annotations

from typing import Any

import pytest
from elb_kit import ACCOUNT, REGION, World

from openecs.model.load_balancer import BalancerHost


@pytest.fixture
def world() -> World:
    return World()


def test_a_load_balancer_has_an_interface_in_every_subnet(world: World) -> None:
    arn = world.balancer(Tags=[{"Key": "team", "Value": "blue"}])
    assert arn.startswith(f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/web/")
    (shown,) = world("DescribeLoadBalancers", Names=["web"])["LoadBalancers"]
    assert shown["DNSName"].endswith(f".{REGION}.elb.openecs.internal")
    assert (shown["Type"], shown["Scheme"], shown["State"]) == (
        "application",
        "internet-facing",
        {"Code": "provisioning"},
    )
    assert len(shown["SecurityGroups"]) == 1
    interfaces = world.state.interfaces.by("owner", arn)
    assert {i.subnet_id for i in interfaces} == set(world.subnets[:2])
    assert {i.security_groups for i in interfaces} == {tuple(shown["SecurityGroups"])}
    assert all(i.private_ip in world.state.addresses and i.requester_id == "amazon-elb" for i in interfaces)
    world("DeleteLoadBalancer", LoadBalancerArn=arn)
    assert len(world.state.interfaces) == len(world.state.tags) == len(world.state.load_balancers) == 0
    assert world("DeleteLoadBalancer", LoadBalancerArn=arn) == {}
    world.refused("LoadBalancerNotFound", "One or more", "DescribeLoadBalancers", LoadBalancerArns=[arn])
    world.refused("LoadBalancerNotFound", "'[web]'", "DescribeLoadBalancers", Names=["web"])


def test_the_same_load_balancer_is_made_once(world: World) -> None:
    arn = world.balancer()
    assert world.balancer() == arn
    assert len(world.state.interfaces) == 2
    same = {"Name": "web", "Subnets": world.subnets[:2]}
    for other in ({"Scheme": "internal"}, {"Subnets": world.subnets}, {"Tags": [{"Key": "a", "Value": "b"}]}):
        world.refused("DuplicateLoadBalancerName", "different settings", "CreateLoadBalancer", **{**same, **other})
    # The name is free in another region, which has its own default network.
    assert world("DescribeLoadBalancers", region="eu-west-2") == {"LoadBalancers": []}


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Name": ""}, "ValidationError", "empty"),
        ({"Name": "x" * 33}, "ValidationError", "longer than '32'"),
        ({"Name": "a_b"}, "ValidationError", "alphanumeric"),
        ({"Name": "-a"}, "ValidationError", "begin or end"),
        ({"Name": "internal-a"}, "ValidationError", "internal-"),
        ({"Subnets": []}, "ValidationError", "At least one subnet"),
        ({"Subnets": ["subnet-0"]}, "SubnetNotFound", "subnet-0"),
        ({"Subnets": 1}, "ValidationError", "two different Availability Zones"),
        ({"Type": "gateway"}, "InvalidConfigurationRequest", "not supported by OpenECS"),
        ({"IpAddressType": "dualstack"}, "InvalidConfigurationRequest", "not supported by OpenECS"),
        ({"SecurityGroups": ["sg-0"]}, "InvalidSecurityGroup", "sg-0"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "ValidationError", "aws:"),
        ({"Tags": [{"Key": "x"}, {"Key": "x"}]}, "DuplicateTagKeys", "'x'"),
    ],
)
def test_what_cannot_be_is_refused_and_not_created(world: World, change: dict[str, Any], code: str, words: str) -> None:
    request: dict[str, Any] = {"Name": "web", "Subnets": world.subnets[:2], **change}
    if request["Subnets"] == 1:
        request["Subnets"] = world.subnets[:1]
    world.refused(code, words, "CreateLoadBalancer", **request)
    assert len(world.state.interfaces) == 0


def test_a_network_load_balancer_has_the_addresses_that_it_is_given(world: World) -> None:
    subnet = world.state.subnets.get(world.subnets[0])
    assert subnet is not None
    address = subnet.cidr.rpartition(".")[0] + ".99"
    mapping = {"SubnetId": subnet.id, "PrivateIPv4Address": address}
    arn = world.balancer("net", Subnets=None, SubnetMappings=[mapping], Type="network", Scheme="internal")
    (shown,) = world("DescribeLoadBalancers", LoadBalancerArns=[arn])["LoadBalancers"]
    assert shown["AvailabilityZones"][0]["LoadBalancerAddresses"] == [{"PrivateIPv4Address": address}]
    assert "SecurityGroups" not in shown
    again = {"Name": "b", "SubnetMappings": [mapping], "Type": "network", "Scheme": "internal"}
    world.refused("InvalidConfigurationRequest", "not available", "CreateLoadBalancer", **again)
    for wrong, code in (("x", "ValidationError"), ("10.0.0.9", "InvalidConfigurationRequest")):
        elsewhere = {**again, "SubnetMappings": [{"SubnetId": subnet.id, "PrivateIPv4Address": wrong}]}
        world.refused(code, f"'{wrong}'", "CreateLoadBalancer", **elsewhere)
    group = world.state.security_groups.by("region", REGION)[0].id
    world.refused(
        "InvalidConfigurationRequest", "without", "SetSecurityGroups", LoadBalancerArn=arn, SecurityGroups=[group]
    )
    inbound = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
    assert inbound not in shown
    filtered = world.balancer("filtered", Type="network", SecurityGroups=[group])
    assert world("DescribeLoadBalancers", LoadBalancerArns=[filtered])["LoadBalancers"][0][inbound] == "on"
    change = {"LoadBalancerArn": filtered, "SecurityGroups": [group]}
    assert world("SetSecurityGroups", **change) == {"SecurityGroupIds": [group], inbound: "on"}
    world.refused("InvalidConfigurationRequest", "Private links", "SetSecurityGroups", **change, **{inbound: "off"})


def test_subnets_can_be_changed_and_those_that_stay_keep_their_address(world: World) -> None:
    arn = world.balancer()
    before = {i.subnet_id: i.private_ip for i in world.state.interfaces.by("owner", arn)}
    kept, added = world.subnets[1], world.subnets[2]
    reply = world("SetSubnets", LoadBalancerArn=arn, Subnets=[kept, added])
    assert [zone["SubnetId"] for zone in reply["AvailabilityZones"]] == [kept, added]
    after = {i.subnet_id: i.private_ip for i in world.state.interfaces.by("owner", arn)}
    assert set(after) == {kept, added}
    assert after[kept] == before[kept]
    assert before[world.subnets[0]] not in world.state.addresses


def test_what_is_protected_is_not_deleted(world: World) -> None:
    arn = world.balancer()
    on = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    reply = world("ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=on)
    assert on[0] in reply["Attributes"]
    world.refused("OperationNotPermitted", "deletion protection", "DeleteLoadBalancer", LoadBalancerArn=arn)
    shown = world("DescribeLoadBalancerAttributes", LoadBalancerArn=arn)["Attributes"]
    assert shown == reply["Attributes"]


@pytest.mark.parametrize(
    ("attributes", "code", "words"),
    [
        ({"no.such": "1"}, "ValidationError", "no.such"),
        ({"idle_timeout.timeout_seconds": "0"}, "ValidationError", "between 1 and 4000"),
        ({"zonal_shift.config.enabled": "true"}, "InvalidConfigurationRequest", "not supported by OpenECS"),
        ({"access_logs.s3.enabled": "true"}, "InvalidConfigurationRequest", "access_logs.s3.bucket"),
    ],
)
def test_attributes_that_cannot_be_are_refused(world: World, attributes: dict[str, str], code: str, words: str) -> None:
    arn = world.balancer()
    given = [{"Key": key, "Value": value} for key, value in attributes.items()]
    world.refused(code, words, "ModifyLoadBalancerAttributes", LoadBalancerArn=arn, Attributes=given)


def test_tags_of_every_kind_of_resource(world: World) -> None:
    balancer, listener, group = world.serving()
    arns = [balancer, listener, group, world.rule(listener)]
    world("AddTags", ResourceArns=arns, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    world("AddTags", ResourceArns=arns, Tags=[{"Key": "a", "Value": "2"}])
    world("RemoveTags", ResourceArns=arns[:1], TagKeys=["b", "unknown"])
    found = world("DescribeTags", ResourceArns=arns)["TagDescriptions"]
    assert [each["ResourceArn"] for each in found] == arns
    assert found[0]["Tags"] == [{"Key": "a", "Value": "2"}]
    assert all(each["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}] for each in found[1:])
    world.refused("LoadBalancerNotFound", "", "DescribeTags", ResourceArns=[balancer[:-1] + "x"])
    world.refused("ValidationError", "ARN", "DescribeTags", ResourceArns=["x"])
    many = [{"Key": f"k{number}"} for number in range(50)]
    world.refused("TooManyTags", "50", "AddTags", ResourceArns=[balancer], Tags=many)


def test_a_tag_tells_where_a_listener_is_reached(world: World) -> None:
    world.host()
    balancer, listener, _ = world.serving()
    world.balancers.reconcile(balancer)
    (node,) = {interface.node_id for interface in world.state.interfaces.by("owner", balancer)}
    world.put(BalancerHost(load_balancer_arn=balancer, node_id=node, endpoints={listener: "127.0.0.1:8080"}))
    # A host without an interface of it has nothing to say about it.
    world.put(BalancerHost(load_balancer_arn=balancer, node_id="other", endpoints={listener: "127.0.0.1:1"}))
    found = world("DescribeTags", ResourceArns=[balancer, listener])["TagDescriptions"]
    assert [each["Tags"] for each in found] == [[{"Key": "aws:openecs:endpoint", "Value": "127.0.0.1:8080"}]] * 2


def test_lists_come_in_pages(world: World) -> None:
    made = {world.group(f"g{number}") for number in range(5)}
    seen: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = world("DescribeTargetGroups", PageSize=2, **marker)
        seen += [group["TargetGroupArn"] for group in page["TargetGroups"]]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert sorted(seen) == sorted(made)
    world.refused("ValidationError", "marker", "DescribeTargetGroups", Marker="x")
    world.refused("ValidationError", "marker", "DescribeLoadBalancers", **marker)


def test_what_an_account_may_have(world: World) -> None:
    limits = {each["Name"]: each["Max"] for each in world("DescribeAccountLimits")["Limits"]}
    assert limits["targets-per-target-group"] == "1000"
    arn = world.balancer()
    assert world("DescribeCapacityReservation", LoadBalancerArn=arn)["CapacityReservationState"] == []
    assert world("SetIpAddressType", LoadBalancerArn=arn, IpAddressType="ipv4") == {"IpAddressType": "ipv4"}
