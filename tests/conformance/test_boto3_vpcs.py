"""VPCs, subnets, security groups and network ACLs through boto3 and the AWS CLI."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conformance_support import Installation

_second_octets = itertools.count(16)


@pytest.fixture(scope="module")
def ec2(fake: Installation) -> Any:
    """An EC2 client in a region of these tests.  Its model is large: one client serves all."""
    return fake.client("ec2", "vpcs")


@pytest.fixture
def name(ec2: Any) -> str:
    """The region's name."""
    region: str = ec2.meta.region_name
    return region


@pytest.fixture
def block() -> str:
    """The first two numbers of addresses that no other VPC of the installation has."""
    return f"172.{next(_second_octets)}"


@pytest.fixture
def vpc(ec2: Any, block: str) -> Iterator[str]:
    vpc_id: str = ec2.create_vpc(CidrBlock=f"{block}.0.0/16")["Vpc"]["VpcId"]
    yield vpc_id
    for group in ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["SecurityGroups"]:
        if group["GroupName"] != "default":
            ec2.delete_security_group(GroupId=group["GroupId"])
    for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc_id)


def test_every_region_has_a_default_network(ec2: Any, name: str) -> None:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
    assert sorted(s["AvailabilityZone"] for s in subnets) == [f"{name}{letter}" for letter in "abc"]
    (group,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert group["VpcId"] == vpc["VpcId"]
    assert [e["RuleNumber"] for e in ec2.describe_network_acls()["NetworkAcls"][0]["Entries"]] == [100, 32767] * 2


def test_waiters_and_pages(ec2: Any, vpc: str, block: str) -> None:
    made = {ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}.{n}.0/24")["Subnet"]["SubnetId"] for n in range(7)}
    ec2.get_waiter("vpc_exists").wait(VpcIds=[vpc])
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    ec2.get_waiter("subnet_available").wait(SubnetIds=list(made))
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group])
    pages = ec2.get_paginator("describe_subnets").paginate(
        Filters=[{"Name": "vpc-id", "Values": [vpc]}], PaginationConfig={"PageSize": 5}
    )
    found = [[s["SubnetId"] for s in page["Subnets"]] for page in pages]
    assert [len(page) for page in found] == [5, 2]
    assert {s for page in found for s in page} == made


@pytest.mark.parametrize(
    ("operation", "members", "code"),
    [
        ("describe_vpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}, "InvalidVpcID.NotFound"),
        ("describe_subnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
        ("describe_security_groups", {"GroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ("describe_security_groups", {"GroupNames": ["none"]}, "InvalidGroup.NotFound"),
        ("describe_network_acls", {"NetworkAclIds": ["acl-0123456789abcdef0"]}, "InvalidNetworkAclID.NotFound"),
        ("describe_subnets", {"Filters": [{"Name": "none", "Values": ["x"]}]}, "InvalidParameterValue"),
        ("create_vpc", {"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ("create_vpc", {"CidrBlock": "172.99.0.0/16", "DryRun": True}, "DryRunOperation"),
    ],
)
def test_errors_have_ec2s_codes(ec2: Any, operation: str, members: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(ec2, operation)(**members)
    assert caught.value.response["Error"]["Code"] == code


def test_what_terraform_makes_of_a_vpc_reads_back(ec2: Any, block: str, name: str) -> None:
    """The calls of the provider's aws_vpc, aws_subnet, aws_security_group, its rules and aws_network_acl."""
    tags = [{"Key": "Name", "Value": "main"}]
    vpc = ec2.create_vpc(
        CidrBlock=f"{block}.0.0/16",
        InstanceTenancy="default",
        AmazonProvidedIpv6CidrBlock=False,
        TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
    )["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    (read,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    assert (read["CidrBlock"], read["InstanceTenancy"], read["Tags"]) == (f"{block}.0.0/16", "default", tags)
    assert [a["CidrBlockState"]["State"] for a in read["CidrBlockAssociationSet"]] == ["associated"]
    assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"]["Value"]
    assert ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsSupport")["EnableDnsSupport"]["Value"]
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    main = [{"Name": "association.main", "Values": ["true"]}, *inside]
    assert len(ec2.describe_route_tables(Filters=main)["RouteTables"]) == 1
    default = [{"Name": "default", "Values": ["true"]}, *inside]
    assert len(ec2.describe_network_acls(Filters=default)["NetworkAcls"]) == 1
    named = [{"Name": "group-name", "Values": ["default"]}, *inside]
    assert len(ec2.describe_security_groups(Filters=named)["SecurityGroups"]) == 1

    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}.1.0/24", AvailabilityZone=f"{name}a")["Subnet"]
    ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})
    (read,) = ec2.describe_subnets(SubnetIds=[subnet["SubnetId"]])["Subnets"]
    assert (read["MapPublicIpOnLaunch"], read["EnableDns64"], read["State"]) == (True, False, "available")
    assert read["PrivateDnsNameOptionsOnLaunch"]["HostnameType"] == "ip-name"
    assert read["SubnetArn"].endswith(f":subnet/{subnet['SubnetId']}")

    group = ec2.create_security_group(GroupName="web", Description="Managed by Terraform", VpcId=vpc)["GroupId"]
    # The provider takes the rule away that a new group has, and puts its own in.
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[everything])
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    among = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[web, among])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[everything])
    # aws_vpc_security_group_ingress_rule
    (rule,) = ec2.authorize_security_group_ingress(
        GroupId=group,
        IpPermissions=[{**web, "FromPort": 443, "ToPort": 443}],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
    )["SecurityGroupRules"]
    (read,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])[
        "SecurityGroupRules"
    ]
    assert (read["CidrIpv4"], read["FromPort"], read["Tags"]) == ("0.0.0.0/0", 443, tags)
    (read,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert {(p["IpProtocol"], p.get("FromPort")) for p in read["IpPermissions"]} == {
        ("tcp", 80),
        ("tcp", 443),
        ("-1", None),
    }

    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 100, "Egress": False, "Protocol": "6", "RuleAction": "allow"}
    ec2.create_network_acl_entry(**entry, CidrBlock="0.0.0.0/0", PortRange={"From": 80, "To": 80})
    (its,) = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet["SubnetId"]]}])[
        "NetworkAcls"
    ]
    (association,) = (a for a in its["Associations"] if a["SubnetId"] == subnet["SubnetId"])
    ec2.replace_network_acl_association(AssociationId=association["NetworkAclAssociationId"], NetworkAclId=acl)
    (read,) = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [a["SubnetId"] for a in read["Associations"]] == [subnet["SubnetId"]]

    # And all of it away again, in the provider's order.
    ec2.replace_network_acl_association(
        AssociationId=read["Associations"][0]["NetworkAclAssociationId"], NetworkAclId=its["NetworkAclId"]
    )
    ec2.delete_network_acl(NetworkAclId=acl)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc)
    with pytest.raises(ClientError, match="does not exist"):
        ec2.describe_vpcs(VpcIds=[vpc])


