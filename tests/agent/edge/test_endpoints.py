"""Ports at which listeners are reached from outside the VPC."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest
from edge_kit import LISTENER, balancer

from openecs.agent.edge.endpoints import FIRST_PORT, Endpoints, Wish, port_is_free, wishes

A, B, C = (Wish(f"listener-{name}", 80, udp=False) for name in "abc")


class Ports:
    """Ports of an address that others have."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)

    def free(self, address: str, port: int, udp: bool) -> bool:
        return port not in self.taken


def endpoints(folder: Path, ports: Ports) -> Endpoints:
    return Endpoints(folder / "edge" / "endpoints.json", "127.0.0.1", is_free=ports.free)


def test_own_port_else_the_next_free_one(tmp_path: Path) -> None:
    made = endpoints(tmp_path, Ports(FIRST_PORT + 1))
    assert made.choose([A, B, C], held=()) == {A.arn: 80, B.arn: FIRST_PORT, C.arn: FIRST_PORT + 2}


def test_what_was_given_stays(tmp_path: Path) -> None:
    ports = Ports(80)
    first = endpoints(tmp_path, ports).choose([A], held=())
    assert first == {A.arn: FIRST_PORT}
    # The port of its own is free by now, and its endpoint is held by our own Envoy.
    ports.taken = {FIRST_PORT}
    again = endpoints(tmp_path, ports)
    assert again.choose([A, B], held=again.remembered.values()) == {A.arn: FIRST_PORT, B.arn: 80}


def test_a_listener_that_gets_another_port_gets_it_here_too(tmp_path: Path) -> None:
    ports = Ports(80, 82)
    made = endpoints(tmp_path, ports)
    assert made.choose([A], held=()) == {A.arn: FIRST_PORT}
    ports.taken.add(FIRST_PORT)
    assert made.choose([A._replace(port=81)], held={FIRST_PORT}) == {A.arn: 81}
    # What is not free is no reason for yet another one.
    ports.taken.add(81)
    assert made.choose([A._replace(port=82)], held={81}) == {A.arn: 81}


def test_what_somebody_else_took_meanwhile_is_given_up(tmp_path: Path) -> None:
    ports = Ports()
    assert endpoints(tmp_path, ports).choose([A], held=()) == {A.arn: 80}
    ports.taken = {80}
    assert endpoints(tmp_path, ports).choose([A], held=()) == {A.arn: FIRST_PORT}


def test_a_listener_that_is_gone_gives_its_port_back(tmp_path: Path) -> None:
    made = endpoints(tmp_path, Ports())
    made.choose([A, B], held=())
    assert made.choose([B], held={80, FIRST_PORT}) == {B.arn: FIRST_PORT}
    assert made.choose([B, C], held={FIRST_PORT}) == {B.arn: FIRST_PORT, C.arn: 80}


def test_a_file_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "endpoints.json").write_text("{")
    assert endpoints(tmp_path, Ports()).choose([A], held=()) == {A.arn: 80}


@pytest.mark.parametrize(
    ("scheme", "address", "served"),
    [
        ("internet-facing", "127.0.0.1", True),
        ("internal", "127.0.0.1", True),
        ("internet-facing", "192.0.2.1", True),
        ("internal", "192.0.2.1", False),
    ],
)
def test_internal_ones_are_not_served_to_others(scheme: str, address: str, served: bool) -> None:
    document = msgspec.structs.replace(balancer(8080), scheme=scheme)
    assert wishes(document, address) == ([Wish(LISTENER, 8080, udp=False)] if served else [])


def test_whether_a_port_is_free() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not port_is_free("127.0.0.1", port, udp=False)
        assert port_is_free("127.0.0.1", port, udp=True)
    assert port_is_free("127.0.0.1", port, udp=False)


@pytest.mark.parametrize(
    ("wish", "busy", "port"),
    [
        (Wish("listener", 80, udp=True), {(80, True)}, 20_000),
        (Wish("listener", 80, udp=True), {(80, False), (20_000, True)}, 20_001),
        (Wish("listener", 80, udp=True, tcp=False), {(80, False)}, 80),
        (Wish("listener", 80, udp=False), {(80, True)}, 80),
    ],
)
def test_a_port_is_free_for_every_protocol_of_its_listener(
    tmp_path: Path, wish: Wish, busy: set[tuple[int, bool]], port: int
) -> None:
    endpoints = Endpoints(tmp_path / "ports", "127.0.0.1", is_free=lambda _, port, udp: (port, udp) not in busy)
    assert endpoints.choose([wish], ()) == {"listener": port}


def test_a_listener_with_another_protocol_moves_where_its_port_is_taken(tmp_path: Path) -> None:
    busy = {(80, True)}
    endpoints = Endpoints(tmp_path / "ports", "127.0.0.1", is_free=lambda _, port, udp: (port, udp) not in busy)
    assert endpoints.choose([A], ()) == {A.arn: 80}
    assert endpoints.choose([A._replace(udp=True, tcp=False)], {80}) == {A.arn: FIRST_PORT}
