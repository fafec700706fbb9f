"""What the packet filter costs traffic: two namespaces of one host, with its rules loaded and without.

Rules are those of ``edge_network_rows``: 200 security groups and 2,000 addresses; the rule that
lets these two speak is the last one of its group.  One client connects and disconnects, or sends
one byte and waits for it to come back, in short slices with and without the rules by turns.  The band is
how far slices without rules lie from each other: a difference within it is not measurable.
Without rules the kernel does not follow connections either, so its work is part of ours.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import sys
import time
from pathlib import Path
from subprocess import Popen

import edge_network_rows as network
from edge_lab import Lab, on_a_host
from table import Row

from openecs.acs.host_documents import GroupRule, SecurityGroupDocument
from openecs.agent.network import ruleset
from openecs.agent.network.frame import Surroundings
from openecs.agent.network.nftables import open_nftables
from openecs.agent.network.rules import Compiler

PORT = 8080
ROUNDS, SLICE = 25, 0.2
KINDS = {"dial": "New TCP connections between two tasks", "bounce": "Round trips on a connection between two tasks"}
#: What the filter may take where slices are steadier than that.
GOAL = 0.95


def measure(folder: Path) -> list[Row]:
    """New connections, and packets of a known one."""
    figures = on_a_host(__file__, folder)
    return [_row(what, *figures[kind]) for kind, what in KINDS.items()]


def _row(what: str, bare: list[float], filtered: list[float]) -> Row:
    """Neighbouring slices are compared, so that other work on the machine hits both."""
    ratio = statistics.median(f / b for b, f in zip(bare, filtered, strict=True))
    apart = sorted(abs(b / a - 1) for a, b in zip(bare, bare[1:], strict=False))
    band = apart[len(apart) // 2]
    return Row(
        f"{what}, {network.GROUPS} groups and {network.INTERFACES:,} addresses loaded",
        "no rules at all",
        f"{statistics.median(bare):,.0f}/s",
        f"{statistics.median(filtered):,.0f}/s",
        ratio,
        f">= {min(GOAL, 1 - band):.2f} (band {band:.0%})",
        ratio >= min(GOAL, 1 - band),
    )


async def _figures(folder: Path) -> dict[str, tuple[list[float], list[float]]]:
    world, nft = network.documents(), open_nftables()
    client, server = world.interfaces["eni-0"], world.interfaces["eni-1"]
    last = GroupRule(protocol="tcp", from_port=PORT, to_port=PORT, group=client.security_groups[0])
    old = world.groups[server.security_groups[0]]
    world.groups[server.security_groups[0]] = SecurityGroupDocument(  # type: ignore[index]
        vpc_id=old.vpc_id, ingress=(*old.ingress, last), egress=old.egress
    )
    rules = Compiler("here").compile(world, Surroundings(hosts=frozenset({"192.168.1.1"})))
    lab = Lab(folder)
    try:
        there = await lab.connect("server", server.address)
        here = await lab.connect("client", client.address)
        _started(lab.start(there, sys.executable, __file__, "serve"))
        dialer = _started(lab.start(here, sys.executable, __file__, "ask", server.address))
        found: dict[str, tuple[list[float], list[float]]] = {}
        for kind in KINDS:
            bare: list[float] = []
            filtered: list[float] = []
            for number in range(ROUNDS + 1):
                await nft.run(ruleset.remove(network.TABLE))
                without = _ask(dialer, kind)
                await nft.run(ruleset.load(network.TABLE, rules))
                with_rules = _ask(dialer, kind)
                if number:  # The first round warms up.
                    bare.append(without)
                    filtered.append(with_rules)
            found[kind] = (bare, filtered)
        await _check(lab, nft, here, server.address)
        return found
    finally:
        lab.close()


async def _check(lab: Lab, nft: object, here: Path, address: str) -> None:
    """The figures mean nothing if the rules let everything through."""
    other = lab.start(here, sys.executable, "-c", _KNOCK, address, str(PORT + 1))
    if other.wait() == 0:
        raise RuntimeError("a port that no rule opens can be reached")


_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)
except TimeoutError:
    sys.exit(1)
except ConnectionRefusedError:
    pass
"""


def _started(process: Popen[str]) -> Popen[str]:
    if process.stdout is None or process.stdout.readline() != "ready\n":
        raise RuntimeError("a process of the lab does not start")
    return process


def _ask(process: Popen[str], kind: str) -> float:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    process.stdin.write(f"{kind}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def _serve() -> None:
    """Send everything back, one connection after the other."""
    with socket.create_server(("", PORT), backlog=1024) as listening:
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                try:
                    while data := connection.recv(16):
                        connection.send(data)
                except ConnectionResetError:
                    continue


def _answer(address: str) -> None:
    """Measure one slice for every line that comes in."""
    print("ready", flush=True)
    for line in sys.stdin:
        rate = _dial(address) if line.strip() == "dial" else _bounce(address)
        print(rate, flush=True)


def _dial(address: str) -> float:
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SLICE:
        with socket.socket() as sock:
            # The connection ends with a reset: nothing of it stays behind that the next one would meet.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            sock.connect((address, PORT))
        count += 1
    return count / (time.perf_counter() - started)


def _bounce(address: str) -> float:
    with socket.create_connection((address, PORT)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < SLICE:
            sock.send(b"x")
            sock.recv(16)
            count += 1
        return count / (time.perf_counter() - started)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            _serve()
        case ["ask", address]:
            _answer(address)
        case [folder]:
            print(json.dumps(asyncio.run(_figures(Path(folder)))))
