"""What every runtime promises about the life of a container."""

from __future__ import annotations

import asyncio

import pytest
from runtime_subject import OBEDIENT, PROBE_READY, STUBBORN, Subject

from openecs.agent.runtime.protocol import EngineError, NoSuchContainer


async def test_the_engine_describes_itself(subject: Subject) -> None:
    info = await subject.runtime.info()
    assert info.cpus >= 1
    assert info.memory_mib > 256
    assert info.api_version >= (1, 41)
    assert info.architecture in {"x86_64", "arm64"}
    assert "json-file" in info.log_drivers or subject.podman


async def test_an_image_is_found_by_name_and_by_id(subject: Subject) -> None:
    by_name = await subject.runtime.inspect_image(subject.image)
    assert by_name is not None
    assert by_name.id.startswith("sha256:")
    assert any(variable.startswith("PATH=") for variable in by_name.env)
    assert await subject.runtime.inspect_image(by_name.id) == by_name
    assert await subject.runtime.inspect_image("openecs-test/nowhere:1") is None


async def test_a_pull_that_fails_tells_why(subject: Subject) -> None:
    # Nobody listens at port 1 of this machine, so no engine can reach that registry.
    with pytest.raises(EngineError) as failure:
        await subject.runtime.pull("127.0.0.1:1/missing/image:latest")
    assert failure.value.message
    assert await subject.runtime.inspect_image("127.0.0.1:1/missing/image:latest") is None


async def test_a_created_container_has_not_run(subject: Subject) -> None:
    container_id = await subject.create("a", "sleep", "60", labels={"one": "1"})
    info = await subject.runtime.inspect(container_id)
    image = await subject.runtime.inspect_image(subject.image)
    assert image is not None
    assert (info.id, info.name, info.status, info.pid) == (container_id, subject.name("a"), "created", 0)
    assert info.image_id == image.id
    assert info.labels["one"] == "1"
    assert (info.started_at, info.finished_at, info.exit_code, info.error) == (None, None, None, "")
    assert await subject.runtime.inspect(subject.name("a")) == info


async def test_a_started_container_runs_and_may_be_started_again(subject: Subject) -> None:
    container_id = await subject.create("a", "sleep", "60")
    await subject.runtime.start(container_id)
    info = await subject.runtime.inspect(container_id)
    assert info.status == "running"
    assert info.pid > 0
    assert info.started_at is not None
    assert info.started_at >= info.created_at
    assert info.exit_code is None
    assert info.pid in await subject.runtime.top(container_id)
    await subject.runtime.start(container_id)
    assert await subject.runtime.inspect(container_id) == info


async def test_creating_twice_gives_the_same_container(subject: Subject) -> None:
    first = await subject.create("a", "sleep", "60", labels={"task": "1"})
    assert await subject.create("a", "sleep", "60", labels={"task": "1"}) == first
    with pytest.raises(EngineError, match="already in use by ") as conflict:
        await subject.create("a", "sleep", "60", labels={"task": "2"})
    assert conflict.value.status == 409
    assert await subject.runtime.list([f"openecs.test.run={subject.run}"]) == [first]


async def test_many_at_once_create_one(subject: Subject) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(subject.create("a", "sleep", "60")) for _ in range(8)]
    [only] = {task.result() for task in tasks}
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(subject.runtime.start(only))
    assert (await subject.runtime.inspect(only)).status == "running"
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(subject.runtime.remove(only))
    assert await subject.runtime.list([f"openecs.test.run={subject.run}"]) == []


async def test_a_call_given_up_does_not_disturb_the_next(subject: Subject) -> None:
    container_id = await subject.create("a", "sh", "-c", STUBBORN)
    await subject.runtime.start(container_id)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await subject.runtime.stop(container_id, 60)
    assert (await subject.runtime.inspect(container_id)).status == "running"
    await subject.runtime.remove(container_id)
    assert await subject.runtime.list([f"openecs.test.run={subject.run}"]) == []


async def test_a_process_that_ends_leaves_its_code(subject: Subject) -> None:
    container_id = await subject.create("a", "sh", "-c", "exit 3")
    await subject.runtime.start(container_id)
    info = await subject.when(container_id, lambda info: info.status == "exited")
    assert (info.exit_code, info.pid, info.oom_killed) == (3, 0, False)
    assert info.started_at is not None
    assert info.finished_at is not None
    assert info.finished_at >= info.started_at
    assert await subject.runtime.top(container_id) == ()


async def test_a_container_can_run_again(subject: Subject) -> None:
    container_id = await subject.create("a", "sh", "-c", OBEDIENT)
    await subject.runtime.start(container_id)
    first = await subject.runtime.inspect(container_id)
    await subject.runtime.stop(container_id, 0)
    await subject.runtime.start(container_id)
    second = await subject.runtime.inspect(container_id)
    assert second.status == "running"
    assert second.pid != first.pid
    assert (second.exit_code, second.finished_at) == (None, None)
    assert second.started_at is not None
    assert first.started_at is not None
    assert second.started_at >= first.started_at


