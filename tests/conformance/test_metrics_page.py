"""``/metrics`` for Prometheus, of a whole server."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from openecs.clock import SystemClock

LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)')


@pytest.fixture
def token(fake: Any) -> Path:
    return Path(json.loads(fake.openecs("status", "--json"))["metrics_token_file"])


def page(fake: Any, given: str | None, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    headers = {} if given is None else {"Authorization": given}
    try:
        with urlopen(Request(fake.endpoint + path, headers=headers, method=method), timeout=10) as reply:
            assert method == "HEAD" or reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return reply.status, reply.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Name → values of labels → value; every line is looked at."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))", line), line
            continue
        match = LINE.fullmatch(line)
        assert match is not None, line
        values = tuple(re.findall(r'="((?:[^"\\]|\\.)*)"', match[2] or ""))
        found.setdefault(match[1], {})[values] = float(match[3])
    return found


def test_only_who_has_the_token_may_read_it(fake: Any, token: Path) -> None:
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    known = token.read_text().strip()
    for given in (None, "", "Bearer", "Bearer wrong", known, f"bearer {known}x"):
        status, text = page(fake, given)
        assert status == 401
        assert "openecs status" in text
    assert page(fake, f"Bearer {known}")[0] == 200
    assert page(fake, f"Bearer {known}", method="POST")[0] == 405
    assert page(fake, f"Bearer {known}", "/metrics/more")[0] == 404


def test_what_the_page_tells(fake: Any, token: Path, ecs: Any, cluster: str, name: str) -> None:
    ecs.register_task_definition(family=name, containerDefinitions=[{"name": "m", "image": "busybox", "memory": 8}])
    ecs.create_service(cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=0)
    with pytest.raises(ClientError):
        ecs.describe_clusters(clusters=[""] * 101)
    fake.client("logs").create_log_group(logGroupName=name)
    fake.client("logs").create_log_stream(logGroupName=name, logStreamName="s")
    known = f"Bearer {token.read_text().strip()}"
    before = samples(page(fake, known)[1])
    ecs.list_clusters()
    fake.client("logs").put_log_events(
        logGroupName=name,
        logStreamName="s",
        logEvents=[{"timestamp": int(SystemClock().now() * 1000), "message": "twelve chars"}],
    )
    fake.client("cloudwatch").put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 1.0}])
    after = samples(page(fake, known)[1])

    def grown(metric: str, *labels: str) -> float:
        return after[metric][labels] - before[metric].get(labels, 0.0)

    assert grown("openecs_api_calls_total", "ecs", "ListClusters", "OK") >= 1
    assert after["openecs_api_call_duration_seconds_count"]["ecs",] >= 2
    buckets = after["openecs_api_call_duration_seconds_bucket"]
    assert buckets["ecs", "+Inf"] == after["openecs_api_call_duration_seconds_count"]["ecs",]
    assert grown("openecs_log_events_total") >= 1
    assert grown("openecs_log_characters_total") >= 12
    assert grown("openecs_metric_samples_total") >= 1
    region = ecs.meta.region_name
    assert after["openecs_services"][cluster, region] == 1
    assert 1.0 in after["openecs_node_connected"].values()
    assert ("services",) in after["openecs_loop_reconciled_total"]
    assert set(after["openecs_loop_bugs_total"].values()) == {0}
    assert after["process_resident_memory_bytes"][()] > 10_000_000
    refused = {labels for labels in after["openecs_api_calls_total"] if labels[1] == "DescribeClusters"}
    assert any(labels[2] != "OK" for labels in refused)
