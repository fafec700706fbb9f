"""One probe of one target: connect, ask, look at the answer.

A TCP probe passes when the connection stands.  HTTP probes send what Application Load Balancers
send, over HTTP/1.1 or, for target groups of that protocol version, HTTP/2; gRPC ones call a
method.  Certificates of targets are not verified, as on AWS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import NamedTuple

import structlog

from openecs.acs.host_documents import TargetEntry, TargetGroupDocument
from openecs.agent.edge import http2
from openecs.agent.edge.health import FAILED, PASSED, TIMED_OUT, Failed, Outcome, mismatch
from openecs.agent.edge.matcher import Matcher, MatcherError
from openecs.agent.edge.sockets import NamespaceSockets

_log = structlog.get_logger("openecs.agent")

USER_AGENT = "ELB-HealthChecker/2.0"
#: Bytes of an answer's head, or of a body that is read so that the target can finish writing it.
MAX_HEAD, MAX_BODY = 16 * 1024, 64 * 1024
#: Heads of an answer: interim ones (1xx) and the one that counts.
MAX_HEADS = 16
_DEFAULT_MATCHERS = {"application": "200", "grpc": "12"}


class Probe(NamedTuple):
    """What to ask, and what passes.  ``timeout`` in seconds."""

    address: str
    port: int
    protocol: str
    version: str
    path: str
    matcher: str
    timeout: float


def probe_of(group: TargetGroupDocument, target: TargetEntry) -> Probe:
    """How a target of that group is probed."""
    check = group.health_check
    return Probe(
        address=target.address,
        port=int(check.port) if check.port.isdigit() else target.port,
        protocol=check.protocol,
        version=group.protocol_version,
        path=check.path or "/",
        matcher=check.matcher or _DEFAULT_MATCHERS["grpc" if group.protocol_version == "GRPC" else "application"],
        timeout=check.timeout,
    )


async def run(probe: Probe, sockets: NamespaceSockets, namespace: Path | None) -> Outcome:
    """Probe once, from inside ``namespace``.  Never raises but when cancelled."""
    try:
        passing = None if probe.protocol == "TCP" else Matcher(probe.matcher)
        async with asyncio.timeout(probe.timeout):
            code = await _ask(probe, sockets, namespace)
    except TimeoutError:
        return TIMED_OUT
    except MatcherError:
        return Failed("Elb.InternalError")
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, http2.Http2Error):
        # Refused, unreachable, reset, no TLS, no HTTP: AWS has one reason for all of these.
        return FAILED
    except Exception:  # noqa: BLE001 -- what a target sends must not end the host's agent
        _log.exception("a probe failed by a mistake of its own", address=probe.address, port=probe.port)
        return Failed("Elb.InternalError")
    return PASSED if code is None or passing is None or code in passing else mismatch(code)


async def _ask(probe: Probe, sockets: NamespaceSockets, namespace: Path | None) -> int | None:
    """The code of the answer; ``None`` where only the connection counts."""
    connection = await sockets.tcp(namespace)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (probe.address, probe.port))
    except BaseException:
        connection.close()
        raise
    if probe.protocol == "TCP":
        connection.close()
        return None
    wants_http2 = probe.version != "HTTP1"
    tls = _tls(http2=wants_http2) if probe.protocol == "HTTPS" else None
    reader, writer = await asyncio.open_connection(
        sock=connection, ssl=tls, server_hostname="" if tls else None, limit=MAX_HEAD
    )
    try:
        if wants_http2:
            return await http2.ask(
                reader,
                writer,
                authority=f"{probe.address}:{probe.port}",
                path=probe.path,
                scheme=probe.protocol.lower(),
                user_agent=USER_AGENT,
                grpc=probe.version == "GRPC",
            )
        return await _ask_http1(probe, reader, writer)
    finally:
        if tls is None:
            writer.close()
        else:
            # Saying good-bye takes the target's help, which a probe does not wait for.
            writer.transport.abort()


async def _ask_http1(probe: Probe, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    writer.write(
        f"GET {probe.path} HTTP/1.1\r\n"
        f"Host: {probe.address}:{probe.port}\r\n"
        "Connection: close\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        "Accept-Encoding: gzip, compressed\r\n"
        "\r\n".encode()
    )
    for _ in range(MAX_HEADS):
        head = await reader.readuntil(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        version, code = status.split(" ", 2)[:2]
        if not version.startswith("HTTP/1.") or len(code) != 3 or not code.isdigit():
            raise ValueError(f"no HTTP answer: {status[:60]!r}")
        if int(code) >= 200:
            break
    else:
        raise ValueError("nothing but interim answers")
    length = next((line.split(":", 1)[1].strip() for line in fields if line.lower().startswith("content-length:")), "")
    if length.isdigit() and int(length) <= MAX_BODY:
        # Read, so that the target does not see its answer cut off; what it says does not matter.
        with contextlib.suppress(OSError, EOFError):
            await reader.readexactly(int(length))
    return int(code)


def _tls(*, http2: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if http2:
        context.set_alpn_protocols(["h2"])
    return context
