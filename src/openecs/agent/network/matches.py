"""Rules of security groups and network ACLs as nftables matches.  Pure.

IPv4 only: interfaces have no IPv6 address, so rules of ICMPv6 match nothing.
"""

from __future__ import annotations

from typing import Literal

from openecs.acs.host_documents import AclRule, GroupRule

#: Names of protocols that rules may use, and their numbers.
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
ALL_PORTS = ((-1, -1), (0, 65535))
EVERYWHERE = "0.0.0.0/0"


def group_chain(rules: tuple[GroupRule, ...], side: Literal["saddr", "daddr"], verdict: str) -> tuple[str, ...]:
    """The rules of one direction of a security group: what matches any gets the verdict."""
    lines = []
    for rule in rules:
        protocol = protocol_match(rule.protocol, rule.from_port, rule.to_port)
        if protocol is None:
            continue
        peer = f"ip {side} @{members(rule.group)} " if rule.group is not None else _block(rule.cidr, side)
        lines.append(f"{peer}{protocol}{verdict}")
    return tuple(lines)


def acl_chain(rules: tuple[AclRule, ...], side: Literal["saddr", "daddr"]) -> tuple[str, ...]:
    """The entries of one direction of an ACL: the first that matches decides, nothing matching is dropped."""
    lines = []
    for rule in sorted(rules, key=lambda r: r.number):
        protocol = protocol_match(rule.protocol, rule.from_port, rule.to_port)
        if protocol is not None:
            lines.append(f"{_block(rule.cidr, side)}{protocol}{'return' if rule.allow else 'drop'}")
    return (*lines, "drop")


def passes_all(chain: tuple[str, ...]) -> bool:
    """Whether the chain of an ACL's direction lets every packet through, as that of a default ACL does."""
    first = next((line for line in chain if line == "return" or not line.endswith(" return")), "drop")
    return first == "return"


def protocol_match(protocol: str, first: int, last: int) -> str | None:
    """The match for a protocol with its ports, or ICMP type and code; ``None`` when IPv4 has no such packets."""
    if protocol == "-1":
        return ""
    number = NUMBERS.get(protocol) or int(protocol)
    if number == 58:
        return None
    if number in (6, 17):
        if (first, last) in ALL_PORTS:
            return f"meta l4proto {number} "
        # The name of the header also matches the protocol.
        return f"{'tcp' if number == 6 else 'udp'} dport {first if first == last else f'{first}-{last}'} "
    if number == 1 and first >= 0:
        return f"icmp type {first} " + (f"icmp code {last} " if last >= 0 else "")
    return f"meta l4proto {number} "


def members(group: str) -> str:
    """The name of the set of a group's addresses."""
    return f"m_{group}"


def _block(cidr: str | None, side: str) -> str:
    return "" if cidr is None or cidr == EVERYWHERE else f"ip {side} {cidr} "
