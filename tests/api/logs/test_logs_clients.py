"""Unmodified clients against a real server: boto3, the AWS CLI and what ``aws logs tail`` does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError

from openecs.api.logs.service import CloudWatchLogs
from openecs.api.sts.caller_identity import CallerIdentity
from openecs.clock import SystemClock
from openecs.ids import RandomIds
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Principal
from openecs.wire.gateway import Gateway, ServedService
from openecs.wire.generated import logs as logs_model
from openecs.wire.generated import sts as sts_model
from openecs.wire.pagination import Pagination
from openecs.wire.verifier import SigningKey, Verifier

ACCOUNT = "123456789012"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "secret"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


class Server:
    """The logs and sts services on a free port of the loopback, in a thread of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        store = LogStore(self._path, SystemClock())
        await store.open()
        pagination = Pagination(b"0123456789abcdef")
        handlers = CloudWatchLogs(store, State(MemoryJournal()), pagination, Runner(store, SystemClock())).handlers()
        key = SigningKey(SECRET, Principal(ROOT, "root", KEY))
        app = Gateway(
            services={
                "logs": ServedService(logs_model.SERVICE, handlers),
                "sts": ServedService(sts_model.SERVICE, CallerIdentity().handlers()),
            },
            verifier=Verifier({KEY: key}.get),
            account=ACCOUNT,
            clock=SystemClock(),
            ids=RandomIds(),
            barrier=lambda: asyncio.sleep(0),
            authorize=lambda *_: True,
            routes={},
        )
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        config = server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        self.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        await server.shutdown()
        await store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("logs")) as server:
        yield server


def make_client(server: Server, service: str, region: str = "us-east-1"):
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=server.url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture
def logs(server: Server) -> Iterator:
    client = make_client(server, "logs")
    yield client
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            client.delete_log_group(logGroupName=group["logGroupName"])
    client.close()


