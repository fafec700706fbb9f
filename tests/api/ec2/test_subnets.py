"""Subnets: where they may be, what they show, what keeps them."""

from __future__ import annotations

import msgspec
import pytest
from ec2_kit import DEFAULT, NOW, REGION, Api, where

from openecs.control.interfaces import make_interface


def test_a_subnet_joins_the_default_acl_of_its_vpc(api: Api) -> None:
    vpc = api.vpc()
    subnet = api.subnet(vpc, AvailabilityZone=f"{REGION}b")
    (shown,) = api("DescribeSubnets", SubnetIds=[subnet])["Subnets"]
    assert shown["AvailabilityZone"] == f"{REGION}b"
    assert shown["AvailabilityZoneId"] == "euw1-az2"
    assert shown["AvailableIpAddressCount"] == 251
    assert not shown["MapPublicIpOnLaunch"]
    assert not shown["DefaultForAz"]
    (acl,) = api("DescribeNetworkAcls", Filters=where(**{"association.subnet-id": subnet}))["NetworkAcls"]
    assert (acl["VpcId"], acl["IsDefault"]) == (vpc, True)
    api("DeleteSubnet", SubnetId=subnet)
    (acl,) = api("DescribeNetworkAcls", Filters=where(vpc_id=vpc))["NetworkAcls"]
    assert acl["Associations"] == []


def test_subnets_without_a_zone_are_spread(api: Api) -> None:
    vpc = api.vpc()
    for number in range(6):
        api.subnet(vpc, f"10.20.{number}.0/24")
    zones = api.ids_of("DescribeSubnets", "Subnets", "AvailabilityZone", Filters=where(vpc_id=vpc))
    assert sorted(zones) == sorted(f"{REGION}{letter}" for letter in "aabbcc")


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"CidrBlock": "10.99.0.0/24"}, "InvalidSubnet.Range", "The CIDR '10.99.0.0/24' is invalid."),
        ({"CidrBlock": "10.20.0.0/29"}, "InvalidSubnet.Range", "is invalid"),
        ({"CidrBlock": "10.20.1.128/25"}, "InvalidSubnet.Conflict", "conflicts with another subnet"),
        ({"CidrBlock": "10.20.2.0/24", "AvailabilityZone": "us-east-1a"}, "InvalidParameterValue", f"{REGION}a, "),
        ({"CidrBlock": "10.20.2.0/24", "Ipv6CidrBlock": "2001:db8::/64"}, "UnsupportedOperation", "IPv6"),
        ({}, "MissingParameter", "cidrBlock"),
    ],
)
def test_what_cannot_be_a_subnet_is_refused(api: Api, members: dict[str, object], code: str, text: str) -> None:
    vpc = api.vpc()
    api.subnet(vpc)
    api.refused("CreateSubnet", code, text, VpcId=vpc, **members)


def test_the_public_addresses_of_the_installation_belong_to_no_subnet(api: Api) -> None:
    api.refused("CreateSubnet", "InvalidSubnet.Conflict", "public", VpcId=DEFAULT.vpc_id, CidrBlock="10.208.200.0/24")


def test_the_free_addresses_are_counted(api: Api) -> None:
    subnet = api.state.subnets.get(api.subnet(api.vpc(), "10.20.1.0/28"))
    assert subnet is not None

    def free() -> int:
        (shown,) = api("DescribeSubnets", SubnetIds=[subnet.id])["Subnets"]
        count: int = shown["AvailableIpAddressCount"]
        return count

    made = []
    for left in range(11, 0, -1):
        assert free() == left
        interface = make_interface(api.state, subnet, ids=api.ids, now=NOW)
        assert interface is not None
        api.put(interface)
        made.append(interface)
    assert free() == 0
    assert make_interface(api.state, subnet, ids=api.ids, now=NOW) is None
    assert {i.private_ip for i in made} == {f"10.20.1.{n}" for n in range(4, 15)}
    text = api.refused("DeleteSubnet", "DependencyViolation", SubnetId=subnet.id)
    assert text == f"The subnet '{subnet.id}' has dependencies and cannot be deleted."
    with api.state.transaction() as tx:
        for interface in made:
            tx.delete(interface)
    assert free() == 11
    api("DeleteSubnet", SubnetId=subnet.id)


def test_an_interface_gets_the_default_group_and_its_own_address(api: Api) -> None:
    subnet = api.state.subnets.get(DEFAULT.subnets[0].id)
    assert subnet is not None
    made = make_interface(api.state, subnet, ids=api.ids, owner_arn="arn:lb", requester="amazon-elb", now=NOW)
    assert made is not None
    assert made.security_groups == (DEFAULT.security_group_id,)
    assert (made.private_ip, made.mac_address) == ("10.208.0.4", "0a:58:0a:d0:00:04")
    assert (made.status, made.vpc_id, made.requester_id) == ("in-use", DEFAULT.vpc_id, "amazon-elb")
    api.put(msgspec.structs.replace(made, public_ip="10.208.192.9"))
    assert make_interface(api.state, subnet, ids=api.ids, address=made.private_ip) is None
    assert "10.208.192.9" in api.state.addresses


def test_regions_share_the_addresses_of_their_default_subnets(api: Api) -> None:
    api.networks.ensure("us-east-1")
    seen = []
    for region in (REGION, "us-east-1"):
        subnet = api.networks.subnet(region, api.networks.plan(region).subnets[0].id)
        assert subnet is not None
        interface = make_interface(api.state, subnet, ids=api.ids)
        assert interface is not None
        api.put(interface)
        seen.append(interface.private_ip)
    assert len(set(seen)) == 2
    (shown,) = api("DescribeSubnets", SubnetIds=[DEFAULT.subnets[0].id])["Subnets"]
    assert shown["AvailableIpAddressCount"] == 16377


def test_attributes_of_a_subnet(api: Api) -> None:
    subnet = api.subnet(api.vpc())
    api("ModifySubnetAttribute", SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    api("ModifySubnetAttribute", SubnetId=subnet, PrivateDnsHostnameTypeOnLaunch="resource-name")
    api("ModifySubnetAttribute", SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
    (shown,) = api("DescribeSubnets", Filters=where(map_public_ip_on_launch="true", subnet_id=subnet))["Subnets"]
    assert shown["PrivateDnsNameOptionsOnLaunch"]["HostnameType"] == "resource-name"
    refused = {"AssignIpv6AddressOnCreation": {"Value": True}}
    api.refused("ModifySubnetAttribute", "UnsupportedOperation", "IPv6", SubnetId=subnet, **refused)
    api.refused("ModifySubnetAttribute", "InvalidParameterCombination", SubnetId=subnet)


def test_a_default_subnet_comes_back_when_it_is_asked_for(api: Api) -> None:
    first = DEFAULT.subnets[1]
    zone = {"AvailabilityZone": first.availability_zone}
    api.refused("CreateDefaultSubnet", "DefaultSubnetAlreadyExistsInAvailabilityZone", **zone)
    api("DeleteSubnet", SubnetId=first.id)
    made = api("CreateDefaultSubnet", **zone)["Subnet"]
    assert (made["CidrBlock"], made["DefaultForAz"], made["MapPublicIpOnLaunch"]) == (first.cidr, True, True)
    api.refused("DeleteSubnet", "InvalidSubnetID.NotFound", "The subnet ID", SubnetId=first.id)
