"""Counters in the terms of AWS's metrics, after requests to the real Envoy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from envoy_world import World, forward, free_port, path, rule

from openecs.acs.host_documents import TargetView
from openecs.agent.edge.edge_stats import EdgeCounters, EdgeStats, counters
from openecs.shapes import elbv2

BALANCER = "app/web/50dc6c495c0c9188"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def group(name: str) -> str:
    return f"targetgroup/{name}/{name:0<16.16}"


def read(world: World) -> EdgeCounters:
    owners = {group(name): BALANCER for name in world.servers}
    views = {group("b"): [TargetView(id="x", port=1, state="healthy"), TargetView(id="y", port=1, state="unhealthy")]}
    return world.loop.run_until_complete(EdgeStats(world.envoy.admin).read(owners, views))


def test_who_answered_what(world: World) -> None:
    config = elbv2.FixedResponseActionConfig(status_code="404", message_body="no")
    redirect = elbv2.RedirectActionConfig(path="/new", status_code="HTTP_301")
    world.serve(
        rule(elbv2.Action(type="fixed-response", fixed_response_config=config), path("/fixed")),
        rule(elbv2.Action(type="redirect", redirect_config=redirect), path("/moved")),
        rule(forward("a"), path("/none")),
        rule(forward("b"), path("/refused")),
        routes={"a": "out"},
        targets={"b": [free_port()]},
    )
    codes = [world.ask(asked)[0] for asked in ("/", "/", "/fixed", "/moved", "/none", "/refused")]
    assert codes == [200, 200, 404, 301, 503, 502]
    deadline = time.monotonic() + 5
    while (found := read(world)).balancers[BALANCER].answered.get(5) != 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    balancer = found.balancers[BALANCER]
    assert {digit: number for digit, number in balancer.answered.items() if number} == {3: 1, 4: 1, 5: 2}
    assert balancer.targets_answered == {2: 2, 5: 0}
    # Two that targets answered, and one that was sent to a target which refused it.
    assert balancer.request_count == 3
    # A connection for each request, one to the target that answered, three tries at the one that refused.
    assert balancer.new_connections == 6 + 1 + 3
    assert balancer.processed_bytes > 500
    default, refused, none = (found.groups[group(name), ""] for name in ("default", "b", "a"))
    assert (default.request_count, default.targets_answered, default.connection_errors) == (2, {2: 2}, 0)
    assert (refused.request_count, refused.targets_answered, refused.connection_errors) == (1, {5: 0}, 1)
    assert (none.request_count, none.targets_answered) == (0, {5: 0})
    assert (refused.healthy_hosts, refused.unhealthy_hosts) == (1, 1)


def test_times_and_zones_are_kept_apart() -> None:
    values = [{"interval": None, "cumulative": 1.0}, {"interval": 2, "cumulative": 250}]
    stats = [
        {"name": "cluster.web/1@a.upstream_rq_completed", "value": 3},
        {"name": "cluster.web/1@b.upstream_rq_completed", "value": 4},
        {"name": "cluster.web/1@b.external.upstream_rq_completed", "value": 4},
        {"name": "tcp.net/nlb/1/2@all.downstream_cx_total", "value": 9},
        {
            "histograms": {
                "supported_quantiles": [50, 99],
                "computed_quantiles": [{"name": "cluster.web/1@a.upstream_rq_time", "values": values}],
            }
        },
    ]
    found = counters(stats, {"targetgroup/web/1": "net/nlb/1"}, {})
    assert found.groups["targetgroup/web/1", "a"].response_time == {50: 0.001, 99: 0.25}
    assert found.groups["targetgroup/web/1", "b"].request_count == 4
    assert found.balancers["net/nlb/1"].new_connections == 9
    assert found.balancers["net/nlb/1"].request_count == 7
