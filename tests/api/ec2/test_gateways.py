"""Internet gateways, NAT gateways and elastic addresses."""

from __future__ import annotations

import pytest
from ec2_kit import DEFAULT, Api, where

from openecs.api.ec2 import nat_gateways

MISSING = "0123456789abcdef0"


@pytest.fixture
def vpc(api: Api) -> str:
    return api.vpc()


def gateway(api: Api, vpc: str) -> str:
    at = api("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    api("AttachInternetGateway", InternetGatewayId=at, VpcId=vpc)
    return at


def test_an_internet_gateway_from_its_making_to_its_end(api: Api, vpc: str) -> None:
    tags = [{"ResourceType": "internet-gateway", "Tags": [{"Key": "Name", "Value": "a"}]}]
    made = api("CreateInternetGateway", TagSpecifications=tags)["InternetGateway"]
    at = made["InternetGatewayId"]
    assert (made["Attachments"], made["Tags"]) == ([], [{"Key": "Name", "Value": "a"}])
    api.refused("DetachInternetGateway", "Gateway.NotAttached", InternetGatewayId=at, VpcId=vpc)
    api("AttachInternetGateway", InternetGatewayId=at, VpcId=vpc)
    (shown,) = api("DescribeInternetGateways", Filters=where(**{"attachment.vpc-id": vpc}))["InternetGateways"]
    assert shown["Attachments"] == [{"State": "available", "VpcId": vpc}]
    api.refused("AttachInternetGateway", "Resource.AlreadyAssociated", InternetGatewayId=at, VpcId=DEFAULT.vpc_id)
    other = api("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    api.refused("AttachInternetGateway", "InvalidParameterValue", "already has an internet gateway attached",
                InternetGatewayId=other, VpcId=vpc)  # fmt: skip
    api.refused("DeleteInternetGateway", "DependencyViolation", InternetGatewayId=at)
    api("DetachInternetGateway", InternetGatewayId=at, VpcId=vpc)
    api("DeleteInternetGateway", InternetGatewayId=at)
    api.refused("DescribeInternetGateways", "InvalidInternetGatewayID.NotFound", InternetGatewayIds=[at])
    api.refused("DeleteInternetGateway", "InvalidInternetGatewayID.NotFound", InternetGatewayId=at)


def test_an_internet_gateway_stays_while_public_addresses_need_it(api: Api, vpc: str) -> None:
    igw, subnet = gateway(api, vpc), api.subnet(vpc)
    eip = api("AllocateAddress")["AllocationId"]
    nat = api("CreateNatGateway", SubnetId=subnet, AllocationId=eip)["NatGateway"]["NatGatewayId"]
    api.refused(
        "DetachInternetGateway", "DependencyViolation", "mapped public address", InternetGatewayId=igw, VpcId=vpc
    )
    api("DeleteNatGateway", NatGatewayId=nat)
    api("DetachInternetGateway", InternetGatewayId=igw, VpcId=vpc)


def test_a_nat_gateway_from_its_making_to_its_end(api: Api, vpc: str, monkeypatch: pytest.MonkeyPatch) -> None:
    subnet = api.subnet(vpc)
    eip = api("AllocateAddress")
    request = {"SubnetId": subnet, "AllocationId": eip["AllocationId"], "ClientToken": "t"}
    api.refused("CreateNatGateway", "Gateway.NotAttached", **request)
    gateway(api, vpc)
    made = api("CreateNatGateway", **request)["NatGateway"]
    assert api("CreateNatGateway", **request)["NatGateway"] == made
    for other in (
        {"SubnetId": api.subnet(vpc, "10.20.8.0/24")},
        {"AllocationId": api("AllocateAddress")["AllocationId"]},
    ):
        api.refused("CreateNatGateway", "IdempotentParameterMismatch", **{**request, **other})
    (address,) = made["NatGatewayAddresses"]
    assert (made["State"], made["VpcId"], made["ConnectivityType"]) == ("available", vpc, "public")
    assert address["PublicIp"] == eip["PublicIp"]
    at = made["NatGatewayId"]
    (interface,) = api("DescribeNetworkInterfaces", Filters=where(interface_type="nat_gateway"))["NetworkInterfaces"]
    assert interface["NetworkInterfaceId"] == address["NetworkInterfaceId"]
    assert interface["Association"]["PublicIp"] == eip["PublicIp"]
    assert (interface["Status"], interface["RequesterManaged"], interface["Groups"]) == ("in-use", True, [])
    api.refused("ReleaseAddress", "InvalidIPAddress.InUse", AllocationId=eip["AllocationId"])
    api.refused("DisassociateAddress", "OperationNotPermitted", AssociationId=address["AssociationId"])
    api.refused("CreateNatGateway", "Resource.AlreadyAssociated", SubnetId=subnet, AllocationId=eip["AllocationId"])
    api.refused("DeleteSubnet", "DependencyViolation", SubnetId=subnet)

    assert api("DeleteNatGateway", NatGatewayId=at) == {"NatGatewayId": at}
    (gone,) = api("DescribeNatGateways", NatGatewayIds=[at])["NatGateways"]
    assert gone["State"] == "deleted"
    assert gone["DeleteTime"]
    assert api("DescribeNatGateways", Filter=where(state=["available", "pending"]))["NatGateways"] == []
    assert api("DescribeNetworkInterfaces", Filters=where(vpc_id=vpc))["NetworkInterfaces"] == []
    api("ReleaseAddress", AllocationId=eip["AllocationId"])
    api("DeleteSubnet", SubnetId=subnet)
    monkeypatch.setattr(nat_gateways, "SHOWN_AFTER_END", -1.0)
    api.refused("DescribeNatGateways", "NatGatewayNotFound", NatGatewayIds=[at])


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"ConnectivityType": "private"}, "UnsupportedOperation"),
        ({"AvailabilityMode": "regional"}, "UnsupportedOperation"),
        ({"SecondaryAllocationIds": ["eipalloc-1"]}, "UnsupportedOperation"),
        ({"AllocationId": None}, "MissingParameter"),
        ({"AllocationId": f"eipalloc-{MISSING}"}, "InvalidAllocationID.NotFound"),
        ({"SubnetId": f"subnet-{MISSING}"}, "InvalidSubnetID.NotFound"),
        ({"SubnetId": None}, "MissingParameter"),
    ],
)
def test_nat_gateways_that_cannot_be(api: Api, vpc: str, members: dict, code: str) -> None:
    gateway(api, vpc)
    request = {"SubnetId": api.subnet(vpc), "AllocationId": api("AllocateAddress")["AllocationId"], **members}
    api.refused("CreateNatGateway", code, **{name: value for name, value in request.items() if value is not None})


