"""A small world of networks for fuzzing EC2, and one sound request for each of its operations."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from fuzz_forms import form_of
from fuzz_plane import ACCOUNT, REGION, Plane, Reply

from openecs.model.network import region_network

HOME = region_network(ACCOUNT, REGION)
CIDR = "10.77.0.0/16"


def send(plane: Plane, service: str, operation: str, data: Any, *, who: Any = None) -> Reply:
    """One call with form parameters."""
    model = plane.served[service].model
    return plane.send(service, operation, form_of(model, model.operations[operation], data), who=who)


class Networks:
    """Things of EC2 that requests can name."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.vpc = self.made("CreateVpc", "vpcId", CidrBlock=CIDR)
        self.empty_vpc = self.made("CreateVpc", "vpcId", CidrBlock="10.78.0.0/16")
        self.subnet = self.made("CreateSubnet", "subnetId", VpcId=self.vpc, CidrBlock="10.77.1.0/24")
        self.spare_subnet = self.made("CreateSubnet", "subnetId", VpcId=self.vpc, CidrBlock="10.77.2.0/24")
        self.group = self.made("CreateSecurityGroup", "groupId", GroupName="a", Description="a", VpcId=self.vpc)
        self.rule = self.made(
            "AuthorizeSecurityGroupIngress", "securityGroupRuleId", GroupId=self.group, IpPermissions=[PERMISSION]
        )
        self.acl = self.made("CreateNetworkAcl", "networkAclId", VpcId=self.vpc)
        self.made("CreateNetworkAclEntry", None, **self._entry())
        self.igw = self.made("CreateInternetGateway", "internetGatewayId")
        self.made("AttachInternetGateway", None, InternetGatewayId=self.igw, VpcId=self.vpc)
        self.spare_igw = self.made("CreateInternetGateway", "internetGatewayId")
        self.table = self.made("CreateRouteTable", "routeTableId", VpcId=self.vpc)
        self.spare_table = self.made("CreateRouteTable", "routeTableId", VpcId=self.vpc)
        self.made("CreateRoute", None, RouteTableId=self.table, **EVERYWHERE, GatewayId=self.igw)
        self.association = self.made(
            "AssociateRouteTable", "associationId", RouteTableId=self.table, SubnetId=self.subnet
        )
        self.used_eip, self.eip = (self.made("AllocateAddress", "allocationId") for _ in range(2))
        self.eni = self.made("CreateNetworkInterface", "networkInterfaceId", SubnetId=self.subnet)
        self.eip_association = self.made(
            "AssociateAddress", "associationId", AllocationId=self.used_eip, NetworkInterfaceId=self.eni
        )
        nat_eip = self.made("AllocateAddress", "allocationId")
        self.nat = self.made("CreateNatGateway", "natGatewayId", SubnetId=self.subnet, AllocationId=nat_eip)
        self.endpoint = self.made(
            "CreateVpcEndpoint", "vpcEndpointId", VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.s3"
        )
        self.template = self.made("CreateLaunchTemplate", "launchTemplateId", **TEMPLATE)
        self.acl_association = next(
            association.id
            for acl in plane.state.network_acls.by("vpc", self.vpc)
            for association in acl.associations
            if association.subnet_id == self.subnet
        )
        self.second_block = self.made(
            "AssociateVpcCidrBlock", "associationId", VpcId=self.vpc, CidrBlock="10.79.0.0/16"
        )
        self.made("CreateTags", None, Resources=[self.vpc], Tags=[{"Key": "k", "Value": "v"}])

    def made(self, operation: str, element: str | None, /, **members: Any) -> str:
        """The id that the answer has under ``element``."""
        reply = send(self.plane, "ec2", operation, members)
        assert reply.status == 200, (operation, members, reply)
        if element is None:
            return ""
        found = ET.fromstring(reply.body).find(f".//{{*}}{element}")
        assert found is not None, (element, reply)
        return found.text or ""

    def _entry(self, number: int = 7) -> dict[str, Any]:
        return {
            "NetworkAclId": self.acl, "RuleNumber": number, "Protocol": "6", "RuleAction": "allow", "Egress": False,
            "CidrBlock": "0.0.0.0/0", "PortRange": {"From": 1, "To": 2},
        }  # fmt: skip

    @property
    def references(self) -> dict[str, list[Any]]:
        """Values that fit where members of these names stand."""
        by_name: dict[str, list[Any]] = {
            "VpcId": [self.vpc, self.empty_vpc, HOME.vpc_id, "vpc-0123456789abcdef0"],
            "SubnetId": [self.subnet, self.spare_subnet, HOME.subnets[0].id],
            "GroupId": [self.group, HOME.security_group_id, "sg-1"],
            "SecurityGroupRuleId": [self.rule],
            "NetworkAclId": [self.acl],
            "InternetGatewayId": [self.igw, self.spare_igw],
            "GatewayId": [self.igw, HOME.internet_gateway_id, "local"],
            "RouteTableId": [self.table, self.spare_table],
            "AssociationId": [self.association, self.eip_association, self.acl_association, self.second_block],
            "AllocationId": [self.used_eip, self.eip],
            "NetworkInterfaceId": [self.eni],
            "NatGatewayId": [self.nat],
            "VpcEndpointId": [self.endpoint],
            "LaunchTemplateId": [self.template],
            "LaunchTemplateName": ["abc"],
        }
        more = {f"{name}s": values for name, values in by_name.items()}
        return {
            **by_name,
            **more,
            "Groups": by_name["GroupId"],
            "Resources": [values[0] for values in by_name.values()],
            "CidrBlock": [CIDR, "10.77.3.0/24", "10.80.0.0/16", "0.0.0.0/0", "10.77.0.0", "::/0"],
            "DestinationCidrBlock": ["0.0.0.0/0", CIDR, "1.2.3.4/8"],
            "CidrIp": ["0.0.0.0/0", "10.0.0.1/32", "10.0.0.1/8"],
            "IpProtocol": ["tcp", "udp", "-1", "icmp", "6"],
            "Name": ["vpc-id", "tag:k", "tag-key", "state", "group-id", "nonsense"],
            "Key": ["k", "Name", "aws:x"],
            "ResourceType": ["vpc", "subnet", "route-table", "elastic-ip", "nonsense"],
            "ServiceName": [f"com.amazonaws.{REGION}.s3", f"com.amazonaws.{REGION}.logs"],
        }

    def sound(self) -> dict[str, dict[str, Any]]:
        """Operation → a request that is answered with 200."""
        table, group = {"RouteTableId": self.table}, {"GroupId": self.group}
        described = {
            "Tags": [{"Name": "key", "Values": ["k"]}],
            "Vpcs": [{"Name": "tag:k", "Values": ["v", "*"]}],
        }
        reads: dict[str, dict[str, Any]] = {
            operation: {"Filters": described.get(operation.removeprefix("Describe"), [])}
            for operation in self.plane.served["ec2"].handlers
            if operation.startswith("Describe")
        }
        for operation in ("DescribeNatGateways", "DescribeFlowLogs"):
            reads[operation] = {"Filter": []}
        for operation in ("DescribeAccountAttributes", "DescribeAddressesAttribute", "DescribeStaleSecurityGroups"):
            reads[operation] = {}
        return {
            **reads,
            "DescribeLaunchTemplateVersions": {"LaunchTemplateId": self.template},
            "DescribeNetworkInterfaceAttribute": {"NetworkInterfaceId": self.eni, "Attribute": "groupSet"},
            "DescribeSecurityGroupReferences": {"GroupId": [self.group]},
            "DescribeStaleSecurityGroups": {"VpcId": self.vpc},
            "DescribeVpcAttribute": {"VpcId": self.vpc, "Attribute": "enableDnsSupport"},
            "GetSecurityGroupsForVpc": {"VpcId": self.vpc},
            "AllocateAddress": {"Domain": "vpc"},
            "AssociateAddress": {"AllocationId": self.used_eip, "NetworkInterfaceId": self.eni},
            "AssociateRouteTable": {**table, "SubnetId": self.spare_subnet},
            "AssociateVpcCidrBlock": {"VpcId": self.vpc, "CidrBlock": "10.80.0.0/16"},
            "AttachInternetGateway": {"InternetGatewayId": self.spare_igw, "VpcId": self.empty_vpc},
            "AuthorizeSecurityGroupEgress": {**group, "IpPermissions": [PERMISSION]},
            "AuthorizeSecurityGroupIngress": {**group, "IpPermissions": [{**PERMISSION, "ToPort": 90}]},
            "CreateInternetGateway": {},
            "CreateLaunchTemplate": {**TEMPLATE, "LaunchTemplateName": "other"},
            "CreateNatGateway": {"SubnetId": self.subnet, "AllocationId": self.eip},
            "CreateNetworkAcl": {"VpcId": self.vpc},
            "CreateNetworkAclEntry": self._entry(8),
            "CreateNetworkInterface": {"SubnetId": self.subnet, "Groups": [self.group]},
            "CreateRoute": {"RouteTableId": self.spare_table, **EVERYWHERE, "GatewayId": self.igw},
            "CreateRouteTable": {"VpcId": self.vpc},
            "CreateSecurityGroup": {"GroupName": "b", "Description": "b", "VpcId": self.vpc},
            "CreateSubnet": {"VpcId": self.vpc, "CidrBlock": "10.77.3.0/24"},
            "CreateTags": {"Resources": [self.vpc], "Tags": [{"Key": "a", "Value": "b"}]},
            "CreateVpc": {"CidrBlock": "10.81.0.0/16"},
            "CreateVpcEndpoint": {"VpcId": self.vpc, "ServiceName": f"com.amazonaws.{REGION}.dynamodb"},
            "DeleteInternetGateway": {"InternetGatewayId": self.spare_igw},
            "DeleteLaunchTemplate": {"LaunchTemplateId": self.template},
            "DeleteNatGateway": {"NatGatewayId": self.nat},
            "DeleteNetworkAcl": {"NetworkAclId": self.acl},
            "DeleteNetworkAclEntry": {"NetworkAclId": self.acl, "RuleNumber": 7, "Egress": False},
            "DeleteNetworkInterface": {"NetworkInterfaceId": self.eni},
            "DeleteRoute": {**table, **EVERYWHERE},
            "DeleteRouteTable": {"RouteTableId": self.spare_table},
            "DeleteSecurityGroup": group,
            "DeleteSubnet": {"SubnetId": self.spare_subnet},
            "DeleteTags": {"Resources": [self.vpc], "Tags": [{"Key": "k"}]},
            "DeleteVpc": {"VpcId": self.empty_vpc},
            "DeleteVpcEndpoints": {"VpcEndpointIds": [self.endpoint]},
            "DisassociateAddress": {"AssociationId": self.eip_association},
            "DisassociateRouteTable": {"AssociationId": self.association},
            "DisassociateVpcCidrBlock": {"AssociationId": self.second_block},
            "ModifyNetworkInterfaceAttribute": {"NetworkInterfaceId": self.eni, "Groups": [self.group]},
            "ModifySecurityGroupRules": {
                **group,
                "SecurityGroupRules": [
                    {
                        "SecurityGroupRuleId": self.rule,
                        "SecurityGroupRule": {
                            "IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv4": "10.0.0.0/8",
                        },
                    }
                ],
            },
            "ModifySubnetAttribute": {"SubnetId": self.subnet, "MapPublicIpOnLaunch": {"Value": True}},
            "ModifyVpcAttribute": {"VpcId": self.vpc, "EnableDnsHostnames": {"Value": True}},
            "ModifyVpcEndpoint": {"VpcEndpointId": self.endpoint, "AddRouteTableIds": [self.table]},
            "ReleaseAddress": {"AllocationId": self.eip},
            "ReplaceNetworkAclAssociation": {"AssociationId": self.acl_association, "NetworkAclId": self.acl},
            "ReplaceNetworkAclEntry": self._entry(),
            "ReplaceRoute": {**table, **EVERYWHERE, "NatGatewayId": self.nat},
            "ReplaceRouteTableAssociation": {"AssociationId": self.association, "RouteTableId": self.spare_table},
            "RevokeSecurityGroupEgress": {**group, "IpPermissions": [ALL_OUT]},
            "RevokeSecurityGroupIngress": {**group, "SecurityGroupRuleIds": [self.rule]},
            "UpdateSecurityGroupRuleDescriptionsEgress": {
                **group, "IpPermissions": [{**ALL_OUT, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "x"}]}],
            },
            "UpdateSecurityGroupRuleDescriptionsIngress": {**group, "IpPermissions": [PERMISSION]},
        }  # fmt: skip


PERMISSION: dict[str, Any] = {
    "IpProtocol": "tcp", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "d"}],
}  # fmt: skip
ALL_OUT: dict[str, Any] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
EVERYWHERE = {"DestinationCidrBlock": "0.0.0.0/0"}
TEMPLATE: dict[str, Any] = {"LaunchTemplateName": "abc", "LaunchTemplateData": {"InstanceType": "t3.micro"}}
#: Operations that the world answers with a refusal: there is a default VPC, and no instance.
REFUSED = {"CreateDefaultVpc", "CreateDefaultSubnet", "DescribeInstanceAttribute", "DetachInternetGateway",
           "DetachNetworkInterface"}  # fmt: skip
