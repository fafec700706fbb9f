"""What the EC2 example pages name, made in the region of one example when its command names it.

An id of a page stands for a thing of its kind; addresses of 10.0.0.0/16 and 10.2.0.0/16 stand for
blocks that no other example has, as all networks of an installation share one address space.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from example_pages import Example

ACCOUNT = "123456789012"
_blocks = itertools.count(0)
ANYWHERE = "0.0.0.0/0"


def _fresh_block() -> str:
    """The first two numbers of addresses that nothing else of the installation has."""
    number = next(_blocks)
    return f"172.{16 + number}" if number < 16 else f"10.{number - 16}"


class Networks:
    """Things of EC2 in one region, each made when it is asked for first."""

    def __init__(self, clients: Callable[[str, str], Any], region: str, example: Example) -> None:
        self.region = region
        self.example = example
        self.ec2 = clients("ec2", region)
        self._clients = clients
        self._instances: set[str] = set()
        self._second: dict[str, str] = {}

    # -- things --

    @cached_property
    def block(self) -> str:
        return _fresh_block()

    @cached_property
    def other_block(self) -> str:
        return _fresh_block()

    @cached_property
    def vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock=f"{self.block}.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def subnet(self) -> str:
        zone = f"{self.region}a"
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"{self.block}.0.0/20", AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    @cached_property
    def group(self) -> str:
        return self.named_group("MySecurityGroup", VpcId=self.vpc)

    @cached_property
    def other_group(self) -> str:
        return self.named_group("other", VpcId=self.vpc)

    def named_group(self, name: str, **where: str) -> str:
        return str(self.ec2.create_security_group(GroupName=name, Description="page", **where)["GroupId"])

    @cached_property
    def rule(self) -> str:
        made = self.ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[tcp(22, ANYWHERE)])
        return str(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    @cached_property
    def table(self) -> str:
        return str(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])

    @cached_property
    def other_table(self) -> str:
        return str(self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"])

    @cached_property
    def table_association(self) -> str:
        made = self.ec2.associate_route_table(RouteTableId=self.other_table, SubnetId=self.subnet)
        return str(made["AssociationId"])

    @cached_property
    def loose_gateway(self) -> str:
        return str(self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])

    @cached_property
    def gateway(self) -> str:
        self.ec2.attach_internet_gateway(InternetGatewayId=self.loose_gateway, VpcId=self.vpc)
        return self.loose_gateway

    @cached_property
    def address(self) -> dict[str, str]:
        found: dict[str, str] = self.ec2.allocate_address(Domain="vpc")
        return found

    @cached_property
    def address_association(self) -> str:
        associated = self.ec2.associate_address(
            AllocationId=self.address["AllocationId"], NetworkInterfaceId=self.interface
        )
        return str(associated["AssociationId"])

    @cached_property
    def nat(self) -> str:
        assert self.gateway
        made = self.ec2.create_nat_gateway(SubnetId=self.subnet, AllocationId=self.address["AllocationId"])
        return str(made["NatGateway"]["NatGatewayId"])

    @cached_property
    def interface(self) -> str:
        made = self.ec2.create_network_interface(
            SubnetId=self.subnet,
            PrivateIpAddress=f"{self.block}.0.85",
            Description="My network interface",
            TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "Purpose", "Value": "Prod"}]}],
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    @cached_property
    def acl(self) -> str:
        return str(self.ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"])

    @cached_property
    def acl_association(self) -> str:
        assert self.subnet
        acls = self.ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [self.subnet]}])
        (found,) = (a for a in acls["NetworkAcls"][0]["Associations"] if a["SubnetId"] == self.subnet)
        return str(found["NetworkAclAssociationId"])

    @cached_property
    def cidr_association(self) -> str:
        made = self.ec2.associate_vpc_cidr_block(VpcId=self.vpc, CidrBlock=f"{self.other_block}.0.0/16")
        return str(made["CidrBlockAssociation"]["AssociationId"])

    @cached_property
    def template(self) -> str:
        interface = {"DeviceIndex": 0, "AssociatePublicIpAddress": True, "DeleteOnTermination": True}
        interfaces = [{**interface, "Groups": [self.group], "SubnetId": self.subnet}]
        data = {"InstanceType": "t2.micro", "ImageId": "ami-8c1be5f6", "KeyName": "k", "UserData": "ZWNobw=="}
        made = self.ec2.create_launch_template(
            LaunchTemplateName="page", LaunchTemplateData={**data, "NetworkInterfaces": interfaces}
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def endpoint(self, kind: str) -> str:
        more: dict[str, Any] = {"ServiceName": f"com.amazonaws.{self.region}.s3", "VpcEndpointType": kind}
        if kind == "Interface":
            more |= {"ServiceName": f"com.amazonaws.{self.region}.logs", "SubnetIds": [self.subnet]}
        else:
            more["RouteTableIds"] = [self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]]
        return str(self.ec2.create_vpc_endpoint(VpcId=self.vpc, **more)["VpcEndpoint"]["VpcEndpointId"])

    def tag(self, *resources: str, **tags: str) -> None:
        self.ec2.create_tags(Resources=resources, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def entry(self) -> None:
        """The entry that the pages of network ACLs are about."""
        self.ec2.create_network_acl_entry(
            NetworkAclId=self.acl, RuleNumber=100, Egress=False, Protocol="17", RuleAction="allow",
            CidrBlock=ANYWHERE, PortRange={"From": 53, "To": 53},
        )  # fmt: skip

    def everywhere(self, **target: str) -> None:
        """The route of the page's table to everything else."""
        target = {"RouteTableId": self.table, **target}
        self.ec2.create_route(DestinationCidrBlock=ANYWHERE, **target)

    def default_vpc(self) -> str:
        (vpc,) = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        return str(vpc["VpcId"])

    def machine(self, instance_id: str) -> str:
        """A container instance that says that it is this EC2 instance."""
        if instance_id not in self._instances:
            self._instances.add(instance_id)
            ecs = self._clients("ecs", self.region)
            ecs.create_cluster(clusterName="machines")
            document = {
                "instanceId": instance_id, "region": self.region, "accountId": ACCOUNT, "instanceType": "t2.micro",
            }  # fmt: skip
            integers = [{"name": name, "type": "INTEGER", "integerValue": 1024} for name in ("CPU", "MEMORY")]
            ports = [{"name": name, "type": "STRINGSET", "stringSetValue": []} for name in ("PORTS", "PORTS_UDP")]
            ecs.register_container_instance(
                cluster="machines", instanceIdentityDocument=json.dumps(document), totalResources=[*integers, *ports]
            )
        return instance_id

    def without_default_vpc(self) -> None:
        """Take the region's default VPC away."""
        vpc = self.default_vpc()
        of_it = [{"Name": "vpc-id", "Values": [vpc]}]
        for subnet in self.ec2.describe_subnets(Filters=of_it)["Subnets"]:
            self.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        for gateway in self.ec2.describe_internet_gateways()["InternetGateways"]:
            self.ec2.detach_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"], VpcId=vpc)
            self.ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
        self.ec2.delete_vpc(VpcId=vpc)

    # -- the command --

    def words(self, folder: Path) -> list[str]:
        """The command's words, for this region."""
        # Carets and backticks continue lines in other shells.
        return [self._file(self.here(word), folder) for word in self.example.words if word not in ("^", "`")]

    def _file(self, word: str, folder: Path) -> str:
        if not word.startswith("file://"):
            return word
        (folder / "page.json").write_text(self.here(self.example.files[word.rpartition("/")[2]]))
        return f"file://{folder / 'page.json'}"

    def here(self, text: str) -> str:
        """``text`` with the names of this region in place of the page's."""
        loose = self.example.operation in ("attach-internet-gateway", "delete-internet-gateway")
        kinds: tuple[tuple[str, Callable[[str], str]], ...] = (
            ("vpc-cidr-assoc", lambda _: self.cidr_association),
            ("vpce(?!-svc)", lambda _: self.endpoint("Interface" if "subnet" in text_of(self.example) else "Gateway")),
            ("vpc", lambda _: self.vpc),
            ("subnet", lambda _: self.subnet),
            ("sg", lambda _: self.other_group if self._second else self.group),
            ("sgr", lambda _: self.rule),
            ("rtb", lambda _: self.table),
            ("rtbassoc", lambda _: self.table_association),
            ("igw", lambda _: self.loose_gateway if loose else self.gateway),
            ("eipalloc", lambda _: self.address["AllocationId"]),
            ("eipassoc", lambda _: self.address_association),
            ("nat", lambda _: self.nat),
            ("eni", lambda _: self.interface),
            ("acl", lambda _: self.acl),
            ("aclassoc", lambda _: self.acl_association),
            ("lt", lambda _: self.template),
            ("pl", lambda _: str(self.ec2.describe_prefix_lists()["PrefixLists"][0]["PrefixListId"])),
            ("i", self.machine),
        )
        for prefix, make in kinds:
            pattern = rf"(?<![\w-]){prefix}-(?=\w*\d)\w+(?![\w-])"
            for found in dict.fromkeys(re.findall(pattern, text)):
                made = self._known(prefix, found, make)
                text = re.sub(rf"(?<![\w-]){found}(?![\w-])", made, text)
        text = re.sub(r"\b10\.0(?=\.\d)", lambda _: self.block, text)
        text = re.sub(r"\b10\.2(?=\.0)", lambda _: self.other_block, text)
        text = re.sub(r"198\.51\.100\.0|203\.0\.110\.25", lambda _: self.address["PublicIp"], text)
        return re.sub(r"us-(east|west)-\d(?![\w-]*vpce)(?=[abc]?\b(?!-))", self.region, text)

    def _known(self, prefix: str, name: str, make: Callable[[str], str]) -> str:
        if name not in self._second:
            made = make(name)
            if prefix == "sg":
                self._second[name] = made
            return made
        return self._second[name]


def text_of(example: Example) -> str:
    """All words of a command in one line."""
    return " ".join(example.words)


def tcp(port: int, cidr: str, protocol: str = "tcp") -> dict[str, Any]:
    """A permission of a security group."""
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}