async def test_stopping_lets_the_process_end_in_its_own_way(subject: Subject) -> None:
    await subject.needs_health_checks()
    container_id = await subject.create("a", "sh", "-c", OBEDIENT, Healthcheck=PROBE_READY)
    await subject.runtime.start(container_id)
    await subject.when(container_id, lambda info: info.health is not None and info.health.status == "healthy")
    await subject.runtime.stop(container_id, 20)
    info = await subject.runtime.inspect(container_id)
    assert (info.status, info.exit_code) == ("exited", 5)
    await subject.runtime.stop(container_id, 20)
    assert (await subject.runtime.inspect(container_id)).exit_code == 5


async def test_a_process_that_will_not_stop_is_killed(subject: Subject) -> None:
    container_id = await subject.create("a", "sh", "-c", STUBBORN)
    await subject.runtime.start(container_id)
    await subject.runtime.stop(container_id, 1)
    info = await subject.runtime.inspect(container_id)
    assert (info.status, info.exit_code) == ("exited", 137)


async def test_a_container_is_removed_even_while_it_runs(subject: Subject) -> None:
    container_id = await subject.create("a", "sleep", "60")
    await subject.runtime.start(container_id)
    await subject.runtime.remove(container_id)
    told = f'no container with name or ID "{container_id}"' if subject.podman else f"No such container: {container_id}"
    with pytest.raises(NoSuchContainer, match=told):
        await subject.runtime.inspect(container_id)
    await subject.runtime.remove(container_id)
    with pytest.raises(NoSuchContainer):
        await subject.runtime.start(container_id)
    with pytest.raises(NoSuchContainer):
        await subject.runtime.stop(container_id, 1)
    with pytest.raises(NoSuchContainer):
        await subject.runtime.top(container_id)


async def test_a_command_that_does_not_exist_cannot_start(subject: Subject) -> None:
    container_id = await subject.create("a", "no-such-command")
    with pytest.raises(EngineError, match="executable file not found in \\$PATH"):
        await subject.runtime.start(container_id)
    info = await subject.runtime.inspect(container_id)
    assert (info.status, info.exit_code, info.started_at) == ("created", None, None)
    # Podman tells it once, to whoever starts the container.
    assert "executable file not found" in info.error or (subject.podman and info.error == "")


async def test_an_absent_image_and_a_bad_name_are_refused(subject: Subject) -> None:
    with pytest.raises(NoSuchContainer, match=r"(No such|no such) image: .*openecs-test/nowhere:1"):
        await subject.runtime.create(subject.name("a"), {"Image": "openecs-test/nowhere:1", "Cmd": ["true"]})
    with pytest.raises(EngineError, match=r"Invalid container name|names must match") as refusal:
        await subject.create("not a name", "true")
    assert refusal.value.status == (500 if subject.podman else 400)
    assert await subject.runtime.list([f"openecs.test.run={subject.run}"]) == []


async def test_running_out_of_memory_is_told(subject: Subject) -> None:
    command = ["tail", "/dev/zero"] if subject.real else ["oom"]
    limit = 16 * 2**20
    told = []
    # Docker 20.10 on cgroup v1 forgets about one kill in ten; ten in a row would be our fault.
    while not any(told) and len(told) < (10 if subject.real else 1):
        host = {"Memory": limit, "MemorySwap": limit, "NetworkMode": "none"}
        container_id = await subject.create(f"a{len(told)}", *command, HostConfig=host)
        await subject.runtime.start(container_id)
        info = await subject.when(container_id, lambda info: info.status == "exited")
        assert info.exit_code == 137
        told.append(info.oom_killed)
    # Podman on cgroup v1 never tells; see docs/engines.md.
    assert told[-1] or (subject.podman and (await subject.runtime.info()).cgroup_version == "1")


async def test_health_is_what_the_check_says(subject: Subject) -> None:
    await subject.needs_health_checks()
    failing = {"Test": ["CMD", "fake-unhealthy"], "Interval": 100_000_000, "Retries": 2}
    bad = await subject.create("bad", "sleep", "60", Healthcheck=failing)
    good = await subject.create("good", "sleep", "60", Healthcheck={**failing, "Test": ["CMD", "true"]})
    plain = await subject.create("plain", "sleep", "60")
    for container_id in (bad, good, plain):
        await subject.runtime.start(container_id)
    info = await subject.when(bad, lambda info: info.health is not None and info.health.status == "unhealthy")
    assert info.health is not None
    assert info.health.exit_code != 0
    assert info.health.since is not None
    info = await subject.when(good, lambda info: info.health is not None and info.health.status == "healthy")
    assert info.health is not None
    assert info.health.exit_code == 0
    assert (await subject.runtime.inspect(plain)).health is None
    await subject.runtime.stop(good, 0)
    assert (await subject.runtime.inspect(good)).health is None


async def test_containers_are_listed_by_labels(subject: Subject) -> None:
    run = f"openecs.test.run={subject.run}"
    first = await subject.create("a", "sleep", "60", labels={"task": "1", "first": ""})
    second = await subject.create("b", "sleep", "60", labels={"task": "2"})
    await subject.runtime.start(second)
    assert set(await subject.runtime.list([run])) == {first, second}
    assert await subject.runtime.list([run, "task=2"]) == [second]
    assert await subject.runtime.list([run, "first"]) == [first]
    assert await subject.runtime.list([run, "task=3"]) == []
    assert {first, second} <= set(await subject.runtime.list())
