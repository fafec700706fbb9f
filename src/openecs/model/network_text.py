"""Blocks of addresses and ports as requests write them, read strictly: one spelling for each. Pure.

The standard library reads more than AWS does: netmasks, blocks without a prefix length, zones.
"""

from __future__ import annotations

import ipaddress
import re

_PREFIX_LENGTH = re.compile(r"[^%/]+/(?:0|[1-9][0-9]{0,2})")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def ipv4_block(text: str) -> ipaddress.IPv4Network | None:
    """The block, bits of the host part dropped; ``None`` for what is none."""
    try:
        return ipaddress.IPv4Network(text, strict=False) if _PREFIX_LENGTH.fullmatch(text) else None
    except ValueError:
        return None


def ipv6_block(text: str) -> ipaddress.IPv6Network | None:
    """The block, bits of the host part dropped; ``None`` for what is none."""
    try:
        return ipaddress.IPv6Network(text, strict=False) if _PREFIX_LENGTH.fullmatch(text) else None
    except ValueError:
        return None


def port(text: str) -> int | None:
    """A port from 1 to 65535; ``None`` for what is none."""
    number = int(text) if _PORT.fullmatch(text) else 0
    return number if 0 < number <= 65535 else None
