"""Rules of security groups between their three forms: requests, records, replies.  Pure.

A permission of a request stands for one rule for each of its peers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from openecs.api.ec2 import cidr
from openecs.api.ec2.errors import bad_value, invalid_value, missing
from openecs.errors import AWSError
from openecs.model.security_group import SecurityGroup, SecurityGroupRule
from openecs.shapes import ec2

_NAMES = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = frozenset({"tcp", "udp"})
WITH_TYPES = frozenset({"icmp", "icmpv6"})
_DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")


class Wanted(NamedTuple):
    """One rule of a request: what it lets through, and between whom."""

    protocol: str
    from_port: int
    to_port: int
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_id: str | None = None
    prefix_list_id: str | None = None

    def __str__(self) -> str:
        peer = self.cidr_ipv4 or self.cidr_ipv6 or self.referenced_group_id or self.prefix_list_id
        if self.protocol == "-1":
            return f"peer: {peer}, ALL, ALLOW"
        what = self.protocol.upper()
        if self.protocol in WITH_TYPES:
            return f"peer: {peer}, {what}, type: {self.from_port}, code: {self.to_port}, ALLOW"
        return f"peer: {peer}, {what}, from port: {self.from_port}, to port: {self.to_port}, ALLOW"


#: A peer group of a request to the id of a group that is there.
FindGroup = Callable[[ec2.UserIdGroupPair], str]
#: Raises the error for a prefix list that there is not.
CheckPrefixList = Callable[[str], None]


def signature(rule: SecurityGroupRule) -> Wanted:
    """What makes two rules of a group the same rule."""
    return Wanted(
        rule.protocol,
        rule.from_port,
        rule.to_port,
        rule.cidr_ipv4,
        rule.cidr_ipv6,
        rule.referenced_group_id,
        rule.prefix_list_id,
    )


def wanted(
    permissions: Iterable[ec2.IpPermission], find_group: FindGroup, check_prefix_list: CheckPrefixList
) -> dict[Wanted, str | None]:
    """The rules that permissions stand for, each with its description.  Raises EC2's errors."""
    rules: dict[Wanted, str | None] = {}

    def add(rule: Wanted, description: str | None) -> None:
        if rule in rules:
            raise invalid_value("The same permission must not appear multiple times")
        check_description(description)
        rules[rule] = description

    for permission in permissions:
        protocol = protocol_name(permission.ip_protocol)
        first, last = ports(protocol, permission.from_port, permission.to_port)
        before = len(rules)
        for block in permission.ip_ranges or ():
            add(Wanted(protocol, first, last, cidr_ipv4=cidr.ipv4_rule(block.cidr_ip or "")), block.description)
        for block6 in permission.ipv6_ranges or ():
            add(Wanted(protocol, first, last, cidr_ipv6=cidr.ipv6_rule(block6.cidr_ipv6 or "")), block6.description)
        for pair in permission.user_id_group_pairs or ():
            add(Wanted(protocol, first, last, referenced_group_id=find_group(pair)), pair.description)
        for prefix in permission.prefix_list_ids or ():
            check_prefix_list(prefix.prefix_list_id or "")
            add(Wanted(protocol, first, last, prefix_list_id=prefix.prefix_list_id), prefix.description)
        if len(rules) == before:
            raise missing("ipRanges, ipv6Ranges, groups or prefixListIds")
    return rules


def protocol_name(text: str | None) -> str:
    """The protocol as records have it.  Raises EC2's errors."""
    if text is None:
        raise missing("ipProtocol")
    name = _NAMES.get(text.lower(), text.lower())
    if name in WITH_PORTS | WITH_TYPES or name == "-1":
        return name
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", name) or int(name) > 255:
        raise bad_value(text[:64], "ipProtocol", "Use tcp, udp, icmp, icmpv6, a number up to 255, or -1 for all.")
    return name


