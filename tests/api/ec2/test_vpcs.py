"""VPCs: the default one, their companions, their blocks, what keeps them."""

from __future__ import annotations

import pytest
from ec2_kit import DEFAULT, REGION, Api, where


def test_every_region_starts_with_a_whole_default_network(api: Api) -> None:
    for region in (REGION, "us-east-1"):
        (vpc,) = api("DescribeVpcs", region=region)["Vpcs"]
        assert (vpc["IsDefault"], vpc["CidrBlock"], vpc["State"]) == (True, "10.208.0.0/16", "available")
        subnets = api("DescribeSubnets", region=region)["Subnets"]
        assert {(s["AvailabilityZone"], s["CidrBlock"]) for s in subnets} == {
            (f"{region}a", "10.208.0.0/18"),
            (f"{region}b", "10.208.64.0/18"),
            (f"{region}c", "10.208.128.0/18"),
        }
        assert all(s["DefaultForAz"] and s["MapPublicIpOnLaunch"] for s in subnets)
        assert {s["AvailableIpAddressCount"] for s in subnets} == {16379}
        (acl,) = api("DescribeNetworkAcls", region=region)["NetworkAcls"]
        assert {a["SubnetId"] for a in acl["Associations"]} == {s["SubnetId"] for s in subnets}
        assert {(e["RuleNumber"], e["Egress"], e["RuleAction"]) for e in acl["Entries"]} == {
            (100, True, "allow"),
            (32767, True, "deny"),
            (100, False, "allow"),
            (32767, False, "deny"),
        }
        (group,) = api("DescribeSecurityGroups", region=region)["SecurityGroups"]
        assert group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]
        assert group["IpPermissionsEgress"][0]["IpRanges"] == [{"CidrIp": "0.0.0.0/0"}]
        (table,) = api("DescribeRouteTables", region=region)["RouteTables"]
        assert {r["DestinationCidrBlock"] for r in table["Routes"]} == {"10.208.0.0/16", "0.0.0.0/0"}


def test_the_default_network_keeps_the_ids_that_it_always_had(api: Api) -> None:
    # Services of an installation from before networks were kept carry these.
    assert api.ids_of("DescribeVpcs", "Vpcs", "VpcId") == [DEFAULT.vpc_id]
    assert set(api.ids_of("DescribeSubnets", "Subnets", "SubnetId")) == {s.id for s in DEFAULT.subnets}
    assert api.ids_of("DescribeSecurityGroups", "SecurityGroups", "GroupId") == [DEFAULT.security_group_id]


def test_a_deleted_default_vpc_stays_deleted_until_it_is_asked_for(api: Api) -> None:
    for subnet in DEFAULT.subnets:
        api("DeleteSubnet", SubnetId=subnet.id)
    api.refused("DeleteVpc", "DependencyViolation", VpcId=DEFAULT.vpc_id)
    api("DetachInternetGateway", InternetGatewayId=DEFAULT.internet_gateway_id, VpcId=DEFAULT.vpc_id)
    api("DeleteVpc", VpcId=DEFAULT.vpc_id)
    api.networks.ensure(REGION)
    assert api("DescribeVpcs")["Vpcs"] == []
    assert api("DescribeSecurityGroups")["SecurityGroups"] == []
    assert api("DescribeSecurityGroupRules")["SecurityGroupRules"] == []
    assert api("DescribeNetworkAcls")["NetworkAcls"] == []
    assert api("DescribeRouteTables")["RouteTables"] == []
    made = api("CreateDefaultVpc")["Vpc"]
    assert made["IsDefault"]
    assert made["VpcId"] != DEFAULT.vpc_id
    assert len(api("DescribeSubnets", Filters=where(vpc_id=made["VpcId"]))["Subnets"]) == 3
    api.refused("CreateDefaultVpc", "DefaultVpcAlreadyExists")


