"""Network interfaces: those of users, of tasks and of services."""

from __future__ import annotations

from typing import Any

import pytest
from ec2_kit import ACCOUNT, DEFAULT, NOW, REGION, Api, where

from openecs.model.network_interface import Interface
from openecs.model.resources import Resources
from openecs.model.task import NetworkInterface, Task

SUBNET = DEFAULT.subnets[1]
TASK_ENI = "eni-00000000000000001"


def task(status: str = "RUNNING", **more: Any) -> Task:
    eni = NetworkInterface(
        attachment_id="9b6a1a4e-0000-4000-8000-000000000000",
        eni_id=TASK_ENI,
        mac_address="0a:58:0a:d0:40:09",
        private_ipv4_address="10.208.64.9",
        private_dns_name="ip-10-208-64-9.eu-west-1.compute.internal",
        subnet_id=SUBNET.id,
        security_groups=(DEFAULT.security_group_id,),
        vpc_id=DEFAULT.vpc_id,
        public_ip="10.208.192.77",
        status="ATTACHED",
    )
    return Task(
        arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default/1",
        region=REGION,
        cluster_arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/default",
        task_definition_arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/a:1",
        launch_type="FARGATE",
        desired_status="RUNNING",
        last_status=status,  # type: ignore[arg-type]
        created_at=NOW,
        group="family:a",
        containers=(),
        reservation=Resources(),
        eni=eni,
        **more,
    )


