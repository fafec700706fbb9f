"""Entries of network ACLs between requests, records and replies.  Pure."""

from __future__ import annotations

import re

from openecs.api.ec2 import cidr
from openecs.api.ec2.errors import bad_value, invalid_combination, invalid_value, missing
from openecs.model.network_acl import LAST_RULE, AclEntry
from openecs.shapes import ec2

_NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_PORTS, _ICMP = frozenset({"6", "17"}), frozenset({"1", "58"})


def entry(request: ec2.CreateNetworkAclEntryRequest | ec2.ReplaceNetworkAclEntryRequest) -> AclEntry:
    """The entry that a request describes.  Raises EC2's errors."""
    check_number(request.rule_number)
    protocol = _protocol(request.protocol)
    if (request.cidr_block is None) == (request.ipv6_cidr_block is None):
        raise invalid_combination("Exactly one of cidrBlock and ipv6CidrBlock must be given.")
    first, last = _ports(request.port_range) if protocol in _PORTS else (None, None)
    kind, code = _icmp(request.icmp_type_code) if protocol in _ICMP else (None, None)
    return AclEntry(
        number=request.rule_number,
        egress=request.egress,
        action=request.rule_action,
        protocol=protocol,
        cidr_ipv4=cidr.ipv4_rule(request.cidr_block) if request.cidr_block is not None else None,
        cidr_ipv6=cidr.ipv6_rule(request.ipv6_cidr_block) if request.ipv6_cidr_block is not None else None,
        from_port=first,
        to_port=last,
        icmp_type=kind,
        icmp_code=code,
    )


def check_number(number: int) -> None:
    """Raise InvalidParameterValue for a number that no entry of a user can have."""
    if not 1 <= number < LAST_RULE:
        raise bad_value(number, "ruleNumber", f"Use a number from 1 to {LAST_RULE - 1}.")


def view(kept: AclEntry) -> ec2.NetworkAclEntry:
    """The entry as replies show it."""
    return ec2.NetworkAclEntry(
        rule_number=kept.number,
        egress=kept.egress,
        rule_action=kept.action,
        protocol=kept.protocol,
        cidr_block=kept.cidr_ipv4,
        ipv6_cidr_block=kept.cidr_ipv6,
        port_range=ec2.PortRange(from_=kept.from_port, to=kept.to_port) if kept.from_port is not None else None,
        icmp_type_code=(
            ec2.IcmpTypeCode(type=kept.icmp_type, code=kept.icmp_code) if kept.icmp_type is not None else None
        ),
    )


def protocol_names(number: str) -> list[str | None]:
    """By what filters know a protocol: its number and its name."""
    return [number, _NAMES.get(number)]


def _protocol(text: str) -> str:
    number = _NUMBERS.get(text.lower(), text)
    if number != "-1" and (not re.fullmatch(r"0|[1-9][0-9]{0,2}", number) or int(number) > 255):
        raise bad_value(text[:64], "protocol", "Use a protocol number, or -1 for all protocols.")
    return number


def _ports(wanted: ec2.PortRange | None) -> tuple[int, int]:
    if wanted is None or wanted.from_ is None or wanted.to is None:
        raise missing("portRange")
    first, last = wanted.from_, wanted.to
    # AWS takes -1 to -1 for all ports.
    if (first, last) == (-1, -1):
        return 0, 65535
    if not 0 <= first <= last <= 65535:
        raise invalid_value(f"Invalid TCP/UDP port range ({first}:{last})")
    return first, last


def _icmp(wanted: ec2.IcmpTypeCode | None) -> tuple[int, int]:
    if wanted is None or wanted.type is None:
        raise missing("icmpTypeCode.type")
    kind, code = wanted.type, -1 if wanted.code is None else wanted.code
    if not -1 <= kind <= 255 or not -1 <= code <= 255 or (kind == -1 and code != -1):
        raise invalid_value(f"Invalid ICMP type and code ({kind}:{code})")
    return kind, code
