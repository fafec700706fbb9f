"""What only the fake can be made to do: time by hand, engines that go away, images that are missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from openecs.agent.runtime.fake import FakeRuntime, ManualTimers
from openecs.agent.runtime.protocol import EngineError, EngineUnavailable, Event, NoSuchContainer
from openecs.clock import ManualClock
from openecs.ids import SeededIds

SECOND = 1_000_000_000
START = 1_700_000_000.0


@pytest.fixture
def timers() -> ManualTimers:
    return ManualTimers(ManualClock(START))


@pytest.fixture
def runtime(timers: ManualTimers) -> FakeRuntime:
    fake = FakeRuntime(timers.clock, SeededIds(), after=timers.after)
    fake.add_image("web")
    return fake


async def _started(runtime: FakeRuntime, *command: str, name: str = "task", **members: Any) -> str:
    container_id = await runtime.create(name, {"Image": "web", "Cmd": list(command), **members})
    await runtime.start(container_id)
    return container_id


async def _heard(runtime: FakeRuntime, since: float = START) -> list[tuple[str, float]]:
    """All remembered events and their seconds after the start."""
    found: list[Event] = []
    async with aclosing(runtime.events(since)) as events:
        try:
            async with asyncio.timeout(0):
                async for event in events:
                    found.append(event)  # noqa: PERF401 -- ended by the timeout once nothing is left
        except TimeoutError:
            pass
    return [(event.action, round(event.time - START, 3)) for event in found]


async def test_a_container_ends_when_its_time_has_come(runtime: FakeRuntime, timers: ManualTimers) -> None:
    container_id = await _started(runtime, "sleep", "5")
    timers.advance(4.9)
    assert (await runtime.inspect(container_id)).status == "running"
    timers.advance(0.2)
    info = await runtime.inspect(container_id)
    assert (info.status, info.exit_code, info.started_at, info.finished_at) == ("exited", 0, START, START + 5)


async def test_a_stopped_container_does_not_end_twice(runtime: FakeRuntime, timers: ManualTimers) -> None:
    container_id = await _started(runtime, "sleep", "5")
    timers.advance(1)
    await runtime.stop(container_id, 30)
    await runtime.start(container_id)
    timers.advance(4.5)
    assert (await runtime.inspect(container_id)).status == "running"
    timers.advance(0.5)
    assert (await runtime.inspect(container_id)).status == "exited"
    assert [action for action, _ in await _heard(runtime)] == ["create", "start", "die", "start", "die"]


async def test_the_stubborn_are_killed_after_the_grace_period(runtime: FakeRuntime, timers: ManualTimers) -> None:
    container_id = await _started(runtime, "ignore-term")
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(runtime.stop(container_id, 30))
        await asyncio.sleep(0)
        timers.advance(29)
        await asyncio.sleep(0)
        assert not stopping.done()
        timers.advance(1)
    info = await runtime.inspect(container_id)
    assert (info.exit_code, info.finished_at) == (137, START + 30)


async def test_the_stubborn_may_end_while_being_stopped(runtime: FakeRuntime, timers: ManualTimers) -> None:
    container_id = await _started(runtime, "ignore-term")
    async with asyncio.TaskGroup() as group:
        group.create_task(runtime.stop(container_id, 30))
        await asyncio.sleep(0)
        runtime.exit(container_id, 4)
    assert (await runtime.inspect(container_id)).exit_code == 4
    timers.advance(60)
    assert (await runtime.inspect(container_id)).exit_code == 4


async def test_health_changes_when_enough_probes_ran(runtime: FakeRuntime, timers: ManualTimers) -> None:
    check = {"Test": ["CMD", "fake-unhealthy-after", "60"], "Interval": 10 * SECOND, "Retries": 3}
    container_id = await _started(runtime, "httpd", Healthcheck=check)
    seen = []
    for seconds in (9, 1, 79, 1):
        timers.advance(seconds)
        health = (await runtime.inspect(container_id)).health
        assert health is not None
        seen.append((health.status, health.exit_code, health.since))
    assert seen == [
        ("starting", None, None),
        ("healthy", 0, START + 10),
        ("healthy", 0, START + 10),
        ("unhealthy", 1, START + 90),
    ]
    heard = await _heard(runtime)
    assert heard == [("create", 0), ("start", 0), ("health_status", 10), ("health_status", 90)]


async def test_what_befalls_a_container_can_be_directed(runtime: FakeRuntime) -> None:
    first = await _started(runtime, "httpd", name="first")
    second = await _started(runtime, "httpd", name="second")
    runtime.exit(first, 9)
    runtime.oom_kill(second)
    assert [(await runtime.inspect(each)).exit_code for each in (first, second)] == [9, 137]
    assert [(await runtime.inspect(each)).oom_killed for each in (first, second)] == [False, True]
    assert [action for action, _ in await _heard(runtime)][-3:] == ["die", "oom", "die"]


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("web:missing", "manifest for web:missing not found: manifest unknown: manifest unknown"),
        ("registry.local/missing/web:1", "pull access denied for registry.local/missing/web, repository does not"),
    ],
)
async def test_missing_images_fail_as_from_a_registry(runtime: FakeRuntime, reference: str, text: str) -> None:
    with pytest.raises(EngineError) as failure:
        await runtime.pull(reference)
    assert failure.value.message.startswith(text)
    with pytest.raises(NoSuchContainer, match=f"No such image: {reference}"):
        await runtime.create("task", {"Image": reference})


async def test_pulled_images_have_one_digest_under_every_name(runtime: FakeRuntime) -> None:
    assert await runtime.inspect_image("nginx:1.27") is None
    await runtime.pull("nginx:1.27")
    image = await runtime.inspect_image("nginx:1.27")
    assert image is not None
    [digest] = image.repo_digests
    assert digest.startswith("nginx@sha256:")
    assert await runtime.inspect_image(digest) == image
    again = FakeRuntime(ManualClock(), SeededIds(9))
    await again.pull("nginx:1.27")
    assert await again.inspect_image("nginx:1.27") == image


@pytest.mark.parametrize("killing", [False, True])
async def test_an_engine_that_goes_away_is_unavailable_until_it_is_back(runtime: FakeRuntime, killing: bool) -> None:
    container_id = await _started(runtime, "httpd")
    events = runtime.events()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_until_unavailable(events))
        await asyncio.sleep(0)
        runtime.go_down(killing_containers=killing)
    assert [event.action for event in listening.result()] == (["die"] if killing else [])
    calls: list[Callable[[], Any]] = [
        runtime.info, runtime.list, lambda: runtime.start(container_id), lambda: runtime.remove(container_id),
        lambda: runtime.pull("web"), lambda: runtime.inspect(container_id), lambda: runtime.volume_exists("v"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(EngineUnavailable):
            await call()
    with pytest.raises(EngineUnavailable):
        await anext(runtime.events())
    runtime.come_back()
    assert (await runtime.inspect(container_id)).status == ("exited" if killing else "running")


async def _until_unavailable(events: Any) -> list[Event]:
    found: list[Event] = []
    try:
        async for event in events:
            found.append(event)  # noqa: PERF401 -- it ends by raising
    except EngineUnavailable:
        return found
    pytest.fail("the stream ended without a word")


async def test_the_past_can_be_heard_from_any_moment(runtime: FakeRuntime, timers: ManualTimers) -> None:
    await _started(runtime, "sleep", "5")
    timers.advance(10)
    assert await _heard(runtime) == [("create", 0), ("start", 0), ("die", 5)]
    assert await _heard(runtime, START + 5) == [("die", 5)]
    assert await _heard(runtime, START + 6) == []


async def test_ports_are_chosen_from_a_range_and_run_out(runtime: FakeRuntime) -> None:
    def published(host_port: str, host_ip: str = "") -> dict[str, Any]:
        return {"PortBindings": {"80/tcp": [{"HostIp": host_ip, "HostPort": host_port}]}}

    ranged = published("8000-8001")
    found = [await _started(runtime, name=f"t{i}", HostConfig=ranged) for i in range(2)]
    assert [(await runtime.inspect(each)).ports[0].host_port for each in found] == [8000, 8001]
    with pytest.raises(EngineError, match=r"Bind for 0\.0\.0\.0:8001 failed: port is already allocated"):
        await _started(runtime, name="full", HostConfig=ranged)
    with pytest.raises(EngineError, match=r"Bind for 127\.0\.0\.1:8000 failed: port is already allocated"):
        await _started(runtime, name="specific", HostConfig=published("8000", "127.0.0.1"))
    udp = await _started(runtime, name="udp", HostConfig={"PortBindings": {"80/udp": [{"HostPort": "8000"}]}})
    assert (await runtime.inspect(udp)).ports[0].protocol == "udp"
    everything = await _started(
        runtime, name="all", ExposedPorts={"80/tcp": {}, "81/tcp": {}}, HostConfig={"PublishAllPorts": True}
    )
    assert [port.host_port for port in (await runtime.inspect(everything)).ports] == [32768, 32769]
    addresses = [(await runtime.inspect(each)).addresses["bridge"] for each in (*found, udp)]
    assert len(set(addresses)) == 3
    await runtime.remove(found[0])
    again = await _started(runtime, name="again", HostConfig=ranged)
    assert (await runtime.inspect(again)).ports[0].host_port == 8000


async def test_a_failed_start_takes_no_ports(runtime: FakeRuntime) -> None:
    host = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    with pytest.raises(EngineError, match="executable file not found"):
        await _started(runtime, "no-such-command", name="first", HostConfig=host)
    second = await _started(runtime, "httpd", name="second", HostConfig=host)
    assert (await runtime.inspect(second)).ports[0].host_port == 8080


async def test_a_fake_process_id_is_no_process(runtime: FakeRuntime) -> None:
    container_id = await _started(runtime, "httpd")
    # Linux allows process ids up to 2**22.
    assert (await runtime.inspect(container_id)).pid > 2**22
    assert await runtime.top(container_id) == ((await runtime.inspect(container_id)).pid,)


@pytest.mark.parametrize("host", [{"RestartPolicy": {"Name": "always"}}, {"AutoRemove": True}])
async def test_what_the_fake_would_not_do_is_refused(runtime: FakeRuntime, host: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="the fake engine"):
        await runtime.create("task", {"Image": "web", "HostConfig": host})
    assert await runtime.list() == []


async def test_an_unknown_volume_driver_is_refused(runtime: FakeRuntime) -> None:
    with pytest.raises(EngineError, match='plugin "nfs" not found'):
        await runtime.create_volume("v", "nfs", {}, {})
    assert not await runtime.volume_exists("v")
