"""The commands of the EC2 and ACM example pages of the AWS CLI whose operations are served.

A command is run in a region in which what it names exists, and its reply is compared with the
documented one; or it is refused by a clear error.  The pages of other operations are not run:
that each of those is refused by its name is what test_every_operation looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from example_cli import CommandLine
from example_differences import differences
from example_networks import ACCOUNT, Networks
from example_pages import Example, examples

from openecs.wire.generated import ec2

#: Waiters of what is served.  That an instance passed its checks its agent says, and these have none.
WAITERS = {
    "instance-exists",
    "instance-running",
    "internet-gateway-exists",
    "nat-gateway-available",
    "nat-gateway-deleted",
    "network-interface-available",
    "security-group-exists",
    "subnet-available",
    "vpc-available",
    "vpc-exists",
    "vpc-peering-connection-deleted",
}


def _served(example: Example) -> bool:
    kind, _, waiter = example.operation.partition(" ")
    if kind == "wait":
        return waiter in WAITERS
    return "".join(word.title() for word in kind.split("-")) in ec2.SERVICE.operations


ALL = [example for example in examples("ec2") if _served(example)]
UNSUPPORTED = "UnsupportedOperation"
#: Example → code and words.
REFUSED = {
    "ec2/allocate-address#2": ("InvalidParameterValue", "networkBorderGroup"),
    "ec2/allocate-address#3": (UNSUPPORTED, "The address pool"),
    "ec2/allocate-address#4": (UNSUPPORTED, "Address is not supported"),
    "ec2/associate-address#1": (UNSUPPORTED, "InstanceId is not supported"),
    "ec2/associate-vpc-cidr-block#1": (UNSUPPORTED, "IPv6 is not supported"),
    "ec2/create-nat-gateway#2": (UNSUPPORTED, "A private NAT gateway is not supported"),
    "ec2/create-network-interface#2": (UNSUPPORTED, "Ipv6AddressCount is not supported"),
    "ec2/create-network-interface#3": (UNSUPPORTED, "ConnectionTrackingSpecification is not supported"),
    "ec2/create-network-interface#4": (UNSUPPORTED, "The interface type efa is not supported"),
    "ec2/create-route#2": (UNSUPPORTED, "VpcPeeringConnectionId is not supported"),
    "ec2/create-route#3": (UNSUPPORTED, "EgressOnlyInternetGatewayId is not supported"),
    "ec2/create-subnet#2": (UNSUPPORTED, "IPv6 is not supported"),
    "ec2/create-subnet#3": (UNSUPPORTED, "IPv6 is not supported"),
    "ec2/create-tags#1": ("InvalidID", "is not valid"),
    "ec2/create-tags#2": ("InvalidID", "is not valid"),
    "ec2/create-tags#3": (UNSUPPORTED, "Tagging EC2 instances is not supported"),
    "ec2/create-tags#5": (UNSUPPORTED, "Tagging EC2 instances is not supported"),
    "ec2/create-vpc-endpoint#3": ("InvalidServiceName", "does not exist"),
    "ec2/create-vpc-endpoint#4": (UNSUPPORTED, "ResourceConfigurationArn is not supported"),
    "ec2/create-vpc-endpoint#5": (UNSUPPORTED, "ServiceNetworkArn is not supported"),
    "ec2/create-vpc#2": (UNSUPPORTED, "The instance tenancy 'dedicated' is not supported"),
    "ec2/create-vpc#3": (UNSUPPORTED, "IPv6 is not supported"),
    "ec2/create-vpc#4": (UNSUPPORTED, "(IPAM) is not supported"),
    "ec2/create-vpc#5": (UNSUPPORTED, "(IPAM) is not supported"),
    "ec2/delete-tags#1": ("InvalidID", "is not valid"),
    "ec2/delete-tags#2": (UNSUPPORTED, "Tagging EC2 instances is not supported"),
    "ec2/delete-tags#3": (UNSUPPORTED, "Tagging EC2 instances is not supported"),
    "ec2/delete-tags#4": (UNSUPPORTED, "Tagging EC2 instances is not supported"),
    "ec2/describe-images#1": ("InvalidAMIID.NotFound", "does not exist"),
    "ec2/describe-instance-attribute#2": (UNSUPPORTED, "which it did not start"),
    "ec2/describe-instance-attribute#3": (UNSUPPORTED, "which it did not start"),
    "ec2/describe-instance-types#1": ("InvalidInstanceType", "t2.micro"),
    "ec2/detach-network-interface#1": ("InvalidAttachmentID.NotFound", "does not exist"),
    "ec2/modify-network-interface-attribute#1": (UNSUPPORTED, "Attachment is not supported"),
    "ec2/modify-subnet-attribute#2": (UNSUPPORTED, "IPv6 is not supported"),
    "ec2/modify-vpc-attribute#1": (UNSUPPORTED, "enableDnsSupport=false"),
    "ec2/replace-route#1": (UNSUPPORTED, "Replacing the local route is not supported"),
    "ec2/update-security-group-rule-descriptions-ingress#2": ("InvalidPermission.NotFound", "does not exist"),
}
#: Commands that the CLI itself does not take as they stand on the page: their quotes are lost, or
#: what they print stands beside them.
BROKEN = {
    "ec2/authorize-security-group-ingress#7",
    "ec2/create-default-subnet#1",
    "ec2/create-tags#4",
    "ec2/revoke-security-group-egress#1",
}
#: Lists of what a private machine has none of: the reply is the empty list.
EMPTY = {
    "ec2/describe-egress-only-internet-gateways#1",
    "ec2/describe-flow-logs#1",
    "ec2/describe-instance-type-offerings#5",
    "ec2/describe-instance-types#2",
    "ec2/describe-vpc-peering-connections#1",
    # Addresses outside of a VPC, volumes, and lists of addresses that users make.
    "ec2/describe-addresses#5",
    "ec2/describe-managed-prefix-lists#1",
    "ec2/describe-tags#2",
    # The page asks for name servers that the region's VPC does not have.
    "ec2/describe-dhcp-options#2",
    # Instances have no tags.
    "ec2/describe-tags#1",
    "ec2/describe-tags#7",
}
ENDPOINT = "Endpoints exist for their clients; the services are reached through the installation's own."
#: Example → members (the ends of their paths) that the page shows and the reply lacks, and why.
LACKING: dict[str, tuple[tuple[str, ...], str]] = {
    "ec2/create-default-vpc#1": ((".Ipv6CidrBlockAssociationSet",), "VPCs have no IPv6 blocks."),
    "ec2/create-vpc-endpoint#2": ((".NetworkInterfaceIds", ".DnsEntries"), ENDPOINT),
    "ec2/describe-vpc-endpoints#1": ((".NetworkInterfaceIds", ".DnsEntries"), ENDPOINT),
    "ec2/describe-network-interfaces#1": ((".Attachment",), "Nothing uses the interface."),
    "ec2/describe-regions#2": ((".Regions",), "The endpoint of every region is that of the installation."),
    "ec2/describe-security-groups#1": ((".Description",), "The world's rules have none."),
    "ec2/create-network-interface#1": ((".RequesterId",), "Users have no ids, there is one account."),
    "ec2/describe-addresses-attribute#2": ((".PtrRecord",), "There are no names for addresses of the outside."),
    "ec2/describe-addresses#1": ((".InstanceId",), "Interfaces belong to no instance."),
    "ec2/describe-addresses#2": ((".InstanceId",), "Interfaces belong to no instance."),
    "ec2/describe-addresses#3": ((".InstanceId",), "Interfaces belong to no instance."),
    "ec2/describe-addresses#6": ((".InstanceId",), "Interfaces belong to no instance."),
    "ec2/describe-instance-status#1": ((".Details",), "Nothing checks an instance that only a document names."),
    "ec2/describe-instances#1": (("",), "Of an instance is known what its identity document says."),
    "ec2/describe-instances#13": (("",), "Of an instance is known what its identity document says."),
    "ec2/describe-network-acls#1": ((".Ipv6CidrBlock",), "New network ACLs have no entries for IPv6."),
    "ec2/describe-network-interface-attribute#1": ((".Attachment",), "The interface is attached to nothing."),
    "ec2/describe-prefix-lists#1": ((".Cidrs",), "The addresses of AWS's services mean nothing here."),
    "ec2/describe-security-group-references#1": (
        (".SecurityGroupsReferenceSet",),
        "A slip of the page: the member is SecurityGroupReferenceSet.",
    ),
    "ec2/describe-vpc-endpoint-services#1": ((".BaseEndpointDnsNames", ".PrivateDnsName"), "They have none here."),
    "ec2/describe-vpc-endpoint-services#2": ((".BaseEndpointDnsNames",), "They have none here."),
    "ec2/disassociate-vpc-cidr-block#1": ((".Ipv6CidrBlockAssociation",), "VPCs have no IPv6 blocks."),
    "ec2/describe-security-group-rules#1": ((".CidrIpv6",), "New groups let out to IPv4 addresses only."),
}


def _peers(world: Networks) -> None:
    pair = [{"GroupId": world.other_group}]
    world.ec2.authorize_security_group_ingress(
        GroupId=world.group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": pair}]
    )


def _routes(world: Networks) -> None:
    assert world.table_association
    world.everywhere(RouteTableId=world.other_table, NatGatewayId=world.nat)
    world.everywhere(GatewayId=world.gateway)


#: Example, or operation → what has to be there beside what the command names.
PREPARE: dict[str, Callable[[Networks], object]] = {
    "ec2/create-default-vpc#1": Networks.without_default_vpc,
    "create-nat-gateway": lambda world: world.gateway,
    "delete-network-acl-entry": Networks.entry,
    "replace-network-acl-entry": Networks.entry,
    "delete-route": lambda world: world.everywhere(GatewayId=world.gateway),
    "ec2/delete-security-group#1": lambda world: world.named_group("MySecurityGroup", VpcId=world.default_vpc()),
    "describe-addresses": lambda world: world.address_association,
    "describe-internet-gateways": lambda world: world.tag(world.gateway, Name="my-igw"),
    "describe-launch-templates": lambda world: world.template,
    "describe-nat-gateways": lambda world: world.tag(world.nat, Name="my-nat"),
    "describe-network-interfaces": lambda world: world.address_association,
    "describe-network-acls": lambda world: world.acl_association,
    "describe-route-tables": _routes,
    "describe-security-group-rules": _peers,
    "ec2/describe-security-groups#1": lambda world: (_peers(world), world.rule, world.tag(world.group, Name="a")),
    "ec2/describe-security-groups#3": lambda world: world.tag(world.named_group("a-test-b"), Test="To-delete"),
    "describe-subnets": lambda world: world.tag(world.subnet, CostCenter="123", Name="MySubnet"),
    "describe-tags": lambda world: world.tag(world.vpc, Stack="Test"),
    "describe-vpc-endpoints": lambda world: (world.endpoint("Gateway"), world.endpoint("Interface")),
    "describe-vpcs": lambda world: world.tag(world.vpc, Name="Shared VPC"),
    "describe-stale-security-groups": _peers,
    "disassociate-address": lambda world: world.address_association,
    "wait nat-gateway-deleted": lambda world: world.ec2.delete_nat_gateway(NatGatewayId=world.nat),
    "ec2/revoke-security-group-ingress#1": lambda world: world.named_group("mySecurityGroup"),
}
#: Operation → the one whose command with the same options makes what it is about.
AFTER = {
    "revoke-security-group-egress": "authorize-security-group-egress",
    "revoke-security-group-ingress": "authorize-security-group-ingress",
    "update-security-group-rule-descriptions-egress": "authorize-security-group-egress",
    "update-security-group-rule-descriptions-ingress": "authorize-security-group-ingress",
}


@pytest.fixture(scope="module")
def ec2_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with the pages' account."""
    installation = Installation(
        tmp_path_factory.mktemp("ec2"), "--runtime", "fake", "--ephemeral", "--account-id", ACCOUNT, "--no-agent"
    )
    installation.up()
    yield installation
    installation.down()