def create(api: Api, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = api("CreateNetworkInterface", **{"SubnetId": SUBNET.id, **members})["NetworkInterface"]
    return made


def test_an_interface_of_a_user(api: Api) -> None:
    made = create(api, Description="mine", ClientToken="t")
    assert create(api, Description="mine", ClientToken="t") == made
    assert (made["Status"], made["RequesterManaged"], made["Description"]) == ("available", False, "mine")
    assert made["Groups"] == [{"GroupId": DEFAULT.security_group_id, "GroupName": "default"}]
    assert made["PrivateIpAddress"].startswith("10.208.64.")
    assert "Attachment" not in made
    at = made["NetworkInterfaceId"]
    group = api.group()
    api("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=at, Groups=[group])
    api("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=at, Description={"Value": "yours"})
    api("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=at, SourceDestCheck={"Value": False})
    (shown,) = api("DescribeNetworkInterfaces", Filters=where(group_id=group))["NetworkInterfaces"]
    assert (shown["Description"], shown["SourceDestCheck"]) == ("yours", False)
    for attribute, wanted in (
        ("description", {"Description": {"Value": "yours"}}),
        ("sourceDestCheck", {"SourceDestCheck": {"Value": False}}),
        ("groupSet", {"Groups": [{"GroupId": group, "GroupName": "web"}]}),
        ("attachment", {}),
    ):
        got = api("DescribeNetworkInterfaceAttribute", NetworkInterfaceId=at, Attribute=attribute)
        assert got == {"NetworkInterfaceId": at, **wanted}
    api.refused("DeleteSecurityGroup", "DependencyViolation", GroupId=group)
    api("DeleteNetworkInterface", NetworkInterfaceId=at)
    api.refused("DescribeNetworkInterfaces", "InvalidNetworkInterfaceID.NotFound", NetworkInterfaceIds=[at])


def test_an_interface_of_a_task_lives_as_long_as_the_task(api: Api) -> None:
    api.put(task())
    (shown,) = api("DescribeNetworkInterfaces", Filters=where(subnet_id=SUBNET.id))["NetworkInterfaces"]
    assert shown["NetworkInterfaceId"] == TASK_ENI
    assert shown["Description"] == f"arn:aws:ecs:{REGION}:{ACCOUNT}:attachment/9b6a1a4e-0000-4000-8000-000000000000"
    assert shown["PrivateDnsName"] == "ip-10-208-64-9.eu-west-1.compute.internal"
    assert shown["Association"]["PublicIp"] == "10.208.192.77"
    assert shown["Association"]["IpOwnerId"] == "amazon"
    assert (shown["Status"], shown["RequesterManaged"]) == ("in-use", True)
    assert shown["Attachment"]["Status"] == "attached"
    api.refused("DeleteNetworkInterface", "InvalidParameterValue", "in use", NetworkInterfaceId=TASK_ENI)
    api.refused("DetachNetworkInterface", "OperationNotPermitted", AttachmentId=shown["Attachment"]["AttachmentId"])
    api.refused("ModifyNetworkInterfaceAttribute", "OperationNotPermitted", NetworkInterfaceId=TASK_ENI,
                Description={"Value": "x"})  # fmt: skip
    eip = api("AllocateAddress")["AllocationId"]
    api.refused("AssociateAddress", "OperationNotPermitted", AllocationId=eip, NetworkInterfaceId=TASK_ENI)
    api.put(task("STOPPED"))
    assert api("DescribeNetworkInterfaces")["NetworkInterfaces"] == []


def test_all_interfaces_of_a_region_are_listed_and_only_those(api: Api) -> None:
    api.put(
        task(),
        Interface(
            id="eni-00000000000000002", region=REGION, owner=ACCOUNT, vpc_id=DEFAULT.vpc_id, subnet_id=SUBNET.id,
            availability_zone=SUBNET.availability_zone, private_ip="10.208.64.10", mac_address="0a:58:0a:d0:40:0a",
            description="ELB app/a/1", requester_id="amazon-elb", owner_arn="arn:lb", status="in-use",
        ),
    )  # fmt: skip
    mine = create(api)["NetworkInterfaceId"]

    def found(region: str = REGION, **filters: str) -> list[str]:
        answer = api("DescribeNetworkInterfaces", region=region, Filters=where(**filters))
        return [each["NetworkInterfaceId"] for each in answer["NetworkInterfaces"]]

    everything = sorted([TASK_ENI, "eni-00000000000000002", mine])
    assert found() == everything
    assert found(region="us-east-1") == []
    assert found(description="ELB app/*") == ["eni-00000000000000002"]
    assert found(status="available") == [mine]
    assert found(requester_managed="true") == sorted([TASK_ENI, "eni-00000000000000002"])
    assert found(**{"addresses.private-ip-address": "10.208.64.9"}) == [TASK_ENI]
    api.refused("DescribeNetworkInterfaces", "InvalidParameterValue", "nonsense", Filters=where(nonsense="a"))


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound", ""),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound", ""),
        ({"PrivateIpAddress": "10.9.9.9"}, "InvalidParameterValue", "subnet's address range"),
        ({"PrivateIpAddress": "10.208.64.2"}, "InvalidParameterValue", "reserved"),
        ({"PrivateIpAddress": "10.208.64"}, "InvalidParameterValue", "valid IP address"),
        ({"PrivateIpAddresses": [{"PrivateIpAddress": "10.208.64.9"}, {"PrivateIpAddress": "10.208.64.10"}]},
         "UnsupportedOperation", "second address"),
        ({"Ipv6AddressCount": 1}, "UnsupportedOperation", "Ipv6AddressCount"),
        ({"InterfaceType": "efa"}, "UnsupportedOperation", "efa"),
    ],
)  # fmt: skip
def test_interfaces_that_cannot_be(api: Api, members: dict, code: str, words: str) -> None:
    api.refused("CreateNetworkInterface", code, words, **{"SubnetId": SUBNET.id, **members})


def test_a_group_of_another_vpc(api: Api) -> None:
    group = api.group(VpcId=api.vpc())
    api.refused("CreateNetworkInterface", "InvalidParameter", "different networks", SubnetId=SUBNET.id, Groups=[group])


def test_an_address_is_given_once(api: Api) -> None:
    create(api, PrivateIpAddress="10.208.64.50")
    api.refused("CreateNetworkInterface", "InvalidIPAddress.InUse", SubnetId=SUBNET.id, PrivateIpAddress="10.208.64.50")


def test_a_full_subnet(api: Api) -> None:
    subnet = api.subnet(api.vpc(), "10.20.1.0/28")
    for _ in range(11):
        create(api, SubnetId=subnet)
    api.refused("CreateNetworkInterface", "InsufficientFreeAddressesInSubnet", SubnetId=subnet)
