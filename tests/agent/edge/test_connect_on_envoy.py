"""The real Envoy divides the traffic of an endpoint of Service Connect, while that changes."""

from __future__ import annotations

import http.client
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from envoy_world import World, free_port

from openecs.acs.host_documents import ConnectDocument, ConnectTarget, ConnectTest
from openecs.acs.task_payload import ConnectAlias, ConnectIngress, ConnectPayload
from openecs.agent.edge import connect_render
from openecs.agent.edge.connect_render import ConnectPart
from openecs.agent.edge.envoy_resources import Resources

ADDRESS = "127.255.0.1"


class Calls:
    """A task's calls to an endpoint over HTTP and over TCP; ``a`` and ``b`` are in the two places."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ports = {"http": free_port(), "tcp": free_port(), "ingress": free_port()}
        aliases = tuple(ConnectAlias(kind, ADDRESS, self.ports[kind], f"ns-1/{kind}", kind) for kind in ("http", "tcp"))
        ingress = (ConnectIngress(80, world.servers["a"].server_port, "http", self.ports["ingress"]),)
        payload = ConnectPayload(aliases, ingress, "{}", "TEXT")
        self.log = world.folder / "access.log"
        self.part = ConnectPart("arn:a", Path("/namespace"), payload, str(self.log))

    def serve(self, share: int, test: ConnectTest | None = None) -> None:
        targets = tuple(
            ConnectTarget(address="127.0.0.1", port=self.world.servers[name].server_port, alternate=name == "b")
            for name in ("a", "b")
        )
        document = ConnectDocument(targets=targets, alternate_share=share, test=test)
        documents = {"ns-1/http": document, "ns-1/tcp": document}
        rendered = connect_render.render((self.part,), documents, self.world.envoy.xds)
        here = Resources(*(_here(table) for table in (rendered.clusters, rendered.endpoints)))
        here = here.joined(Resources(routes=_here(rendered.routes), listeners=_here(rendered.listeners)))
        applied = self.world.loop.run_until_complete(self.world.envoy.apply(here))
        assert applied.rejected == {}

    def ask(self, kind: str, count: int = 40, **headers: str) -> Counter[str]:
        """Who answers."""
        address = "127.0.0.1" if kind == "ingress" else ADDRESS
        found: Counter[str] = Counter()
        for _ in range(count):
            connection = http.client.HTTPConnection(address, self.ports[kind], timeout=5)
            connection.request("GET", "/", headers=headers)
            found[connection.getresponse().read().split()[0].decode()] += 1
            connection.close()
        return found


def _here(value: Any) -> Any:
    """The same without other network namespaces."""
    if isinstance(value, dict):
        return {key: _here(part) for key, part in value.items() if key != "network_namespace_filepath"}
    return [_here(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    world = World()
    try:
        yield Calls(world)
    finally:
        world.close()


def test_requests_and_connections_are_divided_by_shares_and_by_a_header(calls: Calls) -> None:
    test = ConnectTest(header="x-test", value="yes", alternate=True)
    calls.serve(0, test)
    assert set(calls.ask("http")) == set(calls.ask("tcp")) == {"a"}
    assert set(calls.ask("http", **{"X-Test": "yes"})) == {"b"}
    assert set(calls.ask("http", **{"X-Test": "no"})) == {"a"}
    with socket.create_connection((ADDRESS, calls.ports["tcp"]), timeout=5) as kept:
        calls.serve(500, test)
        for kind in ("http", "tcp"):
            assert 10 <= calls.ask(kind, 60)["b"] <= 50
        calls.serve(1000)
        assert set(calls.ask("http", **{"X-Test": "yes"})) == set(calls.ask("tcp")) == {"b"}
        # A connection that was there before the shares changed goes on where it was.
        kept.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"\r\n\r\na GET" in kept.makefile("rb").read()
    assert set(calls.ask("ingress", 3)) == {"a"}
