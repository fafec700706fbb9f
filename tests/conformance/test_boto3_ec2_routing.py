"""A VPC with a public and a private subnet through boto3: gateways, routes, addresses, interfaces.

The order of the calls is that of Terraform's VPC resources; each waits as the provider does.
"""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation


@pytest.fixture
def ec2(fake: Installation, name: str) -> Any:
    """A client in a region that no other test uses."""
    return fake.client("ec2", name)


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    found: str = caught.value.response["Error"]["Code"]
    return found


def named(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def test_a_vpc_with_a_public_and_a_private_subnet_comes_and_goes(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.31.0.0/16", TagSpecifications=named("vpc", "main"))["Vpc"]["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    public, private = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"] for cidr in ("10.31.0.0/24", "10.31.1.0/24")
    )
    igw = ec2.create_internet_gateway(TagSpecifications=named("internet-gateway", "main"))["InternetGateway"]
    igw_id = igw["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw_id, VpcId=vpc)
    ec2.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=[igw_id])
    eip = ec2.allocate_address(Domain="vpc")
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=eip["AllocationId"])["NatGateway"]["NatGatewayId"]
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat])

    associations = {}
    for subnet, target in ((public, {"GatewayId": igw_id}), (private, {"NatGatewayId": nat})):
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        assert ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)["Return"] is True
        associations[table] = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    pages = ec2.get_paginator("describe_route_tables").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}], PaginationConfig={"PageSize": 5}
    )
    tables = {table["RouteTableId"]: table for page in pages for table in page["RouteTables"]}
    assert len(tables) == 3
    for table, association in associations.items():
        assert [a["RouteTableAssociationId"] for a in tables[table]["Associations"]] == [association]
        assert [route["State"] for route in tables[table]["Routes"]] == ["active", "active"]

    with pytest.raises(ClientError) as caught:
        ec2.delete_vpc(VpcId=vpc)
    assert code(caught) == "DependencyViolation"
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat])
    ec2.release_address(AllocationId=eip["AllocationId"])
    for table, association in associations.items():
        ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_route_table(RouteTableId=table)
    ec2.detach_internet_gateway(InternetGatewayId=igw_id, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=igw_id)
    for subnet in (public, private):
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    with pytest.raises(ClientError) as caught:
        ec2.describe_vpcs(VpcIds=[vpc])
    assert code(caught) == "InvalidVpcID.NotFound"


def test_an_interface_with_an_elastic_address(ec2: Any) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    eni = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[eni])
    eip = ec2.allocate_address()
    association = ec2.associate_address(AllocationId=eip["AllocationId"], NetworkInterfaceId=eni)["AssociationId"]
    (shown,) = ec2.describe_network_interfaces(
        Filters=[{"Name": "association.public-ip", "Values": [eip["PublicIp"]]}]
    )["NetworkInterfaces"]
    assert (shown["NetworkInterfaceId"], shown["Association"]["AssociationId"]) == (eni, association)
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    (address,) = ec2.describe_addresses(AllocationIds=[eip["AllocationId"]])["Addresses"]
    assert "AssociationId" not in address
    ec2.release_address(AllocationId=eip["AllocationId"])


def test_dry_runs_and_refusals_as_ec2_words_them(ec2: Any) -> None:
    with pytest.raises(ClientError) as caught:
        ec2.create_internet_gateway(DryRun=True)
    assert code(caught) == "DryRunOperation"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    before = ec2.describe_internet_gateways()["InternetGateways"]
    with pytest.raises(ClientError) as caught:
        ec2.delete_internet_gateway(InternetGatewayId=before[0]["InternetGatewayId"])
    assert code(caught) == "DependencyViolation"
    with pytest.raises(ClientError) as caught:
        ec2.describe_route_tables(RouteTableIds=["rtb-0123456789abcdef0"])
    assert str(caught.value).endswith("The routeTable ID 'rtb-0123456789abcdef0' does not exist")
    assert ec2.describe_internet_gateways()["InternetGateways"] == before


def test_the_aws_cli_reads_the_same(fake: Installation) -> None:
    shown = fake.aws(
        "ec2", "describe-availability-zones", "--query", "AvailabilityZones[].ZoneName", "--output", "text"
    )
    assert shown.stdout.split() == ["us-east-1a", "us-east-1b", "us-east-1c"]
    found = fake.aws(
        "ec2", "describe-route-tables", "--filters", "Name=route.destination-cidr-block,Values=0.0.0.0/0",
        "--query", "RouteTables[].Routes[].State", "--output", "text",
    )  # fmt: skip
    assert set(found.stdout.split()) == {"active"}
