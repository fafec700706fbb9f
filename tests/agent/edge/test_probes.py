"""Probes against real servers on the loopback: what passes, and what is said of what does not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from self_signed import self_signed

from openecs.acs.host_documents import HealthCheckDocument, TargetEntry, TargetGroupDocument
from openecs.agent.edge import http2
from openecs.agent.edge.health import FAILED, PASSED, TIMED_OUT, mismatch
from openecs.agent.edge.probe import Probe, probe_of, run
from openecs.agent.edge.sockets import NamespaceSockets

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def sockets() -> contextlib.closing[NamespaceSockets]:
    with contextlib.closing(NamespaceSockets()) as made:
        yield made


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on the loopback; its port."""
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for talk in talks:
            talk.cancel()
        if talks:
            await asyncio.wait(talks)


def answer(text: bytes, heard: list[bytes] | None = None) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request)
        writer.write(text)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return handler


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def probe(port: int, **changes: object) -> Probe:
    return Probe("127.0.0.1", port, "HTTP", "HTTP1", "/", "200", 5.0)._replace(**changes)


@pytest.mark.parametrize(
    ("text", "matcher", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200", PASSED),
        (b"HTTP/1.0 200 OK\r\n\r\n", "200", PASSED),
        (b"HTTP/1.1 200\r\n\r\n", "200", PASSED),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "200-299", PASSED),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "200,302", PASSED),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200", PASSED),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 15 + b"HTTP/1.1 200 OK\r\n\r\n", "200", PASSED),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 16 + b"HTTP/1.1 200 OK\r\n\r\n", "200", FAILED),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "200", mismatch(503)),
        (b"HTTP/1.1 302 Found\r\n\r\n", "200-299", mismatch(302)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", "200", PASSED),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "200", FAILED),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "200", FAILED),
        (b"HTTP/1.1", "200", FAILED),
        (b"", "200", FAILED),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", "200", FAILED),
    ],
)
async def test_http(sockets: NamespaceSockets, text: bytes, matcher: str, outcome: object) -> None:
    async with serving(answer(text)) as port:
        assert await run(probe(port, matcher=matcher), sockets, None) == outcome


async def test_what_is_asked(sockets: NamespaceSockets) -> None:
    heard: list[bytes] = []
    async with serving(answer(b"HTTP/1.1 200 OK\r\n\r\n", heard)) as port:
        await run(probe(port, path="/health?deep=1"), sockets, None)
    request, *fields = heard[0].decode().strip().split("\r\n")
    assert request == "GET /health?deep=1 HTTP/1.1"
    assert {"User-Agent: ELB-HealthChecker/2.0", f"Host: 127.0.0.1:{port}", "Connection: close"} <= set(fields)


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS"])
@pytest.mark.parametrize("version", ["HTTP1", "HTTP2", "GRPC"])
async def test_a_target_that_does_not_answer(sockets: NamespaceSockets, protocol: str, version: str) -> None:
    async with serving(silence) as port:
        asked = probe(port, protocol=protocol, version=version, timeout=0.05)
        assert await run(asked, sockets, None) == TIMED_OUT


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "TCP"])
async def test_a_target_that_refuses(sockets: NamespaceSockets, protocol: str) -> None:
    async with serving(silence) as port:
        pass
    assert await run(probe(port, protocol=protocol), sockets, None) == FAILED


async def test_tcp_wants_a_connection_only(sockets: NamespaceSockets) -> None:
    async with serving(silence) as port:
        assert await run(probe(port, protocol="TCP", matcher=""), sockets, None) == PASSED


async def test_https_does_not_verify_and_wants_tls(sockets: NamespaceSockets, tmp_path: Path) -> None:
    tls = certified(tmp_path)
    ok = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    async with serving(ok, tls) as port:
        assert await run(probe(port, protocol="HTTPS"), sockets, None) == PASSED
        assert await run(probe(port), sockets, None) == FAILED
    async with serving(answer(b"HTTP/1.1 500 No\r\n\r\n"), tls) as port:
        assert await run(probe(port, protocol="HTTPS"), sockets, None) == mismatch(500)
    async with serving(answer(b"no tls here\r\n\r\n")) as port:
        assert await run(probe(port, protocol="HTTPS", timeout=0.2), sockets, None) in (FAILED, TIMED_OUT)


