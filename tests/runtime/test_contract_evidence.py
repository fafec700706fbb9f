"""What every runtime promises about a container's output and the runs of its health check."""

from __future__ import annotations

import pytest
from runtime_subject import Subject

from openecs.agent.runtime.docker.output import End, newest
from openecs.agent.runtime.protocol import NoSuchContainer


async def test_the_newest_lines_are_told_of_a_container_that_has_ended(subject: Subject) -> None:
    container_id = await subject.create("a", "sh", "-c", "echo one; echo two; echo three; exit 3")
    assert await subject.runtime.tail(container_id, 5) == ""
    await subject.runtime.start(container_id)
    await subject.when(container_id, lambda info: info.status == "exited")
    assert await subject.runtime.tail(container_id, 2) == "two\nthree\n"
    assert await subject.runtime.tail(container_id, 20) == "one\ntwo\nthree\n"


async def test_both_streams_and_terminals_are_told(subject: Subject) -> None:
    if not subject.real:
        pytest.skip("the fake engine's programs have one stream")
    both = await subject.create("a", "sh", "-c", "echo out; echo err >&2")
    terminal = await subject.create("b", "sh", "-c", "echo out", Tty=True)
    for container_id in (both, terminal):
        await subject.runtime.start(container_id)
        await subject.when(container_id, lambda info: info.status == "exited")
    assert sorted((await subject.runtime.tail(both, 20) or "").splitlines()) == ["err", "out"]
    assert await subject.runtime.tail(terminal, 20) == "out\n"


async def test_a_driver_that_keeps_nothing_tells_nothing(subject: Subject) -> None:
    logging = {"LogConfig": {"Type": "none", "Config": {}}}
    container_id = await subject.create("a", "sh", "-c", "echo one", HostConfig=logging)
    await subject.runtime.start(container_id)
    await subject.when(container_id, lambda info: info.status == "exited")
    assert await subject.runtime.tail(container_id, 20) is None


async def test_the_output_of_no_container_is_refused(subject: Subject) -> None:
    with pytest.raises(NoSuchContainer):
        await subject.runtime.tail("0" * 64, 20)


async def test_results_of_health_checks_stay_when_the_container_has_ended(subject: Subject) -> None:
    await subject.needs_health_checks()
    test = "echo no such page; exit 4" if subject.real else "fake-unhealthy"
    check = {"Test": ["CMD-SHELL", test], "Interval": 50_000_000, "Retries": 1}
    container_id = await subject.create("a", "sleep", "60", Healthcheck=check)
    await subject.runtime.start(container_id)
    await subject.when(container_id, lambda info: info.health is not None and info.health.status == "unhealthy")
    await subject.runtime.stop(container_id, 0)
    ended = await subject.runtime.inspect(container_id)
    assert ended.health is None
    assert ended.probes[-1].exit_code != 0
    assert ended.probes[-1].output == ("no such page\n" if subject.real else "fake: unhealthy")


def test_half_a_frame_and_broken_text_are_survived() -> None:
    frames = b"\x01\0\0\0\0\0\0\x04ab\xff\n" + b"\x02\0\0\0\0\0\0\x02c\n" + b"\x01\0\0\0\0\0\0\x09half"
    whole, cut = End(terminal=False), End(terminal=False)
    whole.feed(frames)
    assert whole.text() == "ab\ufffd\nc\nhalf"
    cut.feed(frames[:-6])
    assert cut.text() == "ab\ufffd\nc\n"
    assert newest("a\nb\nc", 2) == "b\nc"
    assert newest("a\n", 0) == ""
