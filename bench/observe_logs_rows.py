"""The log rows: ingestion over HTTP, disk use, and scanning with FilterLogEvents.

Ingestion counts the bytes of messages, not of JSON.  The floor is a bare server that receives
the same requests and decodes them, without signatures, checks or a disk.  The gibibyte that it
stores is what the scans then read.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import cramjam
from installation import Installation, installation
from load import ask, run
from log_lines import lines
from peers import bare_server
from signed_request import Endpoint, json_request
from table import Row

TARGET = "Logs_20140328."
GROUP = "bench"
CONNECTIONS = 6
STREAMS = 8
#: Different batches; they are sent again and again, each time later, until a gibibyte is stored.
BATCHES = 64
#: Milliseconds between the first lines of two batches.
BATCH_SPAN = 500
STORED = 1 << 30
OVERHEAD = 26
BATCH_BYTES = 1_048_576
#: Small batches: a few lines at a time from many streams, as containers with little to say send them.
SMALL_STREAMS = 50
SMALL_ROUNDS = 40
SMALL_LINES = 20


def measure(folder: Path) -> list[Row]:
    """All log rows."""
    batches = [_batch(seed) for seed in range(BATCHES)]
    size = sum(map(_size, batches))
    rounds = STORED // size + 1
    raw = rounds * size
    plain = folder / "plain.txt"
    _write_plain(plain, batches, rounds)
    with installation(folder / "large", "--runtime", "fake") as ours:
        _create(ours, STREAMS)
        seconds = floor = 0.0
        start = _now() - rounds * BATCHES * BATCH_SPAN
        for number in range(rounds):
            first = start + number * BATCHES * BATCH_SPAN
            requests = [
                _put(ours.endpoint, at % STREAMS, batch, first + at * BATCH_SPAN) for at, batch in enumerate(batches)
            ]
            seconds += run(_address(ours), requests, connections=CONNECTIONS, count=BATCHES).seconds
        with bare_server({"put": b"{}"}, folder / "bare") as bare:
            bodies = [request.replace(b"POST / ", b"POST /put ", 1) for request in requests]
            floor = 5 * size / run((bare.host, bare.port), bodies, connections=CONNECTIONS, count=5 * BATCHES).seconds
        speed = raw / seconds
        rows = [
            Row(
                "PutLogEvents, 1 MiB batches",
                "bare uvicorn+orjson",
                _speed(floor),
                _speed(speed),
                speed / floor,
                ">= 50 MB/s",
                speed >= 50e6,
            ),
            _disk("large batches", _disk_use(folder / "large"), raw, _zstd(plain)),
            *(_scan(ours, plain, raw, what, *looked_for) for what, looked_for in PATTERNS.items()),
        ]
    return [*rows, _small(folder)]


#: What the scans look for, and what ``grep`` does: nothing that is there, something in every block, JSON, expressions.
PATTERNS = {
    "a word that is nowhere": ('"no such word"', "no such word"),
    "a rare word": ('"order 4711 "', "order 4711 "),
    "a word in every block": ('"OrderService" -"processed order"', "OrderService"),
    "JSON selectors": ("{ $.order = 4711 && $.level = error }", "4711"),
    "a number in JSON": ("{ $.order = 4711 }", "4711"),
    "an expression": ("%order 47[0-9]{2} %", "order 47"),
}


def _batch(seed: int) -> list[str]:
    room, chosen = BATCH_BYTES, []
    for line in lines(10_000, seed):
        room -= len(line) + OVERHEAD
        if room < 0:
            break
        chosen.append(line)
    return chosen


def _create(ours: Installation, streams: int) -> None:
    _call(ours, "CreateLogGroup", logGroupName=GROUP)
    for number in range(streams):
        _call(ours, "CreateLogStream", logGroupName=GROUP, logStreamName=f"s{number}")


def _put(endpoint: Endpoint, stream: int, batch: list[str], first: int) -> bytes:
    """A batch that begins at ``first``, in epoch milliseconds."""
    step = BATCH_SPAN / len(batch)
    events = [{"timestamp": first + int(number * step), "message": line} for number, line in enumerate(batch)]
    parameters = {"logGroupName": GROUP, "logStreamName": f"s{stream}", "logEvents": events}
    return json_request(endpoint, "logs", f"{TARGET}PutLogEvents", parameters)


def _scan(ours: Installation, plain: Path, raw: int, what: str, pattern: str, word: str) -> Row:
    """The whole group through FilterLogEvents, page by page; the peer is ``grep`` over one text file."""
    started = time.perf_counter()
    subprocess.run(["grep", "-c", "-F", word, plain], check=False, capture_output=True, env={"LC_ALL": "C"})
    peer = raw / (time.perf_counter() - started)
    started = time.perf_counter()
    token: dict[str, str] = {}
    while True:
        page = _call(ours, "FilterLogEvents", logGroupName=GROUP, filterPattern=pattern, **token)
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    speed = raw / (time.perf_counter() - started)
    goal = ">= 200 MB/s"
    return Row(
        f"FilterLogEvents over 1 GiB, {what}", "grep -F, one file", _speed(peer), _speed(speed), speed / peer, goal,
        speed >= 200e6,
    )  # fmt: skip


def _small(folder: Path) -> Row:
    """Disk use when every batch has a few lines: after the installation was stopped and started, which seals."""
    home = folder / "small"
    text = [lines(SMALL_LINES * SMALL_ROUNDS, seed) for seed in range(SMALL_STREAMS)]
    raw = sum(map(_size, text))
    with installation(home, "--runtime", "fake") as ours:
        _create(ours, SMALL_STREAMS)
        for number in range(SMALL_ROUNDS):
            part = slice(number * SMALL_LINES, (number + 1) * SMALL_LINES)
            requests = [_put(ours.endpoint, stream, text[stream][part], _now()) for stream in range(SMALL_STREAMS)]
            run(_address(ours), requests, connections=CONNECTIONS, count=SMALL_STREAMS)
    with installation(home, "--runtime", "fake"):
        deadline = time.monotonic() + 60
        while list(home.rglob("*.seg")) and time.monotonic() < deadline:
            time.sleep(0.1)
    plain = folder / "small.txt"
    plain.write_text("\n".join(line for stream in text for line in stream))
    return _disk(f"{SMALL_LINES} lines a batch", _disk_use(home), raw, _zstd(plain))


def _disk(what: str, used: int, raw: int, zstd: float) -> Row:
    share = used / raw
    return Row(
        f"Disk use of text logs, {what}", "zstd -1, one file", f"{zstd:.1%}", f"{share:.1%}", share / zstd,
        "< 25 %", share < 0.25,
    )  # fmt: skip


def _disk_use(home: Path) -> int:
    """Bytes of disk that the events take, as the file system counts them."""
    files = [path for suffix in ("seg", "sealed") for path in home.rglob(f"*.{suffix}")]
    return sum(path.stat().st_blocks * 512 for path in files)


def _zstd(plain: Path) -> float:
    """What is left of a file by ordinary compression."""
    data = plain.read_bytes()[: 64 << 20]
    return len(cramjam.zstd.compress(data, level=1)) / len(data)


def _write_plain(path: Path, batches: list[list[str]], rounds: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for batch in batches for line in batch).encode()
    with path.open("wb") as file:
        for _ in range(rounds):
            file.write(text)


def _call(ours: Installation, operation: str, **parameters: Any) -> dict[str, Any]:
    body = ask(_address(ours), json_request(ours.endpoint, "logs", TARGET + operation, parameters))
    reply: dict[str, Any] = json.loads(body or b"{}")
    return reply


def _now() -> int:
    return round(time.time() * 1000)  # noqa: TID251 -- a client's clock


def _size(batch: list[str]) -> int:
    return sum(map(len, batch))


def _address(ours: Installation) -> tuple[str, int]:
    return ours.endpoint.host, ours.endpoint.port


def _speed(value: float) -> str:
    return f"{value / 1e6:.0f} MB/s"