def test_a_vpc_comes_with_group_acl_and_main_route_table(api: Api) -> None:
    vpc = api.vpc("10.20.0.7/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}])
    (shown,) = api("DescribeVpcs", VpcIds=[vpc])["Vpcs"]
    assert (shown["CidrBlock"], shown["IsDefault"], shown["Tags"]) == (
        "10.20.0.0/16",
        False,
        [{"Key": "a", "Value": "b"}],
    )
    (group,) = api("DescribeSecurityGroups", Filters=where(vpc_id=vpc))["SecurityGroups"]
    assert (group["GroupName"], group["Description"]) == ("default", "default VPC security group")
    (acl,) = api("DescribeNetworkAcls", Filters=where(vpc_id=vpc, default="true"))["NetworkAcls"]
    assert acl["Associations"] == []
    (table,) = api("DescribeRouteTables", Filters=where(vpc_id=vpc))["RouteTables"]
    assert [(r["DestinationCidrBlock"], r["GatewayId"]) for r in table["Routes"]] == [("10.20.0.0/16", "local")]
    assert table["Associations"][0]["Main"]
    api("DeleteVpc", VpcId=vpc)
    assert api("DescribeSecurityGroups", Filters=where(vpc_id=vpc))["SecurityGroups"] == []
    assert api("DescribeTags")["Tags"] == []


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({}, "MissingParameter", "cidrBlock"),
        ({"CidrBlock": "10.0.0.0/15"}, "InvalidVpc.Range", "The CIDR '10.0.0.0/15' is invalid."),
        ({"CidrBlock": "10.0.0.0/29"}, "InvalidVpc.Range", "is invalid"),
        ({"CidrBlock": "10.0.0.0"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"CidrBlock": "10.0.0.0/255.255.0.0"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"CidrBlock": "::/16"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"CidrBlock": "127.0.0.0/16"}, "InvalidVpc.Range", "hosts use these addresses"),
        ({"CidrBlock": "10.208.16.0/20"}, "InvalidVpc.Range", "no two of them can have the same addresses"),
        ({"CidrBlock": "10.20.128.0/17"}, "InvalidVpc.Range", "overlaps 10.20.0.0/16 of vpc-"),
        ({"CidrBlock": "10.30.0.0/16", "AmazonProvidedIpv6CidrBlock": True}, "UnsupportedOperation", "IPv6"),
        ({"CidrBlock": "10.30.0.0/016"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"CidrBlock": "10.030.0.0/16"}, "InvalidParameterValue", "not a valid CIDR block"),
        ({"CidrBlock": "10.30.0.0/16", "InstanceTenancy": "dedicated"}, "UnsupportedOperation", "tenancy"),
        ({"CidrBlock": "10.30.0.0/16", "DryRun": True}, "DryRunOperation", "Request would have succeeded"),
        (
            {"CidrBlock": "10.30.0.0/16", "TagSpecifications": [{"ResourceType": "subnet", "Tags": []}]},
            "InvalidParameterValue",
            "'subnet' is not a valid taggable resource type for this operation.",
        ),
    ],
)
def test_what_cannot_be_a_vpc_is_refused(api: Api, members: dict[str, object], code: str, text: str) -> None:
    api.vpc("10.20.0.0/16", region="us-east-1")
    api.refused("CreateVpc", code, text, **members)


@pytest.mark.parametrize("operation", ["DeleteVpc", "DescribeVpcAttribute", "CreateSubnet"])
def test_a_vpc_that_is_not_there(api: Api, operation: str) -> None:
    more = {"DescribeVpcAttribute": {"Attribute": "enableDnsSupport"}, "CreateSubnet": {"CidrBlock": "10.0.0.0/24"}}
    gone = "vpc-0123456789abcdef0"
    text = api.refused(operation, "InvalidVpcID.NotFound", VpcId=gone, **more.get(operation, {}))
    assert text == f"The vpc ID '{gone}' does not exist"
    api.refused(operation, "InvalidVpcID.Malformed", 'expecting "vpc-..."', VpcId="web", **more.get(operation, {}))
    elsewhere = api.vpc(region="us-east-1")
    api.refused(operation, "InvalidVpcID.NotFound", VpcId=elsewhere, **more.get(operation, {}))


