"""The lines of AWS's access logs, made of what Envoy wrote down of a request or connection.  Pure.

Fields, their order and their quoting are AWS's.  What Envoy does not know is ``-``, as AWS writes
what it does not know; for TLS connections these are the alert, the serial number, the group and
what was negotiated by ALPN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from openecs.agent.edge.envoy_access_format import ROUTE_SEPARATOR

#: ARNs of a listener's certificates, and the DNS names of the one that was shown → its ARN.
ChooseCertificate = Callable[[tuple[str, ...], str], str]


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """One line of Envoy's, as ``envoy_access_format`` words it; what has no value is missing."""

    listener: str
    folder: str
    port: int
    certificates: str = ""
    start: str = "0"
    duration_us: int | None = None
    request_us: int | None = None
    target_us: int | None = None
    response_us: int | None = None
    connection_ms: int | None = None
    client: str | None = None
    local: str | None = None
    target: str | None = None
    cluster: str | None = None
    status: int | None = None
    flags: str | None = None
    details: str | None = None
    received: int | None = None
    received_headers: int | None = None
    sent: int | None = None
    sent_headers: int | None = None
    method: str | None = None
    path: str | None = None
    original_path: str | None = None
    protocol: str | None = None
    host: str | None = None
    agent: str | None = None
    upgrade: str | None = None
    content_type: str | None = None
    trace: str | None = None
    tls_cipher: str | None = None
    tls_version: str | None = None
    sni: str | None = None
    names: str | None = None
    rule: str | None = None
    location: str | None = None
    connection: int | None = None


class Origin(NamedTuple):
    """Whose line it is."""

    region: str
    account: str
    #: ``app/web/50dc6c495c0c9188``
    balancer: str
    listener: str


def origin(listener_arn: str) -> Origin:
    """Taken from a listener's ARN."""
    _, _, _, region, account, path = listener_arn.split(":", 5)
    _, kind, name, balancer, listener = path.split("/")
    return Origin(region, account, f"{kind}/{name}/{balancer}", listener)


def line(raw: Raw, choose: ChooseCertificate) -> str:
    """The line for one request of an application load balancer or one connection of a network one."""
    whose = origin(raw.listener)
    return _stream(raw, whose, choose) if whose.balancer.startswith("net/") else _request(raw, whose, choose)


def _request(raw: Raw, whose: Origin, choose: ChooseCertificate) -> str:
    secure = raw.tls_version is not None
    answered = raw.details == "via_upstream" and raw.status
    priority, _, action = (raw.rule or "-1").partition(ROUTE_SEPARATOR)
    begun = _begun(raw)
    # The client left before there was an answer; Envoy has no code for that.
    status = 460 if not raw.status and "DC" in (raw.flags or "") else raw.status or "-"
    scheme = "https" if secure else "http"
    host = (raw.host or "").rpartition(":")[0] if _has_port(raw.host or "") else raw.host or ""
    path = raw.original_path or raw.path or "-"
    times = (raw.request_us, raw.target_us, raw.response_us) if raw.target else (None, None, None)
    target = raw.target or "-"
    reached = f'"{target}"' if raw.target else '"-"'
    fields = (
        _kind(raw, secure=secure),
        _time(begun + timedelta(microseconds=raw.duration_us or 0)),
        whose.balancer,
        raw.client or "-",
        target,
        *(_seconds(found) for found in times),
        status,
        raw.status if answered else "-",
        (raw.received or 0) + (raw.received_headers or 0),
        (raw.sent or 0) + (raw.sent_headers or 0),
        _quoted(f"{raw.method or '-'} {scheme}://{host}:{raw.port}{path} {raw.protocol or '-'}"),
        _quoted(raw.agent or "-"),
        raw.tls_cipher or "-",
        raw.tls_version or "-",
        _group_arn(raw, whose),
        _quoted(raw.trace or "-"),
        _quoted(raw.sni or "-"),
        _quoted(_certificate(raw, choose)),
        priority,
        _time(begun),
        _quoted(action or "-"),
        _quoted((raw.location or "-") if action == "redirect" else "-"),
        '"-"',
        reached,
        _quoted(str(raw.status) if answered else "-"),
        '"-"',
        '"-"',
        _connection(raw),
    )
    return " ".join(map(str, fields)) + "\n"


def _stream(raw: Raw, whose: Origin, choose: ChooseCertificate) -> str:
    begun = _begun(raw)
    fields = (
        "tls",
        "2.0",
        _plain_time(begun + timedelta(milliseconds=raw.connection_ms or 0)),
        whose.balancer,
        whose.listener,
        raw.client or "-",
        raw.local or "-",
        raw.connection_ms if raw.connection_ms is not None else "-",
        "-",
        raw.received or 0,
        raw.sent or 0,
        "-",
        _certificate(raw, choose),
        "-",
        raw.tls_cipher or "-",
        (raw.tls_version or "-").lower().replace(".", ""),
        "-",
        _escaped(raw.sni or "-"),
        "-",
        "-",
        "-",
        _plain_time(begun),
    )
    return " ".join(map(str, fields)) + "\n"


def _kind(raw: Raw, *, secure: bool) -> str:
    if (raw.upgrade or "").lower() == "websocket":
        return "wss" if secure else "ws"
    if raw.protocol == "HTTP/2" and secure:
        return "grpcs" if (raw.content_type or "").startswith("application/grpc") else "h2"
    return "https" if secure else "http"


def _group_arn(raw: Raw, whose: Origin) -> str:
    if not raw.cluster:
        return "-"
    partition = raw.listener.split(":", 2)[1]
    name = raw.cluster.partition("@")[0]
    return f"arn:{partition}:elasticloadbalancing:{whose.region}:{whose.account}:targetgroup/{name}"


def _certificate(raw: Raw, choose: ChooseCertificate) -> str:
    arns = tuple(raw.certificates.split())
    if raw.tls_version is None or not arns:
        return "-"
    return arns[0] if len(arns) == 1 else choose(arns, raw.names or "")


def _connection(raw: Raw) -> str:
    """Connections have no name in Envoy; this one differs between any two of one load balancer."""
    if raw.connection is None:
        return "-"
    known = f"{raw.listener} {raw.client} {raw.connection}"
    return f"TID_{hashlib.sha256(known.encode()).hexdigest()[:32]}"


def _begun(raw: Raw) -> datetime:
    seconds, _, rest = raw.start.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(rest or 0))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def _plain_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _seconds(microseconds: int | None) -> str:
    return "-1" if microseconds is None or microseconds < 0 else f"{microseconds / 1_000_000:.3f}"


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and ":" in host


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    """Quotes, and what a line cannot hold, as AWS escapes them."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}" for byte in text.encode())
