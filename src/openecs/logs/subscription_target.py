"""Where a subscription filter sends events: a log group or an HTTP endpoint.  Values only."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from openecs import arn as arns
from openecs.http.address import TcpAddress


class GroupTarget(NamedTuple):
    """A log group."""

    region: str
    account: str
    group: str


class HttpTarget(NamedTuple):
    """An HTTP endpoint; ``path`` with its query, escaped."""

    address: TcpAddress
    path: str


def target_of(destination: str) -> GroupTarget | HttpTarget | None:
    """What a ``destinationArn`` names; ``None`` for what cannot be a destination here."""
    if destination.startswith(("http://", "https://")):
        return _endpoint(destination)
    parsed = arns.parse(destination)
    if parsed is None or parsed.service != "logs" or not parsed.resource.startswith("log-group:"):
        return None
    name = parsed.resource.removeprefix("log-group:").removesuffix(":*")
    return GroupTarget(parsed.region, parsed.account, name) if name and ":" not in name else None


def _endpoint(url: str) -> HttpTarget | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if (
        not parts.hostname
        or parts.username
        or parts.fragment
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        return None
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return HttpTarget(TcpAddress(parts.hostname, port or (443 if tls else 80), tls=tls), path)