@pytest.fixture(scope="module")
def clients(ec2_pages: Installation) -> Callable[[str, str], Any]:
    """Clients of one session: it reads each service's model once."""
    session = ec2_pages.session()

    def client(service: str, region: str) -> Any:
        return session.client(
            service,
            region_name=region,
            endpoint_url=ec2_pages.endpoint,
            aws_access_key_id=ec2_pages.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ec2_pages.credentials["AWS_SECRET_ACCESS_KEY"],
        )

    return client


@pytest.mark.parametrize("example", [e for e in ALL if e.id not in BROKEN], ids=lambda example: example.id)
def test_an_example_is_answered_as_documented_or_refused(
    example: Example,
    ec2_pages: Installation,
    clients: Callable[[str, str], Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    region = f"us-page-{ALL.index(example) + 1}"
    world = Networks(clients, region, example)
    PREPARE.get(example.id, PREPARE.get(example.operation, lambda _: None))(world)
    words = world.words(tmp_path)
    command_line = CommandLine(ec2_pages, region, monkeypatch, tmp_path)
    if example.id not in REFUSED and example.operation in AFTER:
        assert command_line.aws("ec2", AFTER[example.operation], *words[2:]).status == 0
    outcome = command_line.aws(*words)
    if example.id in REFUSED:
        code, told = REFUSED[example.id]
        assert f"({code})" in outcome.stderr, outcome
        assert told in outcome.stderr.partition("operation: ")[2], outcome
        return
    assert outcome.status == 0, f"{' '.join(words)}\n{outcome}"
    if example.output is None:
        return
    if example.id in EMPTY:
        assert list(outcome.data.values() if isinstance(outcome.data, dict) else outcome.data) in ([], [[]])
        return
    found = differences(example.output, outcome.data)
    ends, reason = LACKING.get(example.id, ((), "."))
    assert reason.endswith(".")
    lacking = [line for line in found if not line.partition(":")[0].endswith(ends)]
    assert not lacking, "\n".join(lacking)
    assert bool(found) == bool(ends), "no difference any more, take it out of the table"


def test_the_tables_hold_nothing_that_is_not_on_a_page() -> None:
    ids = {example.id for example in ALL}
    assert len(ids) >= 200
    assert REFUSED.keys() | BROKEN | EMPTY | LACKING.keys() <= ids
    assert PREPARE.keys() <= ids | {example.operation for example in ALL}
