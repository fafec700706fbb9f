"""Blocks of addresses in requests: read, put into canonical form, compared.  Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from openecs.api.ec2.errors import bad_value, invalid_value
from openecs.errors import AWSError
from openecs.model import network_text

#: The largest and the smallest block of a VPC or subnet.
LARGEST, SMALLEST = 16, 28
#: Blocks that mean something else on every host.
SPECIAL = tuple(ipaddress.IPv4Network(block) for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))


def block(text: str, code: str, member: str = "cidrBlock") -> ipaddress.IPv4Network:
    """A block for a VPC or subnet; bits of the host part are dropped, as on AWS.

    Raises ``code`` for a block that is too large, too small or not for interfaces.
    """
    network = network_text.ipv4_block(text)
    if network is None:
        raise bad_value(text[:256], member, "This is not a valid CIDR block.")
    if not LARGEST <= network.prefixlen <= SMALLEST:
        raise AWSError(code, f"The CIDR '{text}' is invalid.")
    if overlapping(network, SPECIAL):
        raise AWSError(code, f"The CIDR '{text}' is invalid: hosts use these addresses for themselves.")
    return network


def ipv4_rule(text: str) -> str:
    """A block in a rule, in canonical form."""
    network = network_text.ipv4_block(text)
    if network is None:
        raise invalid_value(f"CIDR block {text[:256]} is malformed")
    return str(network)


def ipv6_rule(text: str) -> str:
    """An IPv6 block in a rule, in canonical form."""
    network = network_text.ipv6_block(text)
    if network is None:
        raise invalid_value(f"CIDR block {text[:256]} is malformed")
    return str(network)


def overlapping(
    network: ipaddress.IPv4Network, others: Iterable[ipaddress.IPv4Network]
) -> ipaddress.IPv4Network | None:
    """The first of the others that shares addresses with ``network``."""
    return next((other for other in others if network.overlaps(other)), None)
