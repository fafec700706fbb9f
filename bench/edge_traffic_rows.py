"""What the packet filter costs traffic: two namespaces of one host, with its rules loaded and without.

Rules are those of ``edge_network_rows``, 200 security groups and 2,000 addresses, beside the same
with only these two interfaces, and beside no packet filter at all.  The rule that lets the two
speak is the last one of its group.  One client connects and disconnects, or sends one byte and waits for it to
come back, in short slices by turns.  The band is how far neighbouring slices without rules lie
from each other: a difference within it cannot be measured.  Without rules the kernel does not
follow connections either, so that work is part of ours.
"""

from __future__ import annotations

import asyncio
import itertools
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
from openecs.agent.network.frame import Documents, Surroundings
from openecs.agent.network.nftables import open_nftables
from openecs.agent.network.rules import Compiler

PORT = 8080
ROUNDS, SLICE = 15, 0.2
KINDS = {"dial": "New TCP connections between two tasks", "bounce": "Round trips on a connection between two tasks"}
#: The least that counts as a difference, however steady the slices are, and what always does.
BAND, WIDEST = 0.03, 0.1
_SIZE = f"{network.GROUPS} groups, {network.INTERFACES:,} addresses"

#: Figures of each slice, by what is loaded: nothing, rules of two interfaces, all rules.
Slices = dict[str, list[float]]


def measure(folder: Path) -> list[Row]:
    """New connections, and packets of a known one."""
    figures: dict[str, Slices] = on_a_host(__file__, folder)
    return [row for kind, what in KINDS.items() for row in _rows(what, figures[kind])]


def _rows(what: str, slices: Slices) -> list[Row]:
    bare = slices["none"]
    apart = statistics.median(abs(b / a - 1) for a, b in itertools.pairwise(bare))
    band = min(max(BAND, apart), WIDEST)
    return [_row(what, peer, slices[name], slices["all"], band) for name, peer in _PEERS.items()]


_PEERS = {"few": "two groups, two addresses", "none": "no packet filter"}


def _row(what: str, peer: str, theirs: list[float], ours: list[float], band: float) -> Row:
    """Slices of the same round are compared, so that other work on the machine hits both."""
    ratio = statistics.median(mine / other for other, mine in zip(theirs, ours, strict=True))
    cost = statistics.median(1 / mine - 1 / other for other, mine in zip(theirs, ours, strict=True)) * 1e6
    return Row(
        f"{what}, {_SIZE} loaded",
        peer,
        f"{statistics.median(theirs):,.0f}/s",
        f"{statistics.median(ours):,.0f}/s ({cost:+.1f} us each)",
        ratio,
        f"none beyond the band of {band:.0%}",
        ratio >= 1 - band,
    )


async def _figures(folder: Path) -> dict[str, Slices]:
    nft = open_nftables()
    world = _world()
    client, server = world.interfaces["eni-0"], world.interfaces["eni-1"]
    few = world._replace(interfaces={"eni-0": client, "eni-1": server})
    around = Surroundings(hosts=frozenset({"192.168.1.1"}))
    scripts = {
        "none": ruleset.remove(network.TABLE),
        "few": ruleset.load(network.TABLE, Compiler("here").compile(few, around)),
        "all": ruleset.load(network.TABLE, Compiler("here").compile(world, around)),
    }
    lab = Lab(folder)
    try:
        there = await lab.connect("server", server.address)
        here = await lab.connect("client", client.address)
        _started(lab.start(there, sys.executable, __file__, "serve"))
        dialer = _started(lab.start(here, sys.executable, __file__, "ask", server.address))
        found: dict[str, Slices] = {}
        for kind in KINDS:
            slices: Slices = {name: [] for name in scripts}
            for number in range(ROUNDS + 1):
                for name, script in scripts.items():
                    await nft.run(script)
                    rate = _ask(dialer, kind)
                    if number:  # The first round warms up.
                        slices[name].append(rate)
            found[kind] = slices
        _check(lab, here, server.address)
        return found
    finally:
        lab.close()


def _world() -> Documents:
    """The installation of ``edge_network_rows``, in which the first interface may ask the second."""
    world = network.documents()
    client, server = world.interfaces["eni-0"], world.interfaces["eni-1"]
    last = GroupRule(protocol="tcp", from_port=PORT, to_port=PORT, group=client.security_groups[0])
    key = server.security_groups[0]
    old = world.groups[key]
    opened = SecurityGroupDocument(vpc_id=old.vpc_id, ingress=(*old.ingress, last), egress=old.egress)
    return world._replace(groups={**world.groups, key: opened})


def _check(lab: Lab, here: Path, address: str) -> None:
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
