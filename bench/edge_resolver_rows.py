"""The resolver: answered queries per second of its CPU time, beside a loop that only sends messages back.

The resolver runs as its own process, as on a host, with 2,000 names.  Queries go over loopback,
many at a time; what counts is the CPU time that the process spent on each, so that the asker and
other work on the machine do not.  The floor is a blocking loop in Python that answers every message
with itself: what the sockets alone cost.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from table import Row

from openecs import __version__
from openecs.acs.host_documents import NameDocument, ZoneDocument
from openecs.agent.dns import packet
from openecs.agent.dns.feed import Entry, Told

HERE = "127.0.0.1"
NAMES, QUERIES, UNDERWAY, ROUNDS = 2_000, 100_000, 32, 5
ADDRESSES = 4
GOAL = 20_000
_ECHO = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    message, asker = sock.recvfrom(4096)
    sock.sendto(message, asker)
"""


def measure(folder: Path) -> list[Row]:
    """Queries per second of one core."""
    folder.mkdir(parents=True)
    port, floor_port = _free_port(), _free_port()
    resolver = subprocess.Popen(
        [sys.executable, "-m", "openecs.agent.dns", str(folder), "--address", HERE, "--port", str(port)]
    )
    floor = subprocess.Popen([sys.executable, "-c", _ECHO, str(floor_port)])
    try:
        with _told(folder):
            ours, echoed = [], []
            for _ in range(ROUNDS):
                ours.append(_rate(resolver.pid, port))
                echoed.append(_rate(floor.pid, floor_port, answers=0))
    finally:
        for process in (resolver, floor):
            process.terminate()
            process.wait()
    found, peer = statistics.median(ours), statistics.median(echoed)
    return [
        Row(
            measure=f"DNS queries answered per second of one core, {NAMES:,} names",
            peer="messages only sent back",
            peer_value=f"{peer:,.0f}/s",
            ours=f"{found:,.0f}/s",
            ratio=found / peer,
            goal=f"at least {GOAL:,}/s",
            ok=found >= GOAL,
        )
    ]


def _told(folder: Path) -> socket.socket:
    """A connection over which the resolver was told its names; it ends with its last one."""
    path = folder / "resolver.sock"
    deadline = time.monotonic() + 20
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the resolver does not start")
        time.sleep(0.02)
    documents: list[tuple[str, str, msgspec.Struct]] = [
        ("zone", "*/bench.test", ZoneDocument(name="bench.test", scope="*"))
    ]
    for number in range(NAMES):
        name = f"s{number}.bench.test"
        addresses = tuple(f"10.{number % 200}.{number // 200}.{host}" for host in range(1, ADDRESSES + 1))
        documents.append(("name", f"*/{name}", NameDocument(name=name, scope="*", a=addresses)))
    entries = tuple(Entry(kind, key, msgspec.Raw(msgspec.json.encode(document))) for kind, key, document in documents)
    agent = socket.socket(socket.AF_UNIX)
    agent.connect(str(path))
    agent.sendall(msgspec.json.encode(Told(node="bench", version=__version__, all=True, entries=entries)) + b"\n")
    agent.recv(4096)
    return agent


def _rate(pid: int, port: int, *, answers: int = ADDRESSES) -> float:
    """Replies per second of the process's CPU time."""
    queries = [packet.ask(n, packet.name_bytes(f"s{n}.bench.test"), packet.A) for n in range(NAMES)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((HERE, port))
        sock.settimeout(5)
        before = _cpu(pid)
        for number in range(QUERIES + UNDERWAY):
            if number < QUERIES:
                sock.send(queries[number % NAMES])
            if number >= UNDERWAY:
                reply = sock.recv(4096)
                if int.from_bytes(reply[6:8], "big") != answers:
                    raise RuntimeError(f"not the addresses of a name: {reply!r}")
        return QUERIES / (_cpu(pid) - before)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HERE, 0))
        port: int = probe.getsockname()[1]
        return port