def ports(protocol: str, first: int | None, last: int | None) -> tuple[int, int]:
    """The ports, or ICMP type and code, of a rule; -1 and -1 where the protocol has none."""
    if protocol in WITH_PORTS:
        if first is None or last is None:
            raise invalid_value("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
        for port in (first, last):
            if not 0 <= port <= 65535:
                raise invalid_value(f"TCP/UDP port ({port}) out of range")
        if first > last:
            raise invalid_value(f"Invalid TCP/UDP port range ({first}:{last})")
        return first, last
    if protocol in WITH_TYPES:
        kind = -1 if first is None else first
        code = -1 if last is None else last
        for number, name in ((kind, "type"), (code, "code")):
            if not -1 <= number <= 255:
                raise invalid_value(f"ICMP {name} ({number}) out of range")
        if kind == -1 and code != -1:
            raise invalid_value("ICMP code (" + str(code) + ") needs an ICMP type")
        return kind, code
    return -1, -1


def check_description(text: str | None) -> None:
    """Raise InvalidParameterValue for a description that EC2 would not take."""
    if text is not None and not _DESCRIPTION.fullmatch(text):
        raise invalid_value(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following "
            "set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"
        )


def record(
    rule: Wanted, group: SecurityGroup, *, rule_id: str, egress: bool, description: str | None
) -> SecurityGroupRule:
    """The rule as state keeps it."""
    return SecurityGroupRule(
        id=rule_id,
        region=group.region,
        owner=group.owner,
        group_id=group.id,
        is_egress=egress,
        protocol=rule.protocol,
        from_port=rule.from_port,
        to_port=rule.to_port,
        cidr_ipv4=rule.cidr_ipv4,
        cidr_ipv6=rule.cidr_ipv6,
        referenced_group_id=rule.referenced_group_id,
        prefix_list_id=rule.prefix_list_id,
        description=description,
    )


def permissions(rules: Iterable[SecurityGroupRule]) -> tuple[ec2.IpPermission, ...]:
    """Rules in the view of DescribeSecurityGroups: one permission for each protocol and ports."""
    grouped: dict[tuple[str, int, int], list[SecurityGroupRule]] = {}
    for rule in rules:
        grouped.setdefault((rule.protocol, rule.from_port, rule.to_port), []).append(rule)
    return tuple(_permission(*key, same) for key, same in grouped.items())


def _permission(protocol: str, first: int, last: int, same: list[SecurityGroupRule]) -> ec2.IpPermission:
    shows_ports = protocol in WITH_PORTS | WITH_TYPES
    return ec2.IpPermission(
        ip_protocol=protocol,
        from_port=first if shows_ports else None,
        to_port=last if shows_ports else None,
        ip_ranges=tuple(
            ec2.IpRange(cidr_ip=r.cidr_ipv4, description=r.description) for r in same if r.cidr_ipv4 is not None
        ),
        ipv6_ranges=tuple(
            ec2.Ipv6Range(cidr_ipv6=r.cidr_ipv6, description=r.description) for r in same if r.cidr_ipv6 is not None
        ),
        user_id_group_pairs=tuple(
            ec2.UserIdGroupPair(group_id=r.referenced_group_id, user_id=r.owner, description=r.description)
            for r in same
            if r.referenced_group_id is not None
        ),
        prefix_list_ids=tuple(
            ec2.PrefixListId(prefix_list_id=r.prefix_list_id, description=r.description)
            for r in same
            if r.prefix_list_id is not None
        ),
    )


def flat(
    protocol: str | None, first: int | None, last: int | None, block: str | None, group_name: str | None
) -> ec2.IpPermission | None:
    """The permission that the members of a request outside ``IpPermissions`` stand for."""
    if group_name is not None:
        if block is not None or protocol is not None:
            raise AWSError(
                "InvalidParameterCombination",
                "The parameters sourceSecurityGroupName and cidrIp or ipProtocol may not be used together.",
            )
        return ec2.IpPermission(ip_protocol="-1", user_id_group_pairs=(ec2.UserIdGroupPair(group_name=group_name),))
    if protocol is None and block is None and first is None and last is None:
        return None
    if block is None:
        raise missing("cidrIp")
    return ec2.IpPermission(
        ip_protocol=protocol, from_port=first, to_port=last, ip_ranges=(ec2.IpRange(cidr_ip=block),)
    )
