"""What clients look up on their way: regions, zones, endpoints, templates, instances, empty lists."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from ec2_kit import ACCOUNT, DEFAULT, REGION, Api, where

from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.shapes import ec2, ecs
from openecs.wire.generated import ec2 as ec2_model


def test_every_served_operation_has_a_handler(api: Api) -> None:
    assert set(api.handlers) == set(ec2_model.SERVICE.operations)


def test_regions(api: Api) -> None:
    names = [each["RegionName"] for each in api("DescribeRegions")["Regions"]]
    assert {"us-east-1", REGION} <= set(names)
    assert api("DescribeRegions", RegionNames=["us-east-1"])["Regions"] == [
        {"RegionName": "us-east-1", "Endpoint": "127.0.0.1:4566", "OptInStatus": "opt-in-not-required"}
    ]
    assert "xx-moon-1" in [each["RegionName"] for each in api("DescribeRegions", region="xx-moon-1")["Regions"]]
    api.refused("DescribeRegions", "InvalidParameterValue", "nowhere", RegionNames=["nowhere"])


def test_zones(api: Api) -> None:
    zones = api("DescribeAvailabilityZones")["AvailabilityZones"]
    assert [(z["ZoneName"], z["ZoneId"], z["State"]) for z in zones] == [
        ("eu-west-1a", "euw1-az1", "available"),
        ("eu-west-1b", "euw1-az2", "available"),
        ("eu-west-1c", "euw1-az3", "available"),
    ]
    found = api("DescribeAvailabilityZones", Filters=where(zone_id="euw1-az2", state="available"))
    assert [z["ZoneName"] for z in found["AvailabilityZones"]] == ["eu-west-1b"]
    api.refused("DescribeAvailabilityZones", "InvalidParameterValue", "eu-west-1d", ZoneNames=["eu-west-1d"])


def test_the_account(api: Api) -> None:
    found = api("DescribeAccountAttributes", AttributeNames=["default-vpc"])["AccountAttributes"]
    assert found == [
        {"AttributeName": "default-vpc", "AttributeValues": [{"AttributeValue": DEFAULT.vpc_id}]},
    ]


def test_dhcp_options(api: Api) -> None:
    (found,) = api("DescribeDhcpOptions")["DhcpOptions"]
    (vpc,) = api("DescribeVpcs", VpcIds=[DEFAULT.vpc_id])["Vpcs"]
    assert found["DhcpOptionsId"] == vpc["DhcpOptionsId"]
    assert {c["Key"] for c in found["DhcpConfigurations"]} == {"domain-name", "domain-name-servers"}
    assert api("DescribeDhcpOptions", Filters=where(key="ntp-servers"))["DhcpOptions"] == []
    api.refused("DescribeDhcpOptions", "InvalidDhcpOptionID.NotFound", DhcpOptionsIds=["dopt-1"])


@pytest.mark.parametrize(
    ("operation", "result", "named", "code"),
    [
        ("DescribeFlowLogs", "FlowLogs", {"FlowLogIds": ["fl-1"]}, "InvalidFlowLogId.NotFound"),
        ("DescribeVpcPeeringConnections", "VpcPeeringConnections", {"VpcPeeringConnectionIds": ["pcx-1"]},
         "InvalidVpcPeeringConnectionID.NotFound"),
        ("DescribeEgressOnlyInternetGateways", "EgressOnlyInternetGateways",
         {"EgressOnlyInternetGatewayIds": ["eigw-1"]}, "InvalidGatewayID.NotFound"),
        ("DescribeImages", "Images", {"ImageIds": ["ami-1"]}, "InvalidAMIID.NotFound"),
        ("DescribeInstanceTypes", "InstanceTypes", {"InstanceTypes": ["t3.micro"]}, "InvalidInstanceType"),
        ("DescribeInstances", "Reservations", {"InstanceIds": ["i-12345678"]}, "InvalidInstanceID.NotFound"),
        ("DescribeInstances", "Reservations", {"InstanceIds": ["x"]}, "InvalidInstanceID.Malformed"),
        ("DescribeInstanceStatus", "InstanceStatuses", {"InstanceIds": ["i-12345678"]}, "InvalidInstanceID.NotFound"),
        ("DescribePrefixLists", None, {"PrefixListIds": ["pl-1"]}, "InvalidPrefixListID.NotFound"),
        ("DescribeManagedPrefixLists", None, {"PrefixListIds": ["pl-1"]}, "InvalidPrefixListID.NotFound"),
        ("DescribeVpcEndpointServices", None, {"ServiceNames": ["nothing"]}, "InvalidServiceName"),
        ("DescribeVpcEndpoints", "VpcEndpoints", {"VpcEndpointIds": ["vpce-0123456789abcdef0"]},
         "InvalidVpcEndpointId.NotFound"),
    ],
)  # fmt: skip
def test_what_is_not_there(api: Api, operation: str, result: str | None, named: dict, code: str) -> None:
    if result is not None:
        assert api(operation) == {result: []}
    api.refused(operation, code, **named)


def test_offers_and_prefix_lists(api: Api) -> None:
    assert api("DescribeInstanceTypeOfferings")["InstanceTypeOfferings"] == []
    found = api("DescribeManagedPrefixLists", Filters=where(owner_id="AWS"))["PrefixLists"]
    assert sorted(each["PrefixListName"] for each in found) == [
        "com.amazonaws.eu-west-1.dynamodb", "com.amazonaws.eu-west-1.s3",
    ]  # fmt: skip


POLICY = '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}}'


def test_an_interface_endpoint_from_its_making_to_its_end(api: Api) -> None:
    name = "com.amazonaws.eu-west-1.ecr.api"
    first, second = (subnet.id for subnet in DEFAULT.subnets[:2])
    request: dict[str, Any] = {
        "VpcId": DEFAULT.vpc_id, "VpcEndpointType": "Interface", "ServiceName": name, "SubnetIds": [first],
        "PrivateDnsEnabled": True, "ClientToken": "t",
    }  # fmt: skip
    made = api("CreateVpcEndpoint", **request)["VpcEndpoint"]
    assert api("CreateVpcEndpoint", **request)["VpcEndpoint"] == made
    logs = {**request, "ServiceName": "com.amazonaws.eu-west-1.logs"}
    api.refused("CreateVpcEndpoint", "IdempotentParameterMismatch", **logs)
    assert (made["State"], made["VpcEndpointType"], made["PrivateDnsEnabled"]) == ("available", "Interface", True)
    assert made["Groups"] == [{"GroupId": DEFAULT.security_group_id, "GroupName": "default"}]
    at = made["VpcEndpointId"]
    group = api.group()
    api("ModifyVpcEndpoint", VpcEndpointId=at, AddSubnetIds=[second], RemoveSubnetIds=[first],
        AddSecurityGroupIds=[group], PolicyDocument=POLICY)  # fmt: skip
    (shown,) = api("DescribeVpcEndpoints", Filters=where(service_name=name))["VpcEndpoints"]
    assert (shown["SubnetIds"], shown["PolicyDocument"]) == ([second], POLICY)
    assert [g["GroupId"] for g in shown["Groups"]] == [DEFAULT.security_group_id, group]
    api("ModifyVpcEndpoint", VpcEndpointId=at, ResetPolicy=True)
    answer = api("DeleteVpcEndpoints", VpcEndpointIds=[at, "vpce-0123456789abcdef0"])
    assert [each["ResourceId"] for each in answer["Unsuccessful"]] == ["vpce-0123456789abcdef0"]
    assert api("DescribeVpcEndpoints") == {"VpcEndpoints": []}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"ServiceName": "com.amazonaws.eu-west-1.nothing"}, "InvalidServiceName"),
        ({"VpcEndpointType": "GatewayLoadBalancer"}, "InvalidParameter"),
        ({"ServiceName": "com.amazonaws.eu-west-1.logs"}, "InvalidParameter"),
        ({"SubnetIds": [DEFAULT.subnets[0].id]}, "InvalidParameter"),
        ({"IpAddressType": "dualstack"}, "UnsupportedOperation"),
        ({"VpcEndpointType": "Interface", "RouteTableIds": ["rtb-1"]}, "InvalidParameter"),
        ({"RouteTableIds": ["rtb-0123456789abcdef0"]}, "InvalidRouteTableID.NotFound"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "InvalidVpcID.NotFound"),
    ],
)
def test_endpoints_that_cannot_be(api: Api, members: dict, code: str) -> None:
    request = {"VpcId": DEFAULT.vpc_id, "ServiceName": "com.amazonaws.eu-west-1.s3", **members}
    api.refused("CreateVpcEndpoint", code, **request)


def test_endpoint_services(api: Api) -> None:
    name = "com.amazonaws.eu-west-1.s3"
    found = api("DescribeVpcEndpointServices", ServiceNames=[name], Filters=where(service_type="Gateway"))
    assert found["ServiceNames"] == [name]
    assert [each["ServiceType"] for each in found["ServiceDetails"]] == [[{"ServiceType": "Gateway"}]]


def test_a_launch_template_from_its_making_to_its_end(api: Api) -> None:
    data = {
        "InstanceType": "t3.micro",
        "ImageId": "ami-1",
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1"]}],
    }
    made = api("CreateLaunchTemplate", LaunchTemplateName="abc", LaunchTemplateData=data, ClientToken="t")[
        "LaunchTemplate"
    ]
    api.refused("CreateLaunchTemplate", "InvalidLaunchTemplateName.AlreadyExistsException", LaunchTemplateName="abc",
                LaunchTemplateData=data)  # fmt: skip
    assert api("DescribeLaunchTemplates", LaunchTemplateNames=["abc"])["LaunchTemplates"] == [made]
    for members in ({"LaunchTemplateName": "abc"}, {"Versions": ["$Latest"]},
                    {"LaunchTemplateId": made["LaunchTemplateId"], "Versions": ["1"]}):  # fmt: skip
        (version,) = api("DescribeLaunchTemplateVersions", **members)["LaunchTemplateVersions"]
        assert version["LaunchTemplateData"] == data
        assert (version["VersionNumber"], version["DefaultVersion"]) == (1, True)
    api.refused("DescribeLaunchTemplateVersions", "InvalidLaunchTemplateId.VersionNotFound", LaunchTemplateName="abc",
                Versions=["2"])  # fmt: skip
    api.refused("DescribeLaunchTemplateVersions", "InvalidParameterValue", LaunchTemplateName="abc", Versions=["x"])
    api.refused("DescribeLaunchTemplateVersions", "MissingParameter")
    for filters, count in ((where(instance_type="t3.*", is_default_version="true"), 1),
                           (where(instance_type="m5.*"), 0), (where(http_tokens="required"), 0)):  # fmt: skip
        found = api("DescribeLaunchTemplateVersions", LaunchTemplateName="abc", Filters=filters)
        assert len(found["LaunchTemplateVersions"]) == count
    api("DeleteLaunchTemplate", LaunchTemplateName="abc")
    api.refused("DeleteLaunchTemplate", "InvalidLaunchTemplateName.NotFoundException", LaunchTemplateName="abc")
    assert api("DescribeLaunchTemplates") == {"LaunchTemplates": []}


def test_the_data_of_templates_comes_back_whole() -> None:
    """Requests and replies spell the same members alike, so that one becomes the other."""
    asked = {field.encode_name for field in msgspec.structs.fields(ec2.RequestLaunchTemplateData)}
    answered = {field.encode_name for field in msgspec.structs.fields(ec2.ResponseLaunchTemplateData)}
    assert asked <= answered


def test_hosts_that_are_instances(api: Api) -> None:
    node = Node(id="n", capacity=Resources(), availability_zone="eu-west-1b", agent_connected=True, registered_at=5.0)
    shared: dict[str, Any] = {
        "cluster_arn": "c", "region": REGION, "node_id": "n", "status": "ACTIVE", "registered_at": 5.0,
        "attributes": (ecs.Attribute(name="ecs.instance-type", value="m5.large"),),
    }  # fmt: skip
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/c/"
    api.put(
        node,
        ContainerInstance(arn=arn + "1", ec2_instance_id="i-0123456789abcdef0", **shared),
        ContainerInstance(arn=arn + "2", ec2_instance_id="i-0123456789abcdef0", **shared),
        ContainerInstance(arn=arn + "3", **shared),
    )
    (reservation,) = api("DescribeInstances", Filters=where(instance_state_name="running"))["Reservations"]
    (instance,) = reservation["Instances"]
    assert (instance["InstanceId"], instance["InstanceType"]) == ("i-0123456789abcdef0", "m5.large")
    assert instance["Placement"] == {"AvailabilityZone": "eu-west-1b"}
    assert api("DescribeInstances", Filters=where(key_name="a"))["Reservations"] == []
    (status,) = api("DescribeInstanceStatus")["InstanceStatuses"]
    assert status["SystemStatus"] == {"Status": "ok"}
    api.put(msgspec.structs.replace(node, agent_connected=False))
    (status,) = api("DescribeInstanceStatus")["InstanceStatuses"]
    assert status["SystemStatus"] == {"Status": "insufficient-data"}
    asked = {"InstanceId": "i-0123456789abcdef0", "Attribute": "instanceType"}
    assert api("DescribeInstanceAttribute", **asked)["InstanceType"] == {"Value": "m5.large"}
    api.refused("DescribeInstanceAttribute", "UnsupportedOperation", **{**asked, "Attribute": "userData"})
