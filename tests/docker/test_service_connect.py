"""Service Connect on the real engine: calls by name, deployments without a failed request, its log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from connected_pair import Pair, connected_pair
from docker_world import World
from measured import measured
from waiting import wait_for


@pytest.fixture(scope="module")
def pair(world: World) -> Iterator[Pair]:
    with connected_pair(world) as made:
        yield made


def test_names_lead_to_the_servers_over_http_and_tcp(pair: Pair) -> None:
    pair.answered("first")
    found = pair.answers()
    assert found["timeout=504"] == 1, "the request timeout of the endpoint did not hold"
    assert not [line for line in found if line.startswith("failed")], found


def test_what_could_not_be_delivered_is_in_the_log_of_the_proxy(pair: Pair) -> None:
    (pause,) = (c for c in pair.world.engine.containers_of(pair.task) if c["Id"] != pair.container)
    text = wait_for(lambda: pair.world.engine.output(pause["Id"]), seconds=15, what="a line of the proxy")
    (line,) = (json.loads(line) for line in text.splitlines())
    assert (line["endpoint"], line["status"], line["flags"]) == ("web:8080", 504, "UT")


def test_a_rolling_deployment_of_the_server_fails_no_request(pair: Pair) -> None:
    pair.deploy("second")
    pair.answered("second")
    found = pair.answers()
    assert set(found) == {"timeout=504", "slow", "first", "second"}, found


def test_calls_are_in_cloudwatch_from_both_ends(world: World, pair: Pair) -> None:
    calling = {"ServiceName": pair.client.name, "ClusterName": "default"}
    serving = {"ServiceName": pair.server.name, "ClusterName": "default"}

    def agree() -> bool:
        requests = measured(world, "AWS/ECS", "RequestCount", DiscoveryName="web", **serving)
        good = measured(world, "AWS/ECS", "HTTPCode_Target_2XX_Count", TargetDiscoveryName="web", **calling)
        # One of them had no answer in time, so no target gave one.
        return requests > 10 and good == requests - 1

    wait_for(agree, seconds=90, what="the calls to be counted")
    assert measured(world, "AWS/ECS", "HTTPCode_Target_5XX_Count", TargetDiscoveryName="web", **calling) == 0
    assert measured(world, "AWS/ECS", "TargetResponseTime", "SampleCount", TargetDiscoveryName="web") > 10
    assert 0 < measured(world, "AWS/ECS", "TargetResponseTime", "p90", TargetDiscoveryName="web", **calling) < 1
    assert measured(world, "AWS/ECS", "TargetProcessedBytes", TargetDiscoveryName="raw", **calling) > 100
    # TCP has connections, not requests.
    assert measured(world, "AWS/ECS", "NewConnectionCount", DiscoveryName="raw", **serving) > 0
    assert measured(world, "AWS/ECS", "RequestCount", DiscoveryName="raw", **serving) == 0
