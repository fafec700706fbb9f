"""Blocks of addresses in requests: read, put into canonical form, compared.  Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from openecs.api.ec2.errors import bad_value, invalid_value
from openecs.errors import AWSError

#: The largest and the smallest block of a VPC or subnet.
LARGEST, SMALLEST = 16, 28
#: Blocks that mean something else on every host.
SPECIAL = tuple(ipaddress.IPv4Network(block) for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))


def block(text: str, code: str, member: str = "cidrBlock") -> ipaddress.IPv4Network:
    """A block for a VPC or subnet; bits of the host part are dropped, as on AWS.

    Raises ``code`` for a block that is too large, too small or not for interfaces.
    """
    network = _ipv4(text)
    if network is None:
        raise bad_value(text[:256], member, "This is not a valid CIDR block.")
    if not LARGEST <= network.prefixlen <= SMALLEST:
        raise AWSError(code, f"The CIDR '{text}' is invalid.")
    if overlapping(network, SPECIAL):
        raise AWSError(code, f"The CIDR '{text}' is invalid: hosts use these addresses for themselves.")
    return network


def ipv4_rule(text: str) -> str:
    """A block in a rule, in canonical form."""
    network = _ipv4(text)
    if network is None:
        raise invalid_value(f"CIDR block {text[:256]} is malformed")
    return str(network)


def ipv6_rule(text: str) -> str:
    """An IPv6 block in a rule, in canonical form."""
    try:
        # A zone ("fe80::%eth0/64"), which the library would take, is no part of a block.
        if "/" not in text or "%" in text:
            raise ValueError(text)
        return str(ipaddress.IPv6Network(text, strict=False))
    except ValueError:
        raise invalid_value(f"CIDR block {text[:256]} is malformed") from None


def overlapping(
    network: ipaddress.IPv4Network, others: Iterable[ipaddress.IPv4Network]
) -> ipaddress.IPv4Network | None:
    """The first of the others that shares addresses with ``network``."""
    return next((other for other in others if network.overlaps(other)), None)


def _ipv4(text: str) -> ipaddress.IPv4Network | None:
    # A prefix length is asked for; netmasks, which the library would take, are not.
    if not text.rpartition("/")[2].isdecimal() or "/" not in text:
        return None
    try:
        return ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return None