def test_attributes(api: Api) -> None:
    vpc = api.vpc()

    def attribute(name: str) -> bool:
        answer = api("DescribeVpcAttribute", VpcId=vpc, Attribute=name)
        value: bool = answer[name[0].upper() + name[1:]]["Value"]
        return value

    assert [attribute(n) for n in ("enableDnsSupport", "enableDnsHostnames")] == [True, False]
    api("ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    api("ModifyVpcAttribute", VpcId=vpc, EnableDnsSupport={"Value": True})
    assert attribute("enableDnsHostnames")
    assert not attribute("enableNetworkAddressUsageMetrics")
    api.refused("ModifyVpcAttribute", "UnsupportedOperation", VpcId=vpc, EnableDnsSupport={"Value": False})
    api.refused("ModifyVpcAttribute", "InvalidParameterCombination", VpcId=vpc)


def test_further_blocks_of_a_vpc(api: Api) -> None:
    vpc = api.vpc()
    api.refused("CreateSubnet", "InvalidSubnet.Range", VpcId=vpc, CidrBlock="10.21.1.0/24")
    added = api("AssociateVpcCidrBlock", VpcId=vpc, CidrBlock="10.21.0.0/16")["CidrBlockAssociation"]
    subnet = api.subnet(vpc, "10.21.1.0/24")
    found = api.ids_of(
        "DescribeVpcs", "Vpcs", "VpcId", Filters=where(**{"cidr-block-association.cidr-block": "10.21*"})
    )
    assert found == [vpc]
    (table,) = api("DescribeRouteTables", Filters=where(vpc_id=vpc))["RouteTables"]
    assert {r["DestinationCidrBlock"] for r in table["Routes"]} == {"10.20.0.0/16", "10.21.0.0/16"}
    gone = {"AssociationId": added["AssociationId"]}
    api.refused("DisassociateVpcCidrBlock", "InvalidCidrBlock.InUse", subnet, **gone)
    api("DeleteSubnet", SubnetId=subnet)
    answer = api("DisassociateVpcCidrBlock", **gone)
    assert answer["CidrBlockAssociation"]["CidrBlockState"] == {"State": "disassociated"}
    (first,) = api("DescribeVpcs", VpcIds=[vpc])["Vpcs"][0]["CidrBlockAssociationSet"]
    api.refused("DisassociateVpcCidrBlock", "OperationNotPermitted", AssociationId=first["AssociationId"])
    api.refused("DisassociateVpcCidrBlock", "InvalidVpcCidrBlockAssociationID.NotFound", **gone)
    api.refused("AssociateVpcCidrBlock", "InvalidVpc.Range", VpcId=vpc, CidrBlock="10.20.4.0/24")


def test_what_is_in_a_vpc_keeps_it(api: Api) -> None:
    vpc = api.vpc()
    parts = {
        "DeleteSubnet": {"SubnetId": api.subnet(vpc)},
        "DeleteSecurityGroup": {"GroupId": api.group(VpcId=vpc)},
        "DeleteNetworkAcl": {"NetworkAclId": api("CreateNetworkAcl", VpcId=vpc)["NetworkAcl"]["NetworkAclId"]},
        "DeleteRouteTable": {"RouteTableId": api("CreateRouteTable", VpcId=vpc)["RouteTable"]["RouteTableId"]},
    }
    for operation, members in parts.items():
        text = api.refused("DeleteVpc", "DependencyViolation", VpcId=vpc)
        assert text == f"The vpc '{vpc}' has dependencies and cannot be deleted."
        api(operation, **members)
    api("DeleteVpc", VpcId=vpc)
    assert vpc not in api.ids_of("DescribeVpcs", "Vpcs", "VpcId")