async def test_grpc(sockets: NamespaceSockets) -> None:
    calls: list[tuple[str, str | None]] = []

    class Service(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            calls.append((details.method, dict(details.invocation_metadata).get("user-agent")))
            if details.method != "/app.Health/Check":
                return None
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"fine")

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    chain, key = self_signed("elsewhere.example")
    credentials = grpc.ssl_server_credentials([(key, chain)])
    tls_port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        asked = probe(port, version="GRPC", path="/app.Health/Check", matcher="0")
        assert await run(asked, sockets, None) == PASSED
        assert await run(asked._replace(matcher="1-99"), sockets, None) == mismatch(0)
        assert await run(asked._replace(path="/AWS.ALB/healthcheck", matcher="12"), sockets, None) == PASSED
        assert await run(asked._replace(path="/AWS.ALB/healthcheck"), sockets, None) == mismatch(12)
        assert await run(asked._replace(port=tls_port, protocol="HTTPS"), sockets, None) == PASSED
        assert calls[0] == ("/app.Health/Check", "ELB-HealthChecker/2.0")
    finally:
        server.stop(None).wait()


async def test_a_server_of_http_1_is_no_grpc_target(sockets: NamespaceSockets) -> None:
    async with serving(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert await run(probe(port, version="GRPC", matcher="0"), sockets, None) == FAILED


FRAME_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (b"\x88", 200),
        (b"\x8e", 500),
        # :status by the static table's name, plain and in Huffman codes; table size update before it.
        (b"\x20\x48\x03503", 503),
        (b"\x48\x82\x64\x02", 302),
        (b"\x08\x03418" + b"\x00\x01x\x01y", 418),
    ],
)
async def test_http2_statuses(sockets: NamespaceSockets, block: bytes, code: int) -> None:
    heard: list[bytes] = []
    head = len(block).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readexactly(24))
        writer.write(FRAME_SETTINGS + b"\0\0\x08\x06\0\0\0\0\0pingpong" + head + block)
        await asyncio.Event().wait()

    async with serving(handler) as port:
        expected = PASSED if code == 200 else mismatch(code)
        assert await run(probe(port, version="HTTP2"), sockets, None) == expected
    assert heard == [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\0\0\0\x07\0\0\0\0\0", id="GOAWAY without a stream"),
        pytest.param(b"\0\0\0\x01\x0c\0\0\0\x01", id="HEADERS with padding that is not there"),
        # grpc-status in Huffman codes, far longer than any code.
        pytest.param(b"\0\x01\x11\x01\x05\0\0\0\x01\x00\x0bgrpc-status\xff\x81\x01" + b"\0" * 256, id="long code"),
    ],
)
async def test_a_hostile_target_only_fails_its_own_probe(sockets: NamespaceSockets, frame: bytes) -> None:
    async with serving(answer(FRAME_SETTINGS + frame)) as port:
        assert await run(probe(port, version="GRPC", matcher="0"), sockets, None) == FAILED


async def test_headers_without_an_end_are_given_up(sockets: NamespaceSockets) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(FRAME_SETTINGS + b"\0\x40\0\x01\0\0\0\0\x01" + b"\0" * 0x4000)
        writer.write(b"\0\x40\0\x09\0\0\0\0\x01" + b"\0" * 0x4000)
        await asyncio.Event().wait()

    async with serving(handler) as port:
        assert await run(probe(port, version="HTTP2"), sockets, None) == FAILED


@given(st.binary(max_size=300), st.integers(0, 12), st.integers(0, 255))
def test_no_answer_is_a_crash(data: bytes, kind: int, flags: int) -> None:
    async def ask() -> None:
        reader = asyncio.StreamReader()
        head = bytes([kind, flags]) + b"\0\0\0\x01"
        reader.feed_data(FRAME_SETTINGS + len(data).to_bytes(3, "big") + head + data)
        reader.feed_data(data)
        reader.feed_eof()
        with contextlib.suppress(http2.Http2Error, EOFError):
            await http2.ask(
                reader, Sink(), authority="a", path="/", scheme="http", user_agent="x", grpc=bool(len(data) % 2)
            )

    class Sink:
        def write(self, data: bytes) -> None:
            pass

    asyncio.run(ask())


def test_which_port_path_and_matcher() -> None:
    def made(target_port: int, **check: object) -> Probe:
        version = check.pop("version", "HTTP1")
        document = HealthCheckDocument(protocol=check.pop("protocol", "HTTP"), **check)  # type: ignore[arg-type]
        group = TargetGroupDocument(
            name="g", protocol="HTTP", port=80, target_type="ip", load_balancer_arn="a", health_check=document,
            protocol_version=version,  # type: ignore[arg-type]
        )  # fmt: skip
        return probe_of(group, TargetEntry(id="10.0.0.9", port=target_port, address="10.0.0.9"))

    assert made(8080)[:6] == ("10.0.0.9", 8080, "HTTP", "HTTP1", "/", "200")
    assert made(8080, port="9000", path="/up", matcher="200-299")[1:6] == (9000, "HTTP", "HTTP1", "/up", "200-299")
    assert made(50051, version="GRPC")[5] == "12"


def certified(folder: Path) -> ssl.SSLContext:
    chain, key = self_signed("elsewhere.example")
    (folder / "key.pem").write_bytes(key)
    (folder / "cert.pem").write_bytes(chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
