"""Requests through a load balancer: ours beside Envoy configured by hand, nginx and HAProxy.

All of it on a host of its own, connected as tasks are: a client, two servers and the load
balancers each in a namespace, everything on the machine's own cores.  Every proxy gets a slice of load in
turn, round after round.  Slices of one round are compared and the median of that counts, so that
other work on the machine hits all of them.  CPU is the kernel's account of the proxy's processes.

The peer with a goal does the same for a request: AWS's headers, a trace id among them, and its
timeouts.  The bare one only passes requests on; the rows beside it show what those cost.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import edge_proxies as proxies
from edge_lab import Lab, on_a_host
from processes import cpu_seconds
from table import Row

from openecs.agent.network.interfaces import inside

CONNECTIONS, ROUNDS, SECONDS = 32, 10, 1.0
GOAL = 0.05
_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_ALIKE = "Envoy by hand, same headers"
_OTHERS = {"bare": "Envoy by hand, no headers", "nginx": "nginx", "haproxy": "HAProxy"}


class Slice(NamedTuple):
    """What one slice of load saw; milliseconds and microseconds."""

    rate: float
    p99_ms: float
    cpu_us: float


def measure(folder: Path) -> list[Row]:
    """Requests, p99 and CPU per request."""
    if proxies.find("wrk") is None:
        raise SystemExit("bench: wrk is missing. Install it with: apt-get install wrk")
    found = on_a_host(__file__, folder)
    slices = {name: [Slice(*one) for one in many] for name, many in found.items()}
    for name, words in _OTHERS.items():
        if name not in slices:
            print(f"note: {words} is not installed, its rows are left out")
    return [*_goals(slices["ours"], slices["alike"]), *_references(slices)]


def _goals(ours: list[Slice], other: list[Slice]) -> list[Row]:
    rate = _ratio([(mine.rate, theirs.rate) for mine, theirs in zip(ours, other, strict=True)])
    p99 = _ratio([(mine.p99_ms, theirs.p99_ms) for mine, theirs in zip(ours, other, strict=True)])
    return [
        Row(
            "Requests/s through a load balancer",
            _ALIKE,
            f"{_median(other, 'rate'):,.0f}/s",
            f"{_median(ours, 'rate'):,.0f}/s",
            rate,
            f">= {1 - GOAL:.2f}",
            rate >= 1 - GOAL,
        ),
        Row(
            "p99 through a load balancer",
            _ALIKE,
            f"{_median(other, 'p99_ms'):.2f} ms",
            f"{_median(ours, 'p99_ms'):.2f} ms",
            p99,
            f"<= {1 + GOAL:.2f}",
            p99 <= 1 + GOAL,
        ),
    ]


def _references(slices: dict[str, list[Slice]]) -> list[Row]:
    """CPU of a request, and what other proxies do; reported."""
    rows = []
    ours = slices["ours"]
    for name, words in {"alike": _ALIKE, **_OTHERS}.items():
        if name not in slices:
            continue
        other = slices[name]
        if name != "alike":
            rows.append(
                Row(
                    "Requests/s through a load balancer",
                    words,
                    f"{_median(other, 'rate'):,.0f}/s",
                    f"{_median(ours, 'rate'):,.0f}/s",
                    _ratio([(mine.rate, theirs.rate) for mine, theirs in zip(ours, other, strict=True)]),
                    "reported",
                    True,
                )
            )
        rows.append(
            Row(
                "CPU of a request through a load balancer",
                words,
                f"{_median(other, 'cpu_us'):.0f} us",
                f"{_median(ours, 'cpu_us'):.0f} us",
                _ratio([(mine.cpu_us, theirs.cpu_us) for mine, theirs in zip(ours, other, strict=True)]),
                "reported",
                True,
            )
        )
    return rows


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return statistics.median(mine / theirs for mine, theirs in pairs)


def _median(slices: list[Slice], field: str) -> float:
    return float(statistics.median(getattr(one, field) for one in slices))


async def _figures(folder: Path) -> dict[str, list[Slice]]:
    lab = Lab(folder)
    try:
        for number, address in enumerate(proxies.TARGETS):
            namespace = await lab.connect(f"target{number}", address)
            program = str(Path(__file__).with_name("edge_backend.py"))
            server = lab.start(namespace, sys.executable, program, address, str(proxies.TARGET_PORT))
            if server.stdout is None or server.stdout.readline() != "ready\n":
                raise RuntimeError("a server does not start")
        client = await lab.connect("client", "10.60.0.31")
        front = await lab.connect("front", proxies.ADDRESS)
        mine, envoy = await proxies.ours(folder, front, 80)
        try:
            others = {
                "alike": proxies.by_hand(lab, folder, front, 81, alike=True),
                "bare": proxies.by_hand(lab, folder, front, 82, alike=False),
                "nginx": proxies.nginx(lab, folder, front, 83),
                "haproxy": proxies.haproxy(lab, folder, front, 84),
            }
            running = {"ours": mine} | {name: one for name, one in others.items() if one is not None}
            for one in running.values():
                await _answers(client, one.port)
            return _rounds(client, running)
        finally:
            await envoy.stop()
    finally:
        lab.close()


async def _answers(client: Path, port: int) -> None:
    """Wait until the proxy serves a page."""
    command = inside(client, sys.executable, "-c", _FETCH, f"http://{proxies.ADDRESS}:{port}/")
    for _ in range(100):
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:  # noqa: ASYNC221
            return
        await asyncio.sleep(0.1)
    raise RuntimeError(f"the proxy at port {port} does not serve")


_FETCH = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2).read()"


def _rounds(client: Path, running: dict[str, proxies.Started]) -> dict[str, list[Slice]]:
    found: dict[str, list[Slice]] = {name: [] for name in running}
    for number in range(ROUNDS + 1):
        # By turns forwards and backwards, so that nobody always comes after the same other.
        for name in list(running) if number % 2 else reversed(list(running)):
            one = _slice(client, running[name])
            if number:  # The first round warms up.
                found[name].append(one)
    return found


def _slice(client: Path, proxy: proxies.Started) -> Slice:
    before = sum(map(cpu_seconds, proxy.processes()))
    command = [proxies.find("wrk") or "", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS:g}", "--latency"]
    done = subprocess.run(
        inside(client, *command, f"http://{proxies.ADDRESS}:{proxy.port}/"),
        check=True,
        capture_output=True,
        text=True,
        env={**proxies.LIBRARIES},
        start_new_session=True,
    )
    used = sum(map(cpu_seconds, proxy.processes())) - before
    said = done.stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"requests failed: {said}")
    requests = int(_find(r"(\d+) requests in", said)[0])
    amount, unit = _find(r"99%\s+([0-9.]+)(us|ms|s)", said)
    rate = float(_find(r"Requests/sec:\s+([0-9.]+)", said)[0])
    return Slice(rate, float(amount) * _UNITS[unit], used / requests * 1e6)


def _find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk said something else: {text}")
    return found.groups()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_figures(Path(sys.argv[1])))))
