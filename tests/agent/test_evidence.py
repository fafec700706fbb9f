"""What the agent sees of containers that end, fail or turn UNHEALTHY, and how it tells."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from agent_control_plane import ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent

from openecs.acs import evidence as wire
from openecs.acs.evidence import BODY_LIMIT, LOG_LENGTH, PROBE_LENGTH, PROBES, REASON_LENGTH, Evidence
from openecs.acs.task_payload import RestartPolicy
from openecs.agent.engine.evidence import MAXIMUM, REPEAT_AFTER, TRIES, EvidenceGatherer
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import ContainerInfo, EngineUnavailable, ProbeResult
from openecs.clock import SystemClock
from openecs.errors import AWSError, Retryable
from openecs.ids import RandomIds

ARN = task_arn(1)
SICK = {"Healthcheck": {"Test": ["CMD", "fake-unhealthy"], "Interval": 10_000_000, "Retries": 1}}
SECRET = "hunter2-is-secret"


@pytest.fixture
def engine() -> FakeRuntime:
    return FakeRuntime(SystemClock(), RandomIds())


async def told(plane: ControlPlaneDouble, arn: str = ARN) -> dict[str, Any]:
    found: dict[str, Any] = await plane.until(lambda: plane.evidence(arn) and plane.evidence(arn)[0])
    return found


async def test_an_end_is_told_with_code_and_output_though_containers_go_at_once(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    command = ("sh", "-c", "echo one; echo two; exit 3")
    payload = task(container(command=command, environment={"PASSWORD": SECRET}, memory=64))
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0), engine):
        await plane.connected()
        await plane.assign(payload)
        found = await told(plane)
        await plane.reaches(ARN, "STOPPED")
    assert (found["container"], found["occasion"], found["exit_code"]) == ("app", "ended", 3)
    assert found["log"] == "one\ntwo\n"
    assert SECRET not in str(plane.evidence(ARN))


class HastyEngine(FakeRuntime):
    """Reads output only when a removal has had every chance to come first."""

    removed = asyncio.Event()

    async def remove(self, container_id: str) -> None:
        await super().remove(container_id)
        self.removed.set()

    async def tail(self, container_id: str, lines: int) -> str | None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.removed.wait()
        return await super().tail(container_id, lines)


async def test_containers_stay_until_they_are_read(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    engine = HastyEngine(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0), engine):
        await plane.connected()
        await plane.assign(task(container(command=("sh", "-c", "echo one; exit 3"))))
        await plane.reaches(ARN, "STOPPED")
        assert not plane.evidence(ARN)  # The report did not wait for it.
        assert (await told(plane))["log"] == "one\n"
        await engine.removed.wait()


async def test_a_kill_for_memory_is_told_with_the_limit(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("oom",), memory=64)))
        found = await told(plane)
    assert (found["oom_killed"], found["memory_limit"], found["exit_code"]) == (True, 64, 137)


async def test_a_failing_health_check_is_told_with_its_output(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("sh", "-c", "echo up; sleep infinity"), config=SICK)))
        found = await told(plane)
        await plane.stop(ARN)
        await plane.reaches(ARN, "STOPPED")
    assert found["occasion"] == "unhealthy"
    assert found["probes"] == [{"exit_code": 1, "output": "fake: unhealthy"}]
    assert found["log"] == "up\n"
    assert len(plane.evidence(ARN)) == 1  # Being stopped is nothing to explain.


async def test_what_could_not_be_started_is_told_in_the_engines_words(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("no-such-command",))))
        found = await told(plane)
    assert found["occasion"] == "failed"
    assert "executable file not found" in found["reason"]


async def test_a_restart_by_policy_is_told(plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path) -> None:
    policy = RestartPolicy(enabled=True, restart_attempt_period=0)
    helper = container("helper", command=("sh", "-c", "sleep 0.05; exit 1"), essential=False, restart_policy=policy)
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("sleep", "infinity")), helper))
        found = await told(plane)
    assert (found["container"], found["occasion"], found["restarts"]) == ("helper", "restarted", 1)


async def test_a_control_plane_that_refuses_evidence_changes_nothing(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    plane.refusals[wire.PATH] = (403, {"__type": "AccessDeniedException", "message": "no"})
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0), engine):
        await plane.connected()
        await plane.assign(task(container(command=("exit", "3"))))
        report = await plane.reaches(ARN, "STOPPED")
    assert report["containers"][0]["exitCode"] == 3


# -- the gatherer by itself ---------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class Runtime:
    """An engine that answers when it is let."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked = 0
        self.away = False
        self.output: str | None = "x" * 100_000

    async def inspect(self, container_id: str) -> ContainerInfo:
        self.asked += 1
        await self.may_answer.wait()
        if self.away:
            raise EngineUnavailable("away")
        long = ProbeResult(exit_code=1, output="y" * 10_000)
        return ContainerInfo(
            id=container_id, name="", image_id="", status="exited", pid=0, labels={}, created_at=0.0, probes=(long,) * 5
        )

    async def tail(self, container_id: str, lines: int) -> str | None:
        return self.output