def test_an_elastic_address_from_its_making_to_its_end(api: Api) -> None:
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "Name", "Value": "a"}]}]
    made = api("AllocateAddress", Domain="vpc", TagSpecifications=tags)
    assert made["PublicIp"].startswith("10.208.19")
    eni = api("CreateNetworkInterface", SubnetId=DEFAULT.subnets[0].id)["NetworkInterface"]
    at = eni["NetworkInterfaceId"]
    association = api("AssociateAddress", AllocationId=made["AllocationId"], NetworkInterfaceId=at)["AssociationId"]
    assert api("AssociateAddress", AllocationId=made["AllocationId"], NetworkInterfaceId=at) == {
        "AssociationId": association
    }
    (shown,) = api("DescribeAddresses", PublicIps=[made["PublicIp"]])["Addresses"]
    assert shown["PrivateIpAddress"] == eni["PrivateIpAddress"]
    assert (shown["AssociationId"], shown["NetworkInterfaceId"]) == (association, at)
    (interface,) = api("DescribeNetworkInterfaces", NetworkInterfaceIds=[at])["NetworkInterfaces"]
    assert interface["Association"]["AllocationId"] == made["AllocationId"]
    api.refused("ReleaseAddress", "InvalidIPAddress.InUse", AllocationId=made["AllocationId"])
    api("DisassociateAddress", AssociationId=association)
    (interface,) = api("DescribeNetworkInterfaces", NetworkInterfaceIds=[at])["NetworkInterfaces"]
    assert "Association" not in interface
    api("ReleaseAddress", AllocationId=made["AllocationId"])
    api.refused("DescribeAddresses", "InvalidAllocationID.NotFound", AllocationIds=[made["AllocationId"]])
    api.refused("DescribeAddresses", "InvalidAddress.NotFound", PublicIps=[made["PublicIp"]])
    assert api("DescribeTags", Filters=where(resource_type="elastic-ip"))["Tags"] == []


def test_an_elastic_address_moves_when_it_may(api: Api) -> None:
    addresses = [api("AllocateAddress")["AllocationId"] for _ in range(2)]
    subnet = DEFAULT.subnets[0].id
    enis = [api("CreateNetworkInterface", SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(2)]
    for eip, eni in zip(addresses, enis, strict=True):
        api("AssociateAddress", AllocationId=eip, NetworkInterfaceId=eni)
    api.refused("AssociateAddress", "Resource.AlreadyAssociated", AllocationId=addresses[0], NetworkInterfaceId=enis[1])
    api("AssociateAddress", AllocationId=addresses[0], NetworkInterfaceId=enis[1], AllowReassociation=True)
    shown = {a["AllocationId"]: a.get("NetworkInterfaceId") for a in api("DescribeAddresses")["Addresses"]}
    assert shown == {addresses[0]: enis[1], addresses[1]: None}
    found = api("DescribeNetworkInterfaces", Filters=where(**{"association.allocation-id": addresses}))
    assert [i["NetworkInterfaceId"] for i in found["NetworkInterfaces"]] == [enis[1]]


@pytest.mark.parametrize(
    ("operation", "members", "code"),
    [
        ("AllocateAddress", {"Domain": "standard"}, "UnsupportedOperation"),
        ("AllocateAddress", {"Address": "1.2.3.4"}, "UnsupportedOperation"),
        ("AllocateAddress", {"NetworkBorderGroup": "us-east-1"}, "InvalidParameterValue"),
        ("ReleaseAddress", {}, "MissingParameter"),
        ("ReleaseAddress", {"PublicIp": "1.2.3.4"}, "InvalidAddress.NotFound"),
        ("DisassociateAddress", {"AssociationId": "eipassoc-1"}, "InvalidAssociationID.NotFound"),
        ("AssociateAddress", {"InstanceId": "i-12345678"}, "UnsupportedOperation"),
        ("AssociateAddress", {"AllocationId": "eipalloc-1"}, "MissingParameter"),
        ("DescribeAddressesAttribute", {"AllocationIds": [f"eipalloc-{MISSING}"]}, "InvalidAllocationID.NotFound"),
    ],
)
def test_address_calls_that_cannot_be(api: Api, operation: str, members: dict, code: str) -> None:
    api.refused(operation, code, **members)


def test_the_attributes_of_addresses(api: Api) -> None:
    made = api("AllocateAddress")
    assert api("DescribeAddressesAttribute", Attribute="domain-name")["Addresses"] == [
        {"PublicIp": made["PublicIp"], "AllocationId": made["AllocationId"]}
    ]
