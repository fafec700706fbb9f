"""The real Envoy on loopback: what attributes of load balancers, listeners and target groups change."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import grpc
import pytest
import websockets
from cryptography import x509
from envoy_world import LISTENER, World, forward, free_port, path, rule
from self_signed import self_signed

from openecs.acs.host_documents import BalancerInterface, BalancerRule, CertificateDocument, TargetEntry
from openecs.agent.edge.envoy_render import Place
from openecs.shapes import elbv2

ONE, TWO = "arn:aws:acm:us-east-1:000000000000:certificate/1", "arn:aws:acm:us-east-1:000000000000:certificate/2"
STICKY = {"stickiness.enabled": "true"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def certificate(*names: str) -> CertificateDocument:
    chain, key = self_signed(*names)
    return CertificateDocument(chain=chain.decode(), private_key=key.decode(), names=names)


@pytest.fixture(scope="module")
def certificates() -> dict[str, CertificateDocument]:
    return {ONE: certificate("one.test"), TWO: certificate("*.two.test")}


HTTPS: dict[str, Any] = {"protocol": "HTTPS", "certificates": (ONE, TWO)}


def trusting(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def shaken(world: World, name: str, context: ssl.SSLContext) -> tuple[str, str | None, str]:
    """TLS version, protocol chosen and common name of the certificate."""
    with context.wrap_socket(socket.create_connection(("127.0.0.1", world.port), 5), server_hostname=name) as secure:
        shown = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
        return secure.version() or "", secure.selected_alpn_protocol(), shown.subject.rfc4514_string()


def over_tls(world: World, request: str) -> str:
    """The answer to a request over HTTPS and HTTP/1.1."""
    plain = socket.create_connection(("127.0.0.1", world.port), 5)
    with trusting().wrap_socket(plain, server_hostname="one.test") as secure:
        secure.sendall(request.replace("\n", "\r\n").encode())
        found = b""
        while data := secure.recv(65536):
            found += data
    return found.decode()


GET = "GET /x HTTP/1.1\nHost: one.test\nConnection: close\n\n"


class Names(BaseHTTPRequestHandler):
    """Says at which port it is."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def do_GET(self) -> None:
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/login":
            self.send_header("Set-Cookie", "SESSION=abc; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def several(count: int, context: ssl.SSLContext | None = None) -> Iterator[list[int]]:
    """Targets, by their ports."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Names) for _ in range(count)]
    for server in servers:
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield [server.server_port for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def test_certificates_are_chosen_by_name(world: World, certificates: dict[str, CertificateDocument]) -> None:
    world.serve(listener=HTTPS, certificates=certificates)
    assert shaken(world, "one.test", trusting("h2", "http/1.1")) == ("TLSv1.2", "h2", "CN=one.test")
    assert shaken(world, "a.two.test", trusting())[2] == "CN=*.two.test"
    assert shaken(world, "other.test", trusting("http/1.1"))[1:] == ("http/1.1", "CN=one.test")
    world.serve(
        listener={**HTTPS, "ssl_policy": "ELBSecurityPolicy-TLS13-1-3-2021-06"},
        certificates=certificates,
        attributes={"routing.http2.enabled": "false"},
    )
    assert shaken(world, "one.test", trusting("h2", "http/1.1"))[:2] == ("TLSv1.3", "http/1.1")
    old = trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shaken(world, "one.test", old)


def test_targets_are_told_of_tls(world: World, certificates: dict[str, CertificateDocument]) -> None:
    attributes = {"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "true"}
    own = {"routing.http.request.x_amzn_tls_version.header_name": "X-Mine"}
    world.serve(listener={**HTTPS, "attributes": own}, certificates=certificates, attributes=attributes)
    told = over_tls(world, GET).lower()
    assert "x-mine: tlsv1.2" in told
    assert "x-amzn-tls-cipher-suite: ecdhe-ecdsa-aes" in told
    assert "x-forwarded-proto: https" in told
    world.serve(listener=HTTPS, certificates=certificates)
    assert "x-amzn-tls" not in over_tls(world, GET).lower()


def test_targets_that_speak_https(world: World, certificates: dict[str, CertificateDocument], tmp_path: Any) -> None:
    (tmp_path / "c.pem").write_text(certificates[ONE].chain + certificates[ONE].private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem")
    with several(1, context) as ports:
        world.serve(targets={"default": ports}, group={"protocol": "HTTPS"})
        assert world.ask()[:2] == (200, str(ports[0]))


def test_grpc_from_client_to_target(world: World, certificates: dict[str, CertificateDocument]) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    echo = grpc.stream_stream_rpc_method_handler(lambda items, _: (item + b"!" for item in items))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.Echo", {"Talk": echo}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        world.serve(
            listener=HTTPS, certificates=certificates, targets={"default": [port]}, group={"protocol_version": "GRPC"}
        )
        credentials = grpc.ssl_channel_credentials(certificates[ONE].chain.encode())
        options = (("grpc.ssl_target_name_override", "one.test"),)
        with grpc.secure_channel(f"127.0.0.1:{world.port}", credentials, options) as channel:
            talk = channel.stream_stream("/t.Echo/Talk")
            assert list(talk(iter((b"a", b"b")), timeout=5)) == [b"a!", b"b!"]
            missing = channel.unary_unary("/t.Echo/None")
            with pytest.raises(grpc.RpcError) as caught:
                missing(b"", timeout=5)
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]
    finally:
        server.stop(None)


def test_websockets_go_through(world: World) -> None:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async def talk() -> list[Any]:
        async with websockets.serve(echo, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            rendered = world.rendered(targets={"default": [port]})
            await world.envoy.apply(rendered.resources)
            async with websockets.connect(f"ws://127.0.0.1:{world.port}/x") as client:
                await client.send("hello")
                return [await client.recv(), sum((await world.envoy.in_flight()).values())]

    assert world.loop.run_until_complete(talk()) == ["hello", 1]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"mode": "append"}, "x-forwarded-for: 9.9.9.9,127.0.0.1"),
        ({"mode": "preserve"}, "x-forwarded-for: 9.9.9.9\n"),
        ({"mode": "remove"}, None),
    ],
)
def test_forwarded_for(world: World, attributes: dict[str, str], told: str | None) -> None:
    world.serve(attributes={f"routing.http.xff_header_processing.{name}": value for name, value in attributes.items()})
    _, body, _ = world.ask(headers={"X-Forwarded-For": "9.9.9.9"})
    found = body.lower().replace("\r", "").replace(", ", ",")
    assert ("x-forwarded-for" not in found) if told is None else told in found


def test_forwarded_for_with_the_clients_port(world: World) -> None:
    world.serve(attributes={"routing.http.xff_client_port.enabled": "true"})
    found = world.ask()[1].lower()
    assert int(found.partition("x-forwarded-for: 127.0.0.1:")[2].split()[0]) > 1024


def test_headers_with_odd_names(world: World) -> None:
    world.serve()
    assert "odd_name" in world.ask(headers={"odd_name": "1"})[1].lower()
    world.serve(attributes={"routing.http.drop_invalid_header_fields.enabled": "true"})
    told = world.ask(headers={"odd_name": "1", "fine-name": "2"})[1].lower()
    assert "odd_name" not in told
    assert "fine-name" in told
    assert "host:" in told


def test_headers_of_answers(world: World) -> None:
    attributes = {
        "routing.http.response.server.enabled": "false",
        "routing.http.response.strict_transport_security.header_value": "max-age=1%",
        "routing.http.response.x_frame_options.header_value": "DENY",
    }
    world.serve(listener={"attributes": attributes})
    headers = world.ask()[2]
    assert (headers["strict-transport-security"], headers["x-frame-options"]) == ("max-age=1%", "DENY")
    assert headers["server"] is None
    world.serve(listener={"attributes": attributes}, routes={"default": "out"})
    status, _, headers = world.ask()
    assert (status, headers["server"]) == (503, None)


@pytest.mark.parametrize(
    ("attributes", "first"),
    [
        ({}, "/"),
        ({"stickiness.type": "app_cookie", "stickiness.app_cookie.cookie_name": "SESSION"}, "/login"),
    ],
)
def test_clients_stay_with_their_target(world: World, attributes: dict[str, str], first: str) -> None:
    with several(3) as ports:
        world.serve(targets={"default": ports}, group_attributes={**STICKY, **attributes})
        for _ in range(4):
            _, target, headers = world.ask(first)
            cookies = "; ".join(value.split(";")[0] for value in headers.get_all("set-cookie"))
            assert {world.ask(headers={"Cookie": cookies})[1] for _ in range(6)} == {target}
        assert len({world.ask()[1] for _ in range(12)}) > 1


def test_a_client_whose_target_is_gone_gets_another(world: World) -> None:
    with several(2) as ports:
        world.serve(targets={"default": ports}, group_attributes=STICKY)
        _, target, headers = world.ask()
        cookies = "; ".join(value.split(";")[0] for value in headers.get_all("set-cookie"))
        left = [port for port in ports if str(port) != target]
        world.serve(targets={"default": left}, group_attributes=STICKY)
        assert world.ask(headers={"Cookie": cookies})[:2] == (200, str(left[0]))


@pytest.mark.parametrize("algorithm", ["round_robin", "least_outstanding_requests", "weighted_random"])
def test_algorithms_use_all_targets(world: World, algorithm: str) -> None:
    with several(3) as ports:
        world.serve(targets={"default": ports}, group_attributes={"load_balancing.algorithm.type": algorithm})
        counts = Counter(world.ask()[1] for _ in range(45))
        assert set(counts) == {str(port) for port in ports}
        if algorithm == "round_robin":
            assert set(counts.values()) == {15}


def test_a_target_that_starts_slowly_gets_its_share(world: World) -> None:
    with several(3) as ports:
        for weight, expected in ((5, 0.024), (50, 0.2), (100, 1 / 3)):
            weights = {"default": {**dict.fromkeys(ports, 100), ports[2]: weight}}
            world.serve(targets={"default": ports}, weights=weights)
            counts = Counter(world.ask()[1] for _ in range(300))
            assert abs(counts[str(ports[2])] / 300 - expected) < 0.03, (weight, counts)


def test_weights(world: World) -> None:
    world.serve(rule(forward(("a", 90), ("b", 10))))
    counts = Counter(world.ask()[1].split()[0] for _ in range(200))
    assert 150 < counts["a"] < 200
    assert counts["a"] + counts["b"] == 200
    world.serve(rule(forward(("a", 0), ("b", 1))))
    assert {world.ask()[1].split()[0] for _ in range(5)} == {"b"}
    world.serve(rule(forward(("a", 0))))
    assert world.ask()[0] == 503


def test_a_target_that_does_not_answer_in_time_is_504(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.serve(targets={"default": [silent.getsockname()[1]]}, attributes={"idle_timeout.timeout_seconds": "1"})
        status, body, headers = world.ask()
        assert (status, headers["server"]) == (504, "awselb/2.0")
        assert "504 Gateway Time-out" in body


def regexes(field: str, *values: str) -> elbv2.RuleCondition:
    return elbv2.RuleCondition(field=field, regex_values=values)


@pytest.mark.parametrize(
    ("condition", "asked", "hit"),
    [
        (regexes("host-header", r"^(api|www)[.]test$"), {"headers": {"Host": "www.test"}}, True),
        (regexes("host-header", r"^(api|www)[.]test$"), {"headers": {"Host": "x.www.test"}}, False),
        (regexes("path-pattern", r"^/v[0-9]+/"), {"path": "/v12/x?q"}, True),
        (regexes("path-pattern", r"^/v[0-9]+/"), {"path": "/x/v1/"}, False),
    ],
)
def test_regular_expressions(world: World, condition: Any, asked: Any, hit: bool) -> None:
    world.serve(rule(forward("a"), condition))
    assert world.ask(**asked)[1].split()[0] == ("a" if hit else "default")


def test_clients_from_outside_are_sent_to_ports_that_they_reach(world: World) -> None:
    outside = free_port()
    redirect = elbv2.Action(
        type="redirect", redirect_config=elbv2.RedirectActionConfig(path="/new", status_code="HTTP_301")
    )
    place = Place(endpoints={LISTENER: ("127.0.0.1", outside)})
    world.serve(rule(redirect, path("/old")), place=place)
    inner = world.port
    try:
        assert world.ask("/old", headers={"Host": f"h.test:{inner}"})[2]["location"] == f"http://h.test:{inner}/new"
        world.port = outside
        assert world.ask("/old", headers={"Host": f"localhost:{outside}"})[2]["location"] == (
            f"http://localhost:{outside}/new"
        )
        assert f"host: localhost:{outside}" in world.ask(headers={"Host": f"localhost:{outside}"})[1].lower()
    finally:
        world.port = inner


def test_the_host_may_be_preserved(world: World) -> None:
    redirect = elbv2.RedirectActionConfig(host="new.#{host}", port="8443", protocol="HTTPS", status_code="HTTP_302")
    moved = rule(elbv2.Action(type="redirect", redirect_config=redirect), path("/old"))
    world.serve(moved, attributes={"routing.http.preserve_host_header.enabled": "true"})
    assert "host: odd.test:99\n" in world.ask(headers={"Host": "odd.test:99"})[1].lower().replace("\r", "")
    location = world.ask("/old", headers={"Host": "odd.test:99"})[2]["location"]
    assert location == "https://new.odd.test:8443/old"
    assert world.ask("/old", headers={"Host": "odd.test"})[2]["location"] == location


def test_zones_keep_to_themselves(world: World) -> None:
    interfaces = tuple(
        BalancerInterface(interface_id=f"eni-{zone}", subnet_id=zone, availability_zone=zone, address=address)
        for zone, address in (("a", "127.0.0.1"), ("b", "127.0.0.2"))
    )
    with several(2) as ports:
        targets = tuple(
            TargetEntry(id="default", port=port, address="127.0.0.1", availability_zone=zone)
            for zone, port in zip("ab", ports, strict=True)
        )
        attributes = {"load_balancing.cross_zone.enabled": "false"}
        world.serve(balancer={"interfaces": interfaces}, group={"targets": targets, "attributes": attributes})
        for address, port in zip(("127.0.0.1", "127.0.0.2"), ports, strict=True):
            for _ in range(4):
                with socket.create_connection((address, world.port), 5) as client:
                    client.sendall(GET.replace("\n", "\r\n").encode())
                    assert int(client.makefile("rb").read().split()[-1]) == port


NETWORK: dict[str, Any] = {"type": "network"}
TCP: dict[str, Any] = {"protocol": "TCP", "arn": LISTENER.replace("/app/", "/net/")}


class Lines:
    """A TCP target: keeps what comes, answers with its port."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(4096):
                self.heard.append(data)
                connection.sendall(f"{self.port}\n".encode())


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines()
    yield found
    found.server.close()


class Connecting:
    """Clients that connect again and again while the ``with`` block runs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._end = threading.Event()
        #: Port of the target → connections; what went wrong.
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(10)

    def next(self, count: int) -> Counter[int]:
        """Who answers the next connections."""
        before = self.answers.copy()
        deadline = time.monotonic() + 20
        while sum(self.answers.values()) < sum(before.values()) + count:
            assert time.monotonic() < deadline, self.failures
            time.sleep(0.002)
        return self.answers - before

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.answers[said(self._port)] += 1
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))


def said(port: int) -> int:
    """The port of the target that a new connection comes to."""
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"x")
        return int(client.recv(16))


def test_connections_move_with_the_weights_of_a_network_load_balancer(world: World) -> None:
    blue, green = Lines(), Lines()
    served: dict[str, Any] = {
        "balancer": NETWORK,
        "group": {"protocol": "TCP"},
        "targets": {"default": [blue.port], "a": [green.port]},
    }

    def shift(*weights: tuple[str, int]) -> None:
        default = BalancerRule(arn="default", priority=0, actions=(forward(*weights),))
        world.serve(**served, listener={**TCP, "rules": (default,)})

    shift(("default", 100), ("a", 0))
    with (
        Connecting(world.port) as load,
        socket.create_connection(("127.0.0.1", world.port), 5) as kept,
    ):
        assert set(load.next(50)) == {blue.port}
        pid = world.envoy.pid()
        for percent in (25, 50, 75):
            shift(("default", 100 - percent), ("a", percent))
            share = load.next(600)[green.port] / 600
            assert abs(share - percent / 100) < 0.12, (percent, share)
        shift(("default", 0), ("a", 100))
        load.next(10)
        assert set(load.next(50)) == {green.port}
        # What was connected before stays where it is.
        kept.sendall(b"x")
        assert int(kept.recv(16)) == blue.port
        assert world.envoy.pid() == pid
    assert load.failures == []
    for lines in (blue, green):
        lines.server.close()


def test_proxy_protocol_tells_the_client(world: World, lines: Lines) -> None:
    world.serve(
        balancer=NETWORK,
        listener=TCP,
        targets={"default": [lines.port]},
        group={"protocol": "TCP", "attributes": {"proxy_protocol_v2.enabled": "true"}},
    )
    with socket.create_connection(("127.0.0.1", world.port), 5) as client:
        client.sendall(b"hello")
        assert client.recv(16).startswith(f"{lines.port}\n".encode())
        port = client.getsockname()[1]
        # What is Envoy's may have come in a packet of its own; each has its answer.
        while not b"".join(lines.heard).endswith(b"hello"):
            assert client.recv(16)
    heard = b"".join(lines.heard)
    assert heard.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11")
    assert heard[16:20] == socket.inet_aton("127.0.0.1")
    assert int.from_bytes(heard[24:26], "big") == port
    assert heard.endswith(b"hello")


@pytest.mark.docker
@pytest.mark.parametrize(
    ("attribute", "change"),
    [
        ("deregistration_delay.connection_termination.enabled", {"targets": {"default": []}}),
        ("target_health_state.unhealthy.connection_termination.enabled", {"routes": {"default": "out"}}),
    ],
)
@pytest.mark.parametrize("value", ["true", "false"])
def test_connections_end_with_their_target(
    world: World, lines: Lines, attribute: str, change: dict[str, Any], value: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    group = {"protocol": "TCP", "attributes": {attribute: value}}
    served: dict[str, Any] = {
        "balancer": NETWORK, "listener": TCP, "group": group, "targets": {"default": [lines.port]}
    }  # fmt: skip
    world.serve(**served)
    with socket.create_connection(("127.0.0.1", world.port), 5) as client:
        client.sendall(b"1")
        assert client.recv(16)
        # Whoever drains keeps what it has.
        world.serve(**served, routes={"default": "draining"})
        client.sendall(b"2")
        assert client.recv(16)
        world.serve(**{**served, **change})
        client.settimeout(2)
        try:
            client.sendall(b"3")
            alive = client.recv(16) != b""
        except OSError:
            alive = False
    assert alive == (value == "false")
