"""Route tables: main and own ones, their routes, what they lead to."""

from __future__ import annotations

import pytest
from ec2_kit import DEFAULT, Api, where

MISSING = "0123456789abcdef0"


@pytest.fixture
def vpc(api: Api) -> str:
    return api.vpc()


def table(api: Api, table_id: str) -> dict:
    (found,) = api("DescribeRouteTables", RouteTableIds=[table_id])["RouteTables"]
    return found


def make(api: Api, vpc: str) -> str:
    return api("CreateRouteTable", VpcId=vpc)["RouteTable"]["RouteTableId"]


def gateway(api: Api, vpc: str) -> str:
    at = api("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"]
    api("AttachInternetGateway", InternetGatewayId=at, VpcId=vpc)
    return at


def main_table(api: Api, vpc: str) -> dict:
    (found,) = api("DescribeRouteTables", Filters=where(vpc_id=vpc, **{"association.main": "true"}))["RouteTables"]
    return found


def test_a_new_table_leads_within_its_vpc(api: Api, vpc: str) -> None:
    tags = [{"ResourceType": "route-table", "Tags": [{"Key": "Name", "Value": "a"}]}]
    made = api("CreateRouteTable", VpcId=vpc, TagSpecifications=tags, ClientToken="t")["RouteTable"]
    assert made["Routes"] == [
        {
            "DestinationCidrBlock": "10.20.0.0/16",
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        }
    ]
    assert (made["Associations"], made["Tags"]) == ([], [{"Key": "Name", "Value": "a"}])
    assert api("CreateRouteTable", VpcId=vpc, ClientToken="t")["RouteTable"] == made
    api.refused("CreateRouteTable", "IdempotentParameterMismatch", VpcId=DEFAULT.vpc_id, ClientToken="t")
    assert table(api, made["RouteTableId"]) == made


def test_the_default_vpc_leads_to_the_internet(api: Api) -> None:
    routes = main_table(api, DEFAULT.vpc_id)["Routes"]
    assert [(r["DestinationCidrBlock"], r["GatewayId"], r["State"]) for r in routes] == [
        (DEFAULT.cidr, "local", "active"),
        ("0.0.0.0/0", DEFAULT.internet_gateway_id, "active"),
    ]


def test_routes_come_change_and_go(api: Api, vpc: str) -> None:
    at, igw = make(api, vpc), gateway(api, vpc)
    for _ in range(2):
        assert api("CreateRoute", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw) == {"Return": True}
    assert api.ids_of("DescribeRouteTables", "RouteTables", "RouteTableId",
                      Filters=where(**{"route.gateway-id": igw})) == [at]  # fmt: skip
    subnet = api.subnet(vpc)
    eip = api("AllocateAddress")["AllocationId"]
    nat = api("CreateNatGateway", SubnetId=subnet, AllocationId=eip)["NatGateway"]["NatGatewayId"]
    api.refused(
        "CreateRoute", "RouteAlreadyExists", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat
    )
    api("ReplaceRoute", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    assert table(api, at)["Routes"][1] == {
        "DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat, "Origin": "CreateRoute", "State": "active",
    }  # fmt: skip
    api("DeleteNatGateway", NatGatewayId=nat)
    assert table(api, at)["Routes"][1]["State"] == "blackhole"
    api("DeleteRoute", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0")
    assert len(table(api, at)["Routes"]) == 1


def test_a_route_to_a_detached_gateway_is_a_black_hole(api: Api, vpc: str) -> None:
    at, igw = make(api, vpc), gateway(api, vpc)
    api("CreateRoute", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
    api("DetachInternetGateway", InternetGatewayId=igw, VpcId=vpc)
    assert table(api, at)["Routes"][1]["State"] == "blackhole"


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({}, "MissingParameter", "destinationCidrBlock"),
        ({"DestinationCidrBlock": "0.0.0.0/0"}, "MissingParameter", "gatewayId"),
        ({"DestinationCidrBlock": "0.0.0.0", "GatewayId": "igw"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"DestinationCidrBlock": "300.0.0.0/8", "GatewayId": "igw"}, "InvalidParameterValue", "not a valid CIDR"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "DestinationIpv6CidrBlock": "::/0", "GatewayId": "igw"},
         "InvalidParameterCombination", "one destination"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw", "NatGatewayId": f"nat-{MISSING}"},
         "InvalidParameterCombination", "one target"),
        ({"DestinationCidrBlock": "10.20.1.0/24", "GatewayId": "igw"}, "InvalidParameterValue", "more specific"),
        ({"DestinationCidrBlock": "8.8.8.0/24", "GatewayId": "igw"}, "UnsupportedOperation", "8.8.8.0/24"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": f"igw-{MISSING}"}, "InvalidInternetGatewayID.NotFound",
         "does not exist"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": DEFAULT.internet_gateway_id}, "InvalidParameterValue",
         "different networks"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": f"nat-{MISSING}"}, "InvalidNatGatewayID.NotFound",
         "does not exist"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "NetworkInterfaceId": f"eni-{MISSING}"}, "UnsupportedOperation",
         "NetworkInterfaceId"),
        ({"DestinationCidrBlock": "0.0.0.0/0", "TransitGatewayId": f"tgw-{MISSING}"}, "UnsupportedOperation",
         "TransitGatewayId"),
        ({"DestinationPrefixListId": "pl-1", "GatewayId": "igw"}, "UnsupportedOperation", "DestinationPrefixListId"),
    ],
)  # fmt: skip
def test_routes_that_cannot_be(api: Api, vpc: str, members: dict, code: str, words: str) -> None:
    at, igw = make(api, vpc), gateway(api, vpc)
    members = {name: igw if value == "igw" else value for name, value in members.items()}
    api.refused("CreateRoute", code, words, RouteTableId=at, **members)


