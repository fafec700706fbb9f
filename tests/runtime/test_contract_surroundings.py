"""What every runtime promises about ports, networks, volumes and events."""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import aclosing

import pytest
from runtime_subject import Subject

from openecs.agent.runtime.protocol import EngineError, Event, NoSuchContainer, PortBinding
from openecs.clock import SystemClock

WEB = {"80/tcp": {}}


def _published(host_port: str) -> dict[str, object]:
    return {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": host_port}]}}


async def _events(subject: Subject, since: float, until: str, about: str) -> list[Event]:
    """Events about one container, up to and including the first of that action."""
    found: list[Event] = []
    async with asyncio.timeout(30), aclosing(subject.runtime.events(since)) as events:
        async for event in events:
            if event.container_id == about:
                found.append(event)
                if event.action == until:
                    break
    return found


async def test_a_port_is_chosen_and_reported(subject: Subject) -> None:
    container_id = await subject.create("a", "sleep", "60", ExposedPorts=WEB, HostConfig=_published(""))
    assert (await subject.runtime.inspect(container_id)).ports == ()
    await subject.runtime.start(container_id)
    info = await subject.runtime.inspect(container_id)
    [binding] = info.ports
    assert binding == PortBinding(container_port=80, protocol="tcp", host_ip="127.0.0.1", host_port=binding.host_port)
    assert 1024 <= binding.host_port <= 65535
    [address] = info.addresses.values()
    assert ipaddress.ip_address(address).is_private
    await subject.runtime.stop(container_id, 0)
    assert (await subject.runtime.inspect(container_id)).ports == ()


async def test_a_held_port_is_refused_until_it_is_free(subject: Subject) -> None:
    first = await subject.create("a", "sleep", "60", ExposedPorts=WEB, HostConfig=_published("0"))
    await subject.runtime.start(first)
    [binding] = (await subject.runtime.inspect(first)).ports
    fixed = _published(str(binding.host_port))
    second = await subject.create("b", "sleep", "60", ExposedPorts=WEB, HostConfig=fixed)
    with pytest.raises(EngineError, match=f"127.0.0.1:{binding.host_port}.* already"):
        await subject.runtime.start(second)
    refused = await subject.runtime.inspect(second)
    assert (refused.status, refused.exit_code, refused.ports) == ("created", None, ())
    assert "port is already allocated" in refused.error or (subject.podman and refused.error == "")
    await subject.runtime.stop(first, 0)
    await subject.runtime.start(second)
    started = await subject.runtime.inspect(second)
    assert [port.host_port for port in started.ports] == [binding.host_port]
    assert started.error == ""


async def test_a_network_namespace_is_shared_only_while_its_owner_runs(subject: Subject) -> None:
    owner = await subject.create("owner", "sleep", "60", HostConfig={"NetworkMode": "none"})
    shared = {"NetworkMode": f"container:{owner}"}
    guest = await subject.create("guest", "sleep", "60", HostConfig=shared)
    if not subject.podman:  # Podman starts the owner by itself.
        with pytest.raises(EngineError, match="cannot join network of a non running container"):
            await subject.runtime.start(guest)
        await subject.runtime.start(owner)
    await subject.runtime.start(guest)
    assert (await subject.runtime.inspect(guest)).status == "running"
    assert (await subject.runtime.inspect(owner)).status == "running"
    if not subject.podman:  # Podman publishes nothing then, without a word.
        conflict = "conflicting options: port publishing and the container type network mode"
        with pytest.raises(EngineError, match=conflict):
            await subject.create("web", "sleep", "60", ExposedPorts=WEB, HostConfig={**shared, **_published("")})
    elsewhere = {"NetworkMode": "openecs-no-such-network"}
    if subject.podman:  # It finds the network missing at the creation already.
        with pytest.raises(EngineError, match="openecs-no-such-network"):
            await subject.create("lost", "sleep", "60", HostConfig=elsewhere)
        return
    lost = await subject.create("lost", "sleep", "60", HostConfig=elsewhere)
    with pytest.raises(NoSuchContainer, match="network openecs-no-such-network not found"):
        await subject.runtime.start(lost)


async def test_host_and_none_publish_nothing(subject: Subject) -> None:
    for mode in ("host", "none"):
        container_id = await subject.create(mode, "sleep", "60", HostConfig={"NetworkMode": mode})
        await subject.runtime.start(container_id)
        info = await subject.runtime.inspect(container_id)
        assert (info.status, info.ports, dict(info.addresses)) == ("running", (), {})


async def test_a_volume_lives_while_it_is_used(subject: Subject) -> None:
    volume = subject.name("volume")
    assert not await subject.runtime.volume_exists(volume)
    await subject.runtime.create_volume(volume, "local", {}, {"openecs.test.run": subject.run})
    await subject.runtime.create_volume(volume, "local", {}, {"openecs.test.run": subject.run})
    assert await subject.runtime.volume_exists(volume)
    host = {"Binds": [f"{volume}:/data", "/tmp:/host:ro"]}
    container_id = await subject.create("a", "sleep", "60", HostConfig=host)
    info = await subject.runtime.inspect(container_id)
    assert set(info.mounts) == {(volume, "/data", False), ("/tmp", "/host", True)}
    with pytest.raises(EngineError, match=r"volume is (in use|being used)") as refusal:
        await subject.runtime.remove_volume(volume)
    assert refusal.value.status == 409
    await subject.runtime.remove(container_id)
    assert await subject.runtime.volume_exists(volume)
    await subject.runtime.remove_volume(volume)
    assert not await subject.runtime.volume_exists(volume)
    await subject.runtime.remove_volume(volume)


async def test_events_tell_a_life_in_order(subject: Subject) -> None:
    since = SystemClock().now() - 1
    container_id = await subject.create("a", "sh", "-c", "exit 3", labels={"task": "1"})
    await subject.runtime.start(container_id)
    await subject.when(container_id, lambda info: info.status == "exited")
    await subject.runtime.remove(container_id)
    events = await _events(subject, since, "destroy", container_id)
    assert [event.action for event in events] == ["create", "start", "die", "destroy"]
    assert [event.exit_code for event in events] == [None, None, 3, None]
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert all(event.labels["task"] == "1" for event in events)
    assert all(event.labels["openecs.test.run"] == subject.run for event in events)
    assert not {"exitCode", "name", "image"} & set(events[2].labels)


async def test_events_arrive_as_things_happen(subject: Subject) -> None:
    container_id = await subject.create("a", "sleep", "60")
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_events(subject, SystemClock().now() - 1, "die", container_id))
        await subject.runtime.start(container_id)
        await subject.runtime.stop(container_id, 0)
    die = listening.result()[-1]
    assert (die.action, die.exit_code is not None) == ("die", True)


async def test_a_health_result_is_an_event(subject: Subject) -> None:
    await subject.needs_health_checks()
    since = SystemClock().now() - 1
    check = {"Test": ["CMD", "fake-unhealthy"], "Interval": 100_000_000, "Retries": 1}
    container_id = await subject.create("a", "sleep", "60", Healthcheck=check)
    await subject.runtime.start(container_id)
    events = await _events(subject, since, "health_status", container_id)
    assert [event.action for event in events] == ["create", "start", "health_status"]
    assert events[-1].health == "unhealthy"
