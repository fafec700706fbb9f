"""The edge of a host: from documents to what is served and reported, with real probes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from edge_kit import LB, LISTENER, TG, Host, Web, balancer, group, target, until

from openecs.acs.host_documents import ConnectDocument
from openecs.agent.edge.proxy import Served, Serving
from openecs.agent.edge.select import ENVOY, NoEdge, find_envoy


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_targets_become_healthy_and_get_requests(host: Host) -> None:
    good, bad = Web(), Web(503)
    async with good.serving(), bad.serving(), host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(good.port), target(bad.port)))
        await until(lambda: host.states() == [("healthy", None), ("unhealthy", "Target.ResponseCodeMismatch")])
        assert host.proxy.routes() == {("127.0.0.1", good.port): "routable", ("127.0.0.1", bad.port): "out"}
        report = host.balancer()
        assert report is not None
        assert (report.ready, report.problem) == (True, "")


async def test_a_target_that_dies_and_comes_back(host: Host) -> None:
    web = Web()
    async with host.edge(), web.serving():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.states() == [("healthy", None)])
        web.status = 500
        await until(lambda: host.states() == [("unhealthy", "Target.ResponseCodeMismatch")])
        # The only one: requests go on, as none is better.
        assert host.proxy.routes() == {("127.0.0.1", web.port): "routable"}
        web.status = 200
        await until(lambda: host.states() == [("healthy", None)])


async def test_a_target_is_registered_before_it_can_be_probed(host: Host) -> None:
    host.namespaces.broken = "no such subnet"
    async with Web().serving() as web, host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.balancer() is not None and host.balancer().problem != "")  # type: ignore[union-attr]
        assert host.states() == [("initial", "Elb.RegistrationInProgress")]
        report = host.balancer()
        assert report is not None
        assert (report.ready, report.endpoints) == (False, {})
        assert "no such subnet" in report.problem
        assert web.asked == 0
        host.namespaces.broken = ""
        await until(lambda: host.states() == [("healthy", None)])


async def test_a_target_that_comes_later_starts_slowly(host: Host) -> None:
    slow = {"slow_start.duration_seconds": "1"}
    async with Web().serving() as first, Web().serving() as second, host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(first.port), attributes=slow))
        await until(lambda: host.states() == [("healthy", None)])
        assert host.proxy.serving is not None
        assert host.proxy.serving.weights == {}
        later = target(second.port, registered_at=2.0)
        host.put("target-group", TG, group(target(first.port), later, attributes=slow))
        seen: dict[int, None] = {}

        def full() -> bool:
            found = host.proxy.serving.weights.get(TG, {}) if host.proxy.serving is not None else {}
            if ("127.0.0.1", second.port) in found:
                assert found["127.0.0.1", first.port] == 100
                seen[found["127.0.0.1", second.port]] = None
            return bool(seen) and not found

        await until(full)
    assert len(seen) > 5
    assert list(seen) == sorted(seen)


async def test_draining_ends_when_nothing_is_in_flight(host: Host) -> None:
    async with Web().serving() as web, host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.states() == [("healthy", None)])
        host.proxy.active = {(TG, f"127.0.0.1:{web.port}"): 1}
        asked = web.asked
        host.put("target-group", TG, group(target(web.port, draining_since=5.0)))
        await until(lambda: host.states() == [("draining", "Target.DeregistrationInProgress")])
        assert host.proxy.routes() == {("127.0.0.1", web.port): "draining"}
        assert host.drained() == [False]
        await until(lambda: web.asked <= asked + 1)
        host.proxy.active = {}
        await until(lambda: host.drained() == [True])
        host.put("target-group", TG, group())
        await until(lambda: host.states() == [] and host.proxy.routes() == {})


async def test_slow_draining_is_never_over_early(host: Host) -> None:
    async with Web().serving() as web, host.edge():
        host.put("balancer", LB, balancer())
        quick = group(target(web.port, draining_since=5.0))
        host.put("target-group", TG, msgspec.structs.replace(quick, fast_drain=False))
        other = TG.replace("web", "other")
        host.put("target-group", other, quick)
        # The other group's target has finished, which has taken several looks.
        await until(lambda: host.states(other) != [] and host.drained(other) == [True])
        assert host.drained() == [False]


async def test_whoever_is_registered_again_begins_anew(host: Host) -> None:
    web = Web()
    async with host.edge(), web.serving():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.states() == [("healthy", None)])
        web.status = 0
        host.put("target-group", TG, group(target(web.port, registered_at=2.0)))
        await until(lambda: host.states() == [("initial", "Elb.InitialHealthChecking")])


async def test_the_next_agent_goes_on_where_the_last_one_was(host: Host) -> None:
    good, bad = Web(), Web(503)
    async with good.serving(), bad.serving():
        targets = group(target(good.port), target(bad.port))
        async with host.edge():
            host.put("balancer", LB, balancer())
            host.put("target-group", TG, targets)
            await until(lambda: [state for state, _ in host.states()] == ["healthy", "unhealthy"])
            endpoints = host.balancer().endpoints  # type: ignore[union-attr]
        good.status = bad.status = 0
        host.reports._bodies.clear()
        host.proxy.serving = None
        async with host.edge():
            await until(lambda: host.proxy.routes() != {} and host.balancer() is not None)
            assert host.proxy.routes() == {("127.0.0.1", good.port): "routable", ("127.0.0.1", bad.port): "out"}
            assert host.states()[0] == ("healthy", None)
            await until(lambda: host.balancer().ready)  # type: ignore[union-attr]
            assert host.balancer().endpoints == endpoints  # type: ignore[union-attr]


async def test_a_proxy_that_does_not_run_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openecs.agent.edge.runtime.RETRY_PAUSE", 0.02)
    host.proxy.broken = "Envoy ended at its start: bad luck"
    async with host.edge():
        host.put("balancer", LB, balancer())
        await until(lambda: host.balancer() is not None and "bad luck" in host.balancer().problem)  # type: ignore[union-attr]
        assert not host.balancer().ready  # type: ignore[union-attr]
        host.proxy.broken = ""
        # Without any news: what failed is tried again.
        await until(lambda: host.balancer().ready)  # type: ignore[union-attr]


async def test_what_is_in_force_is_told_by_its_revision(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openecs.agent.edge.runtime.RETRY_PAUSE", 0.02)
    async with host.edge():
        host.put("balancer", LB, balancer(revision="r1"))
        await until(lambda: host.balancer() is not None and host.balancer().applied == "r1")  # type: ignore[union-attr]
        host.proxy.broken = "Envoy does not answer"
        host.put("balancer", LB, balancer(revision="r2"))
        await until(lambda: not host.balancer().ready)  # type: ignore[union-attr]
        assert host.balancer().applied == ""  # type: ignore[union-attr]
        host.proxy.broken = ""
        await until(lambda: host.balancer().applied == "r2")  # type: ignore[union-attr]


async def test_what_the_proxy_cannot_do_is_told(host: Host) -> None:
    host.proxy.problems = {LB: Served(ready=True, problem="The listener's rule 5 cannot be done.")}
    async with host.edge():
        host.put("balancer", LB, balancer())
        await until(lambda: host.balancer() is not None and host.balancer().ready)  # type: ignore[union-attr]
        assert host.balancer().problem == "The listener's rule 5 cannot be done."  # type: ignore[union-attr]


async def test_a_load_balancer_that_is_gone_leaves_nothing(host: Host) -> None:
    async with Web().serving() as web, host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.states() == [("healthy", None)])
        host.remove("balancer", LB)
        await until(lambda: host.balancer() is None and host.states() == [] and not host.namespaces.there)
        assert host.proxy.serving is not None
        assert host.proxy.serving.parts == ()


async def test_a_listener_whose_port_is_taken_gets_another(host: Host) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with host.edge():
            host.put("balancer", LB, balancer(port))
            await until(lambda: host.balancer() is not None and host.balancer().ready)  # type: ignore[union-attr]
            address, _, chosen = host.balancer().endpoints[LISTENER].rpartition(":")  # type: ignore[union-attr]
            assert address == "127.0.0.1"
            assert 20_000 <= int(chosen) < 32_000


async def test_nothing_new_is_nothing_to_apply(host: Host) -> None:
    async with Web().serving() as web, host.edge():
        host.put("balancer", LB, balancer())
        host.put("target-group", TG, group(target(web.port)))
        await until(lambda: host.states() == [("healthy", None)])
        given, asked = host.proxy.given, web.asked
        await until(lambda: web.asked >= asked + 5)
        assert host.proxy.given == given


async def test_a_host_that_cannot_says_so_of_each(host: Host) -> None:
    host.put("balancer", LB, balancer())
    edge = NoEdge("load balancers need the agent to run as root", host.documents, host.reports)
    await edge.run()
    report = host.balancer()
    assert report is not None
    assert (report.ready, report.problem) == (False, edge.problem)
    host.put("connect", "ns-1/db", ConnectDocument())
    assert await _said(host) == [("balancer", LB), ("connect", "ns-1/db")]
    host.remove("balancer", LB)
    host.remove("connect", "ns-1/db")
    assert host.balancer() is None
    assert await _said(host) == []


async def _said(host: Host) -> list[tuple[str, str]]:
    host.reports.connected()
    message = await host.reports.next()
    return [(entry.kind, entry.key) for entry in message.entries]


@pytest.mark.parametrize(("named", "found"), [("/bin/sh", Path("/bin/sh")), ("/nowhere/envoy", None)])
def test_another_envoy_may_be_named(named: str, found: Path | None) -> None:
    assert find_envoy({ENVOY: named}) == found


def test_envoy_comes_with_the_package() -> None:
    path = find_envoy({})
    assert path is not None
    assert path.is_file()


async def test_a_namespace_that_somebody_removes_is_made_anew(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openecs.agent.edge.connections.LOOK_PAUSE", 0.01)
    seen = []
    serve = host.proxy.serve

    async def noted(serving: Serving) -> Mapping[str, Served]:
        seen.append([part.arn for part in serving.parts])
        return await serve(serving)

    host.proxy.serve = noted  # type: ignore[method-assign]
    async with host.edge():
        host.put("balancer", LB, balancer())
        await until(lambda: host.balancer() is not None and host.balancer().ready)  # type: ignore[union-attr]
        seen.clear()
        host.namespaces.number = None
        await until(lambda: host.namespaces.made == 2 and len(seen) == 2)
    # The proxy lets go of the old one before it gets the new one.
    assert seen == [[], [LB]]


async def test_a_host_without_load_balancers_writes_nothing(host: Host) -> None:
    async with host.edge():
        host.put("target-group", TG, group(target(80)))
        await asyncio.sleep(0.1)
    assert (host.proxy.given, list(host.folder.iterdir())) == (0, [])