def test_routes_that_are_not_there(api: Api, vpc: str) -> None:
    at, igw = make(api, vpc), gateway(api, vpc)
    api.refused("DeleteRoute", "InvalidRoute.NotFound", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0")
    api.refused("ReplaceRoute", "InvalidParameterValue", RouteTableId=at, DestinationCidrBlock="0.0.0.0/0",
                GatewayId=igw)  # fmt: skip
    api.refused("DeleteRoute", "InvalidParameterValue", "local", RouteTableId=at, DestinationCidrBlock="10.20.0.0/16")


def test_a_subnet_uses_one_table(api: Api, vpc: str) -> None:
    first, second, subnet = make(api, vpc), make(api, vpc), api.subnet(vpc)
    made = api("AssociateRouteTable", RouteTableId=first, SubnetId=subnet)
    assert made["AssociationState"] == {"State": "associated"}
    assert api("AssociateRouteTable", RouteTableId=first, SubnetId=subnet) == made
    api.refused("AssociateRouteTable", "Resource.AlreadyAssociated", RouteTableId=second, SubnetId=subnet)
    assert api.ids_of("DescribeRouteTables", "RouteTables", "RouteTableId",
                      Filters=where(**{"association.subnet-id": subnet})) == [first]  # fmt: skip
    api.refused("DeleteRouteTable", "DependencyViolation", RouteTableId=first)
    fresh = api("ReplaceRouteTableAssociation", AssociationId=made["AssociationId"], RouteTableId=second)
    assert fresh["NewAssociationId"] != made["AssociationId"]
    assert [a["SubnetId"] for a in table(api, second)["Associations"]] == [subnet]
    assert table(api, first)["Associations"] == []
    api("DisassociateRouteTable", AssociationId=fresh["NewAssociationId"])
    api.refused("DisassociateRouteTable", "InvalidAssociationID.NotFound", AssociationId=fresh["NewAssociationId"])
    for at in (first, second):
        api("DeleteRouteTable", RouteTableId=at)
    api.refused("DescribeRouteTables", "InvalidRouteTableID.NotFound", RouteTableIds=[first])


def test_the_main_table_can_be_another(api: Api, vpc: str) -> None:
    old, at = main_table(api, vpc), make(api, vpc)
    (association,) = old["Associations"]
    api.refused("DisassociateRouteTable", "InvalidParameterValue", "main",
                AssociationId=association["RouteTableAssociationId"])  # fmt: skip
    api("ReplaceRouteTableAssociation", AssociationId=association["RouteTableAssociationId"], RouteTableId=at)
    assert main_table(api, vpc)["RouteTableId"] == at
    api("DeleteRouteTable", RouteTableId=old["RouteTableId"])


def test_tables_and_subnets_of_different_vpcs(api: Api, vpc: str) -> None:
    api.refused("AssociateRouteTable", "InvalidParameterValue", "different networks", RouteTableId=make(api, vpc),
                SubnetId=DEFAULT.subnets[0].id)  # fmt: skip


def test_gateway_endpoints_show_their_routes(api: Api, vpc: str) -> None:
    at = make(api, vpc)
    name = "com.amazonaws.eu-west-1.s3"
    made = api("CreateVpcEndpoint", VpcId=vpc, ServiceName=name, RouteTableIds=[at])["VpcEndpoint"]
    (listed,) = api("DescribePrefixLists", Filters=where(prefix_list_name=name))["PrefixLists"]
    assert table(api, at)["Routes"][1] == {
        "DestinationPrefixListId": listed["PrefixListId"], "GatewayId": made["VpcEndpointId"],
        "Origin": "CreateRoute", "State": "active",
    }  # fmt: skip
    api.refused("CreateVpcEndpoint", "RouteAlreadyExists", VpcId=vpc, ServiceName=name, RouteTableIds=[at])
    api("DeleteVpcEndpoints", VpcEndpointIds=[made["VpcEndpointId"]])
    assert len(table(api, at)["Routes"]) == 1


def test_pages(api: Api, vpc: str) -> None:
    wanted = sorted([make(api, vpc) for _ in range(6)])
    got, token = [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = api("DescribeRouteTables", MaxResults=5, Filters=where(**{"vpc-id": vpc}), **more)
        got += [each["RouteTableId"] for each in page["RouteTables"]]
        token = page.get("NextToken")
        if token is None:
            break
    main = main_table(api, vpc)["RouteTableId"]
    assert got == sorted([*wanted, main])
