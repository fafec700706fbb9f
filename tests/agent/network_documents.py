"""Documents of a small installation: two VPCs, subnets, groups; what tests change of them."""

from __future__ import annotations

from openecs.acs.host_documents import (
    AclRule,
    Document,
    GroupRule,
    InterfaceDocument,
    NetworkAclDocument,
    PeerDocument,
    SecurityGroupDocument,
    SubnetDocument,
    VpcDocument,
)

ANYWHERE = "0.0.0.0/0"
ALL = GroupRule(protocol="-1", cidr=ANYWHERE)
ALLOW_ALL = AclRule(number=100, allow=True, protocol="-1", cidr=ANYWHERE)
Documents = dict[tuple[str, str], Document]


def tcp(port: int, *, group: str | None = None, cidr: str | None = None) -> GroupRule:
    return GroupRule(protocol="tcp", from_port=port, to_port=port, group=group, cidr=cidr)


def group(*ingress: GroupRule, egress: tuple[GroupRule, ...] = (ALL,)) -> SecurityGroupDocument:
    return SecurityGroupDocument(vpc_id="vpc-1", ingress=ingress, egress=egress)


def acl(
    *subnets: str, ingress: tuple[AclRule, ...] = (ALLOW_ALL,), egress: tuple[AclRule, ...] = (ALLOW_ALL,)
) -> Document:
    return NetworkAclDocument(vpc_id="vpc-1", subnets=subnets, ingress=ingress, egress=egress)


def peers(*numbers: int, overlay: str = "vxlan") -> Documents:
    return {
        ("peer", f"node{n}"): PeerDocument(
            address=f"192.168.77.{n}",
            overlay=overlay,  # type: ignore[arg-type]
            vni=77,
            tunnel=f"169.254.64.{n}",
        )
        for n in numbers
    }


def networks() -> Documents:
    """``subnet-1`` and ``subnet-2`` with egress, ``subnet-3`` without; ``vpc-2`` with ``subnet-9``."""
    found: Documents = {
        ("vpc", "vpc-1"): VpcDocument(cidrs=("10.60.0.0/16",), resolver="10.60.0.2"),
        ("vpc", "vpc-2"): VpcDocument(cidrs=("10.61.0.0/16",), resolver="10.61.0.2"),
        ("network-acl", "acl-1"): acl("subnet-1", "subnet-2", "subnet-3", "subnet-9"),
    }
    for number in (1, 2, 3):
        found["subnet", f"subnet-{number}"] = SubnetDocument(
            vpc_id="vpc-1",
            cidr=f"10.60.{number}.0/24",
            gateway=f"10.60.{number}.1/24",
            egress="none" if number == 3 else "internet",
        )
    found["subnet", "subnet-9"] = SubnetDocument(
        vpc_id="vpc-2", cidr="10.61.9.0/24", gateway="10.61.9.1/24", egress="internet"
    )
    return found


def interface(address: str, node: str, *groups: str, public: str | None = None) -> InterfaceDocument:
    second, third = address.split(".")[1:3]
    return InterfaceDocument(
        vpc_id="vpc-1" if second == "60" else "vpc-2",
        subnet_id=f"subnet-{third}",
        address=address,
        node_id=node,
        security_groups=groups,
        public_address=public,
    )