def test_the_flat_form_of_the_cli(fake: Installation, ec2: Any, vpc: str, name: str) -> None:
    def aws(*arguments: str) -> Any:
        done = fake.aws("ec2", *arguments, "--region", name)
        return json.loads(done.stdout) if done.stdout.strip() else None

    group = aws("create-security-group", "--group-name", "cli", "--description", "cli", "--vpc-id", vpc)["GroupId"]
    flat = ("--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "203.0.113.0/24")
    assert aws("authorize-security-group-ingress", *flat)["Return"]
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [(p["FromPort"], p["IpRanges"]) for p in shown["IpPermissions"]] == [(22, [{"CidrIp": "203.0.113.0/24"}])]
    assert aws("revoke-security-group-ingress", *flat)["Return"]


def test_a_fargate_service_runs_in_a_vpc_of_its_own(fake: Installation, ec2: Any, vpc: str, block: str, name: str):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"{block}.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
    ecs = fake.client("ecs", name)
    ecs.create_cluster(clusterName="default")
    ecs.register_task_definition(
        family="web",
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox"}],
    )
    wanted = {"subnets": [subnet], "securityGroups": [group], "assignPublicIp": "ENABLED"}
    (task,) = ecs.run_task(
        taskDefinition="web", launchType="FARGATE", networkConfiguration={"awsvpcConfiguration": wanted}
    )["tasks"]
    details = {d["name"]: d["value"] for d in task["attachments"][0]["details"]}
    assert details["subnetId"] == subnet
    assert details["privateIPv4Address"].startswith(f"{block}.1.")
    (shown,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert shown["AvailableIpAddressCount"] == 250
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[details["networkInterfaceId"]])["NetworkInterfaces"]
    assert (eni["VpcId"], [g["GroupId"] for g in eni["Groups"]]) == (vpc, [group])
    assert eni["Association"]["PublicIp"]
    for operation, members in (
        ("delete_subnet", {"SubnetId": subnet}),
        ("delete_security_group", {"GroupId": group}),
        ("delete_vpc", {"VpcId": vpc}),
    ):
        with pytest.raises(ClientError, match="DependencyViolation"):
            getattr(ec2, operation)(**members)
    ecs.stop_task(task=task["taskArn"])
    ecs.get_waiter("tasks_stopped").wait(tasks=[task["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    (shown,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert shown["AvailableIpAddressCount"] == 251
