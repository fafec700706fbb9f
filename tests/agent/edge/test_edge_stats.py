"""Envoy's counters by whose they are, after requests to the real Envoy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from envoy_world import World, forward, free_port, path, rule

from openecs.agent.edge.edge_stats import ClusterCounters, EdgeCounters, counters, read_counters
from openecs.shapes import elbv2

LISTENER = "app/web/50dc6c495c0c9188/f2f7dc8efc522ab2@all"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


def cluster(found: EdgeCounters, name: str) -> ClusterCounters:
    return found.clusters[f"{name}/{name:0<16.16}"]


def read(world: World) -> EdgeCounters:
    return world.loop.run_until_complete(read_counters(world.envoy.admin))


def answers(found: dict[int, int]) -> dict[int, int]:
    return {digit: number for digit, number in found.items() if number}


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
    deadline = time.monotonic() + 20
    # Envoy puts its threads' times together every few seconds.
    while not cluster(found := read(world), "default").times and time.monotonic() < deadline:
        time.sleep(0.05)
    listener = found.listeners[LISTENER]
    assert answers(listener.answered) == {2: 2, 3: 1, 4: 1, 5: 2}
    assert listener.direct == 2
    # A connection for each request, which ended with it.
    assert (listener.connections, listener.active) == (6, 0)
    assert listener.processed_bytes > 500
    default, refused, none = (cluster(found, name) for name in ("default", "b", "a"))
    assert (default.requests, answers(default.answered), default.failed) == (2, {2: 2}, {})
    assert (default.connections, default.connect_errors, sum(default.times.values())) == (1, 0, 2)
    # Three connections were tried before that target was given up.
    assert (refused.requests, answers(refused.answered), refused.failed) == (1, {5: 1}, {502: 1})
    assert (refused.connect_errors, refused.times) == (3, {})
    # No target was chosen at all.
    assert (none.requests, none.unserved, none.failed, none.times) == (1, 1, {503: 1}, {})


def test_a_page_of_numbers() -> None:
    found = counters(
        [
            {"name": "cluster.web/1@a.upstream_rq_completed", "value": 3},
            {"name": "cluster.web/1@b.upstream_rq_completed", "value": 4},
            {"name": "cluster.web/1@b.external.upstream_rq_completed", "value": 4},
            {"name": "cluster.web/1@b.ssl.connection_error", "value": 2},
            {"name": "cluster.net/nlb/1/2@outside/udp.upstream_cx_total", "value": 4},
            {"name": "tcp.net/nlb/1/2@all.downstream_cx_total", "value": 9},
            {"name": "listener.net/nlb/1/2@all.ssl.connection_error", "value": 5},
            {"name": "openecs.failed.cluster.web/1@a.code.504", "value": 1},
            {"name": "openecs.failed.cluster.web/1@a.code.-", "value": 1},
            {
                "histograms": {
                    "supported_percentiles": [50],
                    "details": [
                        {
                            "name": "openecs.answered.cluster.web/1@a",
                            "totals": [
                                {"lower_bound": 0, "width": 0, "count": 1},
                                {"lower_bound": 340, "width": 10, "count": 2},
                            ],
                        }
                    ],
                }
            },
        ]
    )
    assert set(found.clusters) == {"web/1@a", "web/1@b"}
    a, b = found.clusters["web/1@a"], found.clusters["web/1@b"]
    assert (a.requests, a.failed, a.times) == (3, {504: 1}, {0: 1, 345: 2})
    assert (b.requests, b.tls_errors) == (4, 2)
    assert set(found.listeners) == {"net/nlb/1/2@all"}
    listener = found.listeners["net/nlb/1/2@all"]
    assert (listener.connections, listener.tls_errors) == (9, 5)
