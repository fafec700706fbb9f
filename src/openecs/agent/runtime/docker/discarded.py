"""What the engine says it left out of a container that it created.  Pure.

Docker answers a creation with warnings instead of an error when the kernel lacks what a limit
needs, and the container then runs without it.  Warnings about anything else are not judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: How Docker says that something will not be as it was asked for.
_SIGNS = ("discarded", "limited without")
#: The least weight of a container, which is sent when its definition asks for none.
_LEAST_SHARES = 2


def _swap(host_config: Mapping[str, Any]) -> bool:
    return bool(host_config.get("MemorySwap"))


def _shares(host_config: Mapping[str, Any]) -> bool:
    return (host_config.get("CpuShares") or 0) > _LEAST_SHARES


def _never(_: Mapping[str, Any]) -> bool:
    return False


#: Warnings that the engine gives unasked as well, and whether the container's settings make them matter.
_MATTERS: tuple[tuple[str, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("swap limit", _swap),
    ("cpu shares", _shares),
    ("published ports", _never),
)


def discarded_limit(warnings: Sequence[str], host_config: Mapping[str, Any]) -> str | None:
    """The first warning that says a limit in ``host_config`` (Docker's ``HostConfig``) is not in force, if any."""
    for warning in warnings:
        text = warning.lower()
        if not any(sign in text for sign in _SIGNS):
            continue
        matters = next((check for topic, check in _MATTERS if topic in text), None)
        if matters is None or matters(host_config):
            return warning
    return None