def aws(server: Server, *arguments: str) -> object:
    """Run the AWS CLI; returns the JSON that it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }
    program = Path(sys.executable).with_name("aws")
    result = subprocess.run([sys.executable, program, *arguments], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout) if result.stdout.strip() else None


def now() -> int:
    return round(SystemClock().now() * 1000)


def test_a_stream_written_by_the_order_of_calls_of_the_docker_driver(logs):
    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="The specified log group does not exist"):
        logs.create_log_stream(logGroupName="/ecs/web", logStreamName="web/web/1")
    logs.create_log_group(logGroupName="/ecs/web")
    logs.create_log_stream(logGroupName="/ecs/web", logStreamName="web/web/1")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName="/ecs/web", logStreamName="web/web/1")
    token, start = None, now()
    for number in range(3):
        extra = {} if token is None else {"sequenceToken": token}
        row = {"timestamp": start + number, "message": f"line {number}"}
        token = logs.put_log_events(logGroupName="/ecs/web", logStreamName="web/web/1", logEvents=[row], **extra)[
            "nextSequenceToken"
        ]
    page = logs.get_log_events(logGroupName="/ecs/web", logStreamName="web/web/1", startFromHead=True)
    assert [event["message"] for event in page["events"]] == ["line 0", "line 1", "line 2"]
    (stream,) = logs.describe_log_streams(logGroupName="/ecs/web")["logStreams"]
    assert (stream["firstEventTimestamp"], stream["lastEventTimestamp"]) == (start, start + 2)


def test_paginators_see_everything_once(logs):
    logs.create_log_group(logGroupName="g")
    start = now()
    for stream in range(3):
        logs.create_log_stream(logGroupName="g", logStreamName=f"s{stream}")
        rows = [{"timestamp": start + i, "message": f"{stream}.{i:04}"} for i in range(1000)]
        logs.put_log_events(logGroupName="g", logStreamName=f"s{stream}", logEvents=rows)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="g", limit=700)
    got = [event["message"] for page in pages for event in page["events"]]
    assert got == [f"{stream}.{i:04}" for i in range(1000) for stream in range(3)]
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName="g", limit=2)
    assert [s["logStreamName"] for page in pages for s in page["logStreams"]] == ["s0", "s1", "s2"]


def test_regions_are_separate(server, logs):
    other = make_client(server, "logs", "eu-central-1")
    other.create_log_group(logGroupName="g")
    assert logs.describe_log_groups()["logGroups"] == []
    assert other.describe_log_groups()["logGroups"][0]["arn"] == f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:g:*"
    other.delete_log_group(logGroupName="g")
    other.close()


def test_refusals_are_errors_of_the_model(logs):
    with pytest.raises(logs.exceptions.InvalidParameterException, match="kmsKeyId is not supported"):
        logs.create_log_group(logGroupName="g", kmsKeyId="k")
    logs.create_log_group(logGroupName="g")
    with pytest.raises(logs.exceptions.ResourceAlreadyExistsException, match="The specified log group already exists"):
        logs.create_log_group(logGroupName="g")
    with pytest.raises(logs.exceptions.InvalidParameterException, match="Invalid character"):
        logs.filter_log_events(logGroupName="g", filterPattern="a-b")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.put_retention_policy(logGroupName="g", retentionInDays=2)
    with pytest.raises(ClientError):
        logs.create_log_group(logGroupName="white space")


def tail(logs, group: str, seen: dict[int, set[str]], **chosen):
    """One round of ``aws logs tail --follow`` of version 2 of the CLI: pages, then on from the newest time."""
    arguments = {"logGroupName": group, "interleaved": True, **chosen}
    if seen:
        arguments["startTime"] = max(seen)
    while True:
        page = logs.filter_log_events(**arguments)
        for event in page["events"]:
            ids = seen.setdefault(event["timestamp"], set())
            if event["eventId"] not in ids:
                ids.add(event["eventId"])
                yield event["logStreamName"], event["message"]
        if "nextToken" not in page:
            return
        arguments["nextToken"] = page["nextToken"]


def test_tail_follows_without_gaps_or_repeats(logs):
    logs.create_log_group(logGroupName="g")
    for stream in ("a", "b"):
        logs.create_log_stream(logGroupName="g", logStreamName=stream)
    start = now()
    seen: dict[int, set[str]] = {}

    def put(stream: str, *rows: tuple[int, str]) -> None:
        events = [{"timestamp": start + t, "message": m} for t, m in rows]
        logs.put_log_events(logGroupName="g", logStreamName=stream, logEvents=events)

    put("a", (-100_000, "before"), (0, "1"), (1, "2"))
    assert list(tail(logs, "g", seen, startTime=start - 1000)) == [("a", "1"), ("a", "2")]
    put("b", (1, "3"), (5, "4"))
    put("a", (5, "5"))
    assert list(tail(logs, "g", seen)) == [("b", "3"), ("a", "5"), ("b", "4")]
    put("b", (5, "6"))
    assert list(tail(logs, "g", seen)) == [("b", "6")]
    assert list(tail(logs, "g", seen)) == []
    assert [m for _, m in tail(logs, "g", {}, logStreamNames=["b"], startTime=start)] == ["3", "4", "6"]


def test_the_aws_cli_writes_and_reads(server, logs):
    start = now()
    aws(server, "logs", "create-log-group", "--log-group-name", "cli", "--tags", "team=blue")
    aws(server, "logs", "create-log-stream", "--log-group-name", "cli", "--log-stream-name", "s")
    events = [f"timestamp={start + i},message=m{i}" for i in range(3)]
    at = ("--log-group-name", "cli", "--log-stream-name", "s")
    reply = aws(server, "logs", "put-log-events", *at, "--log-events", *events)
    assert reply["nextSequenceToken"]
    assert "rejectedLogEventsInfo" not in reply
    page = aws(server, "logs", "get-log-events", *at, "--start-from-head", "--limit", "2")
    assert [event["message"] for event in page["events"]] == ["m0", "m1"]
    page = aws(
        server,
        "logs",
        "filter-log-events",
        "--log-group-name",
        "cli",
        "--start-time",
        str(start + 1),
        "--page-size",
        "1",
    )
    assert [event["message"] for event in page["events"]] == ["m1", "m2"]
    tags = aws(
        server, "logs", "list-tags-for-resource", "--resource-arn", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:cli"
    )
    assert tags == {"tags": {"team": "blue"}}
    aws(server, "logs", "put-retention-policy", "--log-group-name", "cli", "--retention-in-days", "7")
    (group,) = aws(server, "logs", "describe-log-groups", "--log-group-name-prefix", "cl")["logGroups"]
    assert group["retentionInDays"] == 7


def test_get_caller_identity(server):
    client = make_client(server, "sts")
    reply = client.get_caller_identity()
    assert (reply["Account"], reply["Arn"], reply["UserId"]) == (ACCOUNT, ROOT, ACCOUNT)
    client.close()
