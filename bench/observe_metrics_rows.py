"""The metric rows: taking samples in, and reading a day of a hundred series.

The store is measured in this process, by CPU time.  The calls go the whole way over HTTP, signed;
their floor is a bare server that decodes the same requests and encodes the same replies anew.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
from installation import Installation, installation
from load import ask, run
from peers import bare_server
from signed_request import Endpoint, cbor_request, json_request
from table import Row

from openecs.clock import SystemClock
from openecs.config import Layout
from openecs.metrics.metric import Datum, MetricKey, single
from openecs.metrics.store import MetricStore

REGION, NAMESPACE = "us-east-1", "Bench"
TARGET = "GraniteServiceVersion20100801."
#: What the store takes in: so many series, so many minutes, a sample of each.
STORE_SERIES, STORE_MINUTES = 1000, 300
#: Samples of one PutMetricData, the most that a call may have, and how many calls there are.
PUT_SAMPLES, PUTS, CONNECTIONS = 1000, 200, 4
#: What is read.
SERIES, MINUTES = 100, 24 * 60
#: Data points of one page of GetMetricData, and how often everything is read.
PAGE, READS = 100_800, 15

Request = Callable[[Endpoint, str, dict[str, Any]], bytes]


def measure(folder: Path) -> list[Row]:
    """All metric rows."""
    now = int(time.time()) // 60 * 60  # noqa: TID251 -- a client's clock
    home = folder / "home"
    with installation(home, "--runtime", "fake"):
        pass  # a first start makes the folders
    asyncio.run(_fill(Layout(home).state / "metrics", _day(now)))
    with installation(home, "--runtime", "fake") as ours:
        rows = [
            _puts(ours, folder / "bare", now),
            _reads(ours, folder / "bare-json", now, "JSON 1.0", _json, json.loads),
            _reads(ours, folder / "bare-cbor", now, "CBOR", _cbor, cbor2.loads),
        ]
    return [asyncio.run(_store(folder / "store", now)), *rows]


async def _store(folder: Path, now: int) -> Row:
    """Samples through the store on one core, the log of samples on disk and the checkpoint included."""
    chance = random.Random(1)
    minutes = [
        [single(key, now - 60 * minute, chance.random()) for key in _keys(STORE_SERIES)]
        for minute in range(STORE_MINUTES, 0, -1)
    ]
    count = STORE_SERIES * STORE_MINUTES
    started = time.process_time()
    sums: dict[tuple[MetricKey, str, int], float] = {}
    for data in minutes:
        for key, _, (value,), _, _, _, _, _, unit, resolution in data:
            sums[key, unit, resolution] = sums.get((key, unit, resolution), 0.0) + value
    floor = count / (time.process_time() - started)
    store = MetricStore(folder, SystemClock())
    await store.open()
    started = time.process_time()
    for data in minutes:
        store.add(data)
        await store.durable()
    await store.checkpoint()
    speed = count / (time.process_time() - started)
    await store.close()
    return Row(
        "Metric samples through the store, per second of a core",
        "adding up each series",
        f"{floor:,.0f}",
        f"{speed:,.0f}",
        speed / floor,
        ">= 100,000/s",
        speed >= 100_000,
    )


def _puts(ours: Installation, bare_folder: Path, now: int) -> Row:
    chance = random.Random(2)
    data = [
        {
            "MetricName": "Put",
            "Dimensions": [{"Name": "Service", "Value": f"s{number}"}],
            "Timestamp": now,
            "Value": chance.random(),
            "Unit": "Percent",
        }
        for number in range(PUT_SAMPLES)
    ]
    requests = [_json(ours.endpoint, "PutMetricData", {"Namespace": NAMESPACE, "MetricData": data})] * PUTS
    run(_address(ours.endpoint), requests[:10], connections=CONNECTIONS, count=10)
    before = ours.cpu()["server"]
    speed = PUTS * PUT_SAMPLES / run(_address(ours.endpoint), requests, connections=CONNECTIONS, count=PUTS).seconds
    used = (ours.cpu()["server"] - before) / (PUTS * PUT_SAMPLES)
    with bare_server({"put": b"{}"}, bare_folder) as bare:
        bodies = [requests[0].replace(b"POST / ", b"POST /put ", 1)]
        floor = PUTS * PUT_SAMPLES / run(_address(bare), bodies, connections=CONNECTIONS, count=PUTS).seconds
    return Row(
        f"PutMetricData of {PUT_SAMPLES}, samples/s, {used * 1e6:.1f} us CPU each",
        "bare uvicorn+orjson",
        f"{floor:,.0f}/s",
        f"{speed:,.0f}/s",
        speed / floor,
        "reported",
        True,
    )


def _reads(
    ours: Installation, bare_folder: Path, now: int, protocol: str, request: Request, decode: Callable[[bytes], Any]
) -> Row:
    """All data points, page by page, the second time and later."""
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": NAMESPACE,
                    "MetricName": "Load",
                    "Dimensions": [{"Name": "Service", "Value": f"s{number}"}],
                },
                "Period": 60,
                "Stat": "Average",
            },
        }
        for number in range(SERIES)
    ]
    start, end = _moments(protocol, now - 60 * MINUTES, now)
    asked = {"MetricDataQueries": queries, "StartTime": start, "EndTime": end, "MaxDatapoints": PAGE}
    pages: list[bytes] = []
    answers: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while not answers or token:
        pages.append(request(ours.endpoint, "GetMetricData", asked | token))
        answers.append(decode(ask(_address(ours.endpoint), pages[-1])))
        token = {"NextToken": answers[-1]["NextToken"]} if "NextToken" in answers[-1] else {}
    points = sum(len(result["Values"]) for answer in answers for result in answer["MetricDataResults"])
    if points != SERIES * MINUTES:
        raise RuntimeError(f"{points} data points instead of {SERIES * MINUTES}")
    taken = _median(ours.endpoint, pages)
    plain = {f"page{number}": json.dumps(answer, default=_seconds).encode() for number, answer in enumerate(answers)}
    with bare_server(plain, bare_folder) as bare:
        floor = _median(bare, [_bare_page(bare, name) for name in plain])
    return Row(
        f"GetMetricData of {SERIES} series, 24 h at 1 min, {len(pages)} pages, {protocol}",
        "bare uvicorn+orjson",
        f"{floor * 1000:.0f} ms",
        f"{taken * 1000:.0f} ms",
        taken / floor,
        "< 100 ms",
        taken < 0.1,
    )


def _median(endpoint: Endpoint, pages: list[bytes]) -> float:
    times = [run(_address(endpoint), pages, connections=1, count=len(pages)).seconds for _ in range(READS)]
    return statistics.median(times)


def _bare_page(endpoint: Endpoint, name: str) -> bytes:
    return _json(endpoint, "GetMetricData", {}).replace(b"POST / ", f"POST /{name} ".encode(), 1)


def _json(endpoint: Endpoint, operation: str, parameters: dict[str, Any]) -> bytes:
    return json_request(endpoint, "monitoring", TARGET + operation, parameters, version="1.0")


def _cbor(endpoint: Endpoint, operation: str, parameters: dict[str, Any]) -> bytes:
    return cbor_request(endpoint, "monitoring", TARGET + operation, parameters)


def _moments(protocol: str, *seconds: int) -> list[Any]:
    """Times as the protocol has them."""
    return [cbor2.CBORTag(1, one) for one in seconds] if protocol == "CBOR" else list(seconds)


def _seconds(moment: Any) -> float:
    """What JSON has in place of CBOR's times."""
    seconds: float = moment.timestamp()
    return seconds


def _keys(count: int) -> list[MetricKey]:
    return [MetricKey(REGION, NAMESPACE, "Load", (("Service", f"s{number}"),)) for number in range(count)]


def _day(now: int) -> list[list[Datum]]:
    """A day of samples with six digits, minute by minute."""
    chance = random.Random(3)
    keys = _keys(SERIES)
    return [
        [single(key, now - 60 * minute, round(chance.random() * 100, 4)) for key in keys]
        for minute in range(MINUTES, 0, -1)
    ]


async def _fill(folder: Path, minutes: list[list[Datum]]) -> None:
    store = MetricStore(folder, SystemClock())
    await store.open()
    for number, data in enumerate(minutes):
        store.add(data)
        if number % 240 == 239:
            await store.checkpoint()
    await store.close()


def _address(endpoint: Endpoint) -> tuple[str, int]:
    return endpoint.host, endpoint.port
