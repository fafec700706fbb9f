"""Log lines as web servers and applications write them: the text that the log rows are about.

A third each of access log, JSON and plain application log, 60 to 250 bytes, with ids and
durations that differ from line to line as they do in life.  The same lines for the same seed.
"""

from __future__ import annotations

import json
import random

_PATHS = ("/", "/login", "/api/v1/orders", "/static/app.js", "/healthz", "/cart")
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15",
    "curl/8.4.0",
    "kube-probe/1.28",
)
_EVENTS = ("order placed", "cache miss", "db query", "request handled")


def lines(count: int, seed: int) -> list[str]:
    """``count`` lines in the order of time."""
    chance = random.Random(seed)
    kinds = (_access, _json, _plain)
    return [kinds[number % 3](chance, number) for number in range(count)]


def _access(chance: random.Random, number: int) -> str:
    path = chance.choice((*_PATHS, f"/api/v1/orders/{chance.randrange(100_000)}"))
    return (
        f"10.0.{chance.randrange(4)}.{chance.randrange(255)} - - [12/Mar/2025:10:{_clock(number)} +0000] "
        f'"GET {path} HTTP/1.1" {chance.choice((200, 200, 200, 304, 404, 500))} {chance.randrange(50_000)} "-" '
        f'"{chance.choice(_AGENTS)}" {chance.random():.3f}'
    )


def _json(chance: random.Random, number: int) -> str:
    return json.dumps(
        {
            "level": chance.choice(("info", "info", "warn", "error")),
            "time": f"2025-03-12T10:{_clock(number)}.{chance.randrange(1000):03d}Z",
            "msg": chance.choice(_EVENTS),
            "order": chance.randrange(10**6),
            "ms": chance.randrange(900),
            "trace": f"{chance.getrandbits(64):016x}",
        }
    )


def _plain(chance: random.Random, number: int) -> str:
    return (
        f"2025-03-12 10:{_clock(number)},{chance.randrange(1000):03d} {chance.choice(('INFO', 'DEBUG', 'WARN'))} "
        f"[worker-{chance.randrange(16)}] com.example.shop.OrderService - processed order {chance.randrange(10**6)} "
        f"in {chance.randrange(800)} ms"
    )


def _clock(number: int) -> str:
    return f"{number // 6000 % 60:02d}:{number // 100 % 60:02d}"