class Sender:
    """Keeps what was sent; raises what is given first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.sent: list[Evidence] = []
        self.tries = 0

    async def __call__(self, body: bytes) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(msgspec.json.decode(body, type=Evidence))


def seen(name: str = "app", arn: str = ARN, **members: Any) -> Evidence:
    base: Mapping[str, Any] = {"task_arn": arn, "container": name, "occasion": "ended", "at": 1.0}
    return Evidence(**(base | members))


class Gathering:
    """A gatherer that runs, with everything around it."""

    def __init__(self, *errors: Exception) -> None:
        self.clock = Clock()
        self.runtime = Runtime()
        self.sender = Sender(*errors)
        self.pauses: list[float] = []
        self.gatherer = EvidenceGatherer(self.runtime, self.sender, self.clock, self.sleep)  # type: ignore[arg-type]

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def __aenter__(self) -> Self:
        self.group = asyncio.TaskGroup()
        await self.group.__aenter__()
        self.running = self.group.create_task(self.gatherer.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.running.cancel()
        await self.group.__aexit__(*error)

    async def settle(self) -> None:
        """Everything that can happen has happened."""
        for _ in range(200):
            await asyncio.sleep(0)


async def test_everything_is_cut_to_what_the_control_plane_takes() -> None:
    async with Gathering() as it:
        it.runtime.may_answer.set()
        it.gatherer.take(seen(reason="z" * REASON_LENGTH), "id")
        await it.settle()
    (found,) = it.sender.sent
    assert len(found.probes) == PROBES
    assert {len(probe.output) for probe in found.probes} == {PROBE_LENGTH}
    assert found.log is not None
    assert len(found.log) == LOG_LENGTH
    assert len(msgspec.json.encode(found)) < BODY_LIMIT


async def test_control_characters_fit_into_the_limit_too() -> None:
    async with Gathering() as it:
        it.runtime.output = "\x01" * 100_000
        it.runtime.may_answer.set()
        it.gatherer.take(seen(), "id")
        await it.settle()
    assert len(msgspec.json.encode(it.sender.sent[0])) < BODY_LIMIT


async def test_the_same_is_told_once_within_a_while() -> None:
    async with Gathering() as it:
        it.runtime.may_answer.set()
        for _ in range(3):
            it.gatherer.take(seen(), "id")
        it.gatherer.take(seen("other"), "id")
        await it.settle()
        assert [found.container for found in it.sender.sent] == ["app", "other"]
        it.clock.time += REPEAT_AFTER
        it.gatherer.take(seen(), "id")
        await it.settle()
        assert len(it.sender.sent) == 3


async def test_too_much_at_once_is_dropped() -> None:
    async with Gathering() as it:
        for number in range(MAXIMUM + 10):
            it.gatherer.take(seen(f"c{number}"), "id")
        it.runtime.may_answer.set()
        await it.settle()
        assert len(it.sender.sent) == MAXIMUM
        it.gatherer.take(seen("later"), "id")
        await it.settle()
        assert it.sender.sent[-1].container == "later"


async def test_removal_waits_for_what_is_being_read_and_for_nothing_else() -> None:
    async with Gathering(Retryable("away")) as it:
        it.gatherer.take(seen(), "id")
        await it.settle()
        await it.gatherer.settled(task_arn(2))
        waiting = asyncio.get_running_loop().create_task(it.gatherer.settled(ARN))
        await it.settle()
        assert not waiting.done()
        it.runtime.may_answer.set()
        await waiting
        await it.gatherer.settled(ARN)


async def test_an_engine_that_is_away_leaves_what_is_known_already() -> None:
    async with Gathering() as it:
        it.runtime.away = True
        it.runtime.may_answer.set()
        it.gatherer.take(seen(exit_code=3), "id")
        await it.settle()
    assert [(found.exit_code, found.log) for found in it.sender.sent] == [(3, None)]


async def test_delivery_is_tried_again_for_a_while_but_not_what_is_refused() -> None:
    async with Gathering(Retryable("a"), Retryable("b")) as it:
        it.gatherer.take(seen(), None)
        await it.settle()
        assert (len(it.sender.sent), it.pauses) == (1, [0.5, 1.0])
    async with Gathering(*[Retryable("away")] * 100) as it:
        it.gatherer.take(seen(), None)
        await it.settle()
        assert (it.sender.sent, it.sender.tries) == ([], TRIES)
    async with Gathering(AWSError("AccessDeniedException", "no")) as it:
        it.gatherer.take(seen(), None)
        await it.settle()
        assert (it.sender.sent, it.sender.tries) == ([], 1)


@pytest.mark.parametrize("place", ["inspect", "tail"])
async def test_an_engine_that_answers_nonsense_costs_one_piece_of_output_and_no_more(place: str) -> None:
    async def nonsense(*_: object) -> None:
        raise ValueError("nobody thought of it")

    async with Gathering() as it:
        it.runtime.may_answer.set()
        good = getattr(it.runtime, place)
        setattr(it.runtime, place, nonsense)
        it.gatherer.take(seen(exit_code=3), "id")
        await it.settle()
        setattr(it.runtime, place, good)
        it.gatherer.take(seen("other"), "id")
        await it.settle()
        assert not it.running.done()
    assert [(found.container, found.log is None) for found in it.sender.sent] == [("app", True), ("other", False)]


async def test_a_sender_that_fails_in_an_unknown_way_costs_one_piece_and_no_more() -> None:
    async with Gathering(LookupError("odd")) as it:
        it.gatherer.take(seen(), None)
        it.gatherer.take(seen("other"), None)
        await it.settle()
        assert not it.running.done()
        await it.gatherer.settled(ARN)
    assert [found.container for found in it.sender.sent] == ["other"]


async def test_what_comes_while_the_agent_stops_is_dropped() -> None:
    async with Gathering() as it:
        it.gatherer.take(seen(), "id")
        await it.settle()
        it.running.cancel()
        await it.settle()
        it.gatherer.take(seen("late"), "id")
        await it.gatherer.settled(ARN)
    assert it.sender.sent == []


async def test_without_output_nothing_printed_is_read_or_told() -> None:
    async with Gathering() as it:
        it.running.cancel()
        it.gatherer = EvidenceGatherer(it.runtime, it.sender, it.clock, it.sleep, output=False)  # type: ignore[arg-type]
        it.running = it.group.create_task(it.gatherer.run())
        await asyncio.sleep(0)
        it.runtime.may_answer.set()
        it.gatherer.take(seen(exit_code=3), "id")
        await it.settle()
        (found,) = it.sender.sent
    assert (found.exit_code, found.log) == (3, None)
    assert [(probe.exit_code, probe.output) for probe in found.probes] == [(1, "")] * PROBES


async def test_an_agent_that_is_told_so_sends_no_evidence(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0, evidence="none"), engine):
        await plane.connected()
        await plane.assign(task(container(command=("exit", "3"))))
        await plane.reaches(ARN, "STOPPED")
    assert not plane.evidence(ARN)
