"""Which private addresses an installation gives to its awsvpc tasks.

Installations that share a machine must not share addresses.  The user's default installation
has the documented range; another one gets a part of the space above it by the name of its
folder, so that it is the same at every ``up``; ``--address-range`` says otherwise.  Pure.
"""

from __future__ import annotations

import hashlib
import ipaddress
from pathlib import Path

from openecs.model.network import DEFAULT_RANGE

#: The space out of which ranges are chosen, and the size of one: three subnets of 1019 addresses.
SPACE = ipaddress.IPv4Network("10.208.0.0/12")
PREFIX_LENGTH = 20


def choose_range(home: Path, default_home: Path) -> str:
    """The range of the installation in ``home`` when nobody said which."""
    if home == default_home:
        return DEFAULT_RANGE
    taken = ipaddress.IPv4Network(DEFAULT_RANGE)
    free = [block for block in SPACE.subnets(new_prefix=PREFIX_LENGTH) if not block.overlaps(taken)]
    number = int.from_bytes(hashlib.sha256(str(home).encode()).digest()[:8])
    return str(free[number % len(free)])
