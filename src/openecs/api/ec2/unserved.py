"""Settings of EC2 requests that no host of ours can honour: refused by name, never ignored."""

from __future__ import annotations

from typing import Any

from openecs.api.ec2.errors import unsupported


def refuse_set(request: Any, *members: str) -> None:
    """Raise UnsupportedOperation for the first of ``members`` (attribute names) that the request sets."""
    for member in members:
        value = getattr(request, member)
        if value is None or value is False or value == () or value == 0:
            continue
        raise unsupported("".join(part.capitalize() for part in member.split("_")))
