"""The whole agent against a scripted control plane and the fake engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from agent_control_plane import INSTANCE, ControlPlaneDouble
from agent_payloads import container, task, task_arn
from agent_process import agent_config, running_agent

from openecs.acs import messages as m
from openecs.acs import task_payload as tp
from openecs.agent.engine import names
from openecs.agent.main import run_agent
from openecs.agent.runtime.fake import FakeRuntime
from openecs.agent.runtime.protocol import EngineError, ImageInfo, RegistryAuth
from openecs.clock import SystemClock
from openecs.errors import OperatorError
from openecs.ids import RandomIds

HEALTHCHECK = {"Healthcheck": {"Test": ["CMD", "true"], "Interval": 10_000_000, "Retries": 1}}


@pytest.fixture
def engine() -> FakeRuntime:
    return FakeRuntime(SystemClock(), RandomIds())


async def eventually(condition: object) -> None:
    """Wait for something outside the control plane's sight."""
    async with asyncio.timeout(20):
        while not await condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_registration_tells_the_truth_about_the_node(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    config = agent_config(plane.endpoint, tmp_path, fargate=True, lend_to=("a", "b"), cpu=2048, memory=512)
    async with running_agent(config, engine):
        await plane.connected()
    _, request = plane.calls[0]
    attributes = {a["name"]: a.get("value") for a in request["attributes"]}
    assert attributes["openecs.fargate"] == "true"
    assert attributes["openecs.lend-to"] == "a,b"
    assert attributes["ecs.os-type"] == "linux"
    assert "ecs.capability.container-ordering" in attributes
    resources = {r["name"]: r.get("integerValue", r.get("stringSetValue")) for r in request["totalResources"]}
    assert (resources["CPU"], resources["MEMORY"]) == (2048, 512)
    assert "sendCredentials=true" in plane.handshakes[0] or "sendCredentials=true" in plane.handshakes[1]


async def test_a_task_runs_is_acknowledged_and_stops(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        message_id = await plane.assign(task())
        report = await plane.reaches(task_arn(1), "RUNNING")
        (change,) = report["containers"]
        assert (change["containerName"], change["status"]) == ("app", "RUNNING")
        assert {"cluster", "containerInstance", "messageId"} == set(plane.answers("AckRequest")[0])
        assert plane.answers("AckRequest")[0]["messageId"] == message_id
        assert (await engine.inspect(change["runtimeId"])).status == "running"
        await plane.stop(task_arn(1))
        report = await plane.reaches(task_arn(1), "STOPPED")
        assert report["containers"][0]["exitCode"] == 143
        assert report["reason"] == ""
        assert "executionStoppedAt" in report


async def test_an_exit_by_itself_is_reported_with_its_code(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(command=("exit", "7"))))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert [r["status"] for r in plane.reports(task_arn(1))] == ["RUNNING", "STOPPED"]
    assert report["containers"][-1]["exitCode"] == 7


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (task(container(image="nowhere/missing:1")), "CannotPullContainerError: "),
        (task(container(command=("no-such-command",))), "CannotStartContainerError: Error response from daemon: "),
        (task(container(command=("oom",))), "OutOfMemoryError: Container killed due to memory usage"),
    ],
)
async def test_failures_are_worded_as_ecs_does(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path, payload: tp.TaskPayload, reason: str
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(payload)
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert report["containers"][-1]["reason"].startswith(reason)


async def test_a_task_of_another_region_is_told_its_own(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    foreign = msgspec.structs.replace(task(), arn=task_arn(1).replace("us-east-1", "eu-west-1"))
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(foreign, task(number=2))
        for arn, region in ((foreign.arn, "eu-west-1"), (task_arn(2), "us-east-1")):
            report = await plane.reaches(arn, "RUNNING")
            environment = engine._containers[report["containers"][0]["runtimeId"]].body["Env"]
            assert {f"AWS_REGION={region}", f"AWS_DEFAULT_REGION={region}"} <= set(environment)


async def test_a_bad_volume_is_refused_in_the_agents_words(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(volumes=(tp.VolumePayload(name="v", type="weird"),)))
        report = await plane.reaches(task_arn(1), "STOPPED")
    assert report["reason"] == 'UnrecogniedTaskError: Error loading task - unrecognized volume type: "weird"'


async def test_dynamic_ports_are_chosen_by_the_agent_and_reported(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    mappings = (tp.PortMapping(container_port=80), tp.PortMapping(container_port_range="9000-9002"))
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(port_mappings=mappings), network_mode="bridge"))
        report = await plane.reaches(task_arn(1), "RUNNING")
        single, block = report["containers"][0]["networkBindings"]
        assert single["containerPort"] == 80
        published = {p.host_port for p in (await engine.inspect(report["containers"][0]["runtimeId"])).ports}
        first, last = map(int, block["hostPortRange"].split("-"))
        assert last - first == 2
        assert {single["hostPort"], *range(first, last + 1)} <= published


async def test_health_goes_out_over_telemetry(plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(container(config=HEALTHCHECK, health_check_type="docker")))
        await plane.until(
            lambda: any(
                c["healthStatus"] == "HEALTHY"
                for frame in plane.telemetry
                if frame["type"] == "PublishHealthRequest"
                for t in frame["message"]["tasks"]
                for c in t["containers"]
            )
        )


async def test_heartbeats_are_acknowledged_and_bring_the_instance_status(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.send(m.HeartbeatMessage(message_id="h1"))
        await plane.until(lambda: plane.answers("HeartbeatAckRequest") == [{"messageId": "h1"}])
        frame = await plane.until(
            lambda: next((f for f in plane.telemetry if f["type"] == "PublishInstanceStatusRequest"), None)
        )
    assert frame["message"]["statuses"][0]["status"] == "OK"
    assert frame["message"]["metadata"]["containerInstance"] == INSTANCE


async def test_a_manifest_names_candidates_and_stops_only_what_is_confirmed(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(number=1), task(number=2))
        await plane.reaches(task_arn(1), "RUNNING")
        await plane.reaches(task_arn(2), "RUNNING")
        message_id = await plane.manifest(task_arn(1))
        (verification,) = await plane.until(lambda: plane.answers("TaskStopVerificationMessage"))
        assert [c["taskArn"] for c in verification["stopCandidates"]] == [task_arn(2)]
        wrong = m.TaskStopVerificationAck(message_id="other", stop_tasks=(m.ManifestTask(task_arn=task_arn(1)),))
        await plane.send(wrong)
        right = m.TaskStopVerificationAck(message_id=message_id, stop_tasks=(m.ManifestTask(task_arn=task_arn(2)),))
        await plane.send(right)
        await plane.reaches(task_arn(2), "STOPPED")
        assert plane.status(task_arn(1)) == "RUNNING"


async def test_a_stop_of_an_unknown_task_is_answered(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.stop(task_arn(9))
        report = await plane.reaches(task_arn(9), "STOPPED")
    assert report["reason"] == "TaskStateError: Agent could not progress task's state to stopped"


async def test_a_restarted_agent_takes_its_tasks_over(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    config = agent_config(plane.endpoint, tmp_path)
    async with running_agent(config, engine):
        await plane.connected()
        await plane.assign(task(number=1), task(number=2))
        first = await plane.reaches(task_arn(1), "RUNNING")
        second = await plane.reaches(task_arn(2), "RUNNING")
    await plane.until(lambda: plane.acs is None)
    await engine.stop(second["containers"][0]["runtimeId"], 0)
    async with running_agent(config, engine):
        report = await plane.reaches(task_arn(2), "STOPPED")
        assert report["containers"][0]["exitCode"] is not None
        registration = [body for name, body in plane.calls if name == "RegisterContainerInstance"][1]
        assert registration["containerInstanceArn"] == INSTANCE
        await plane.connected()
        await plane.assign(task(number=1))
        assert len(await engine.list([f"{names.LABEL_TASK_ARN}={task_arn(1)}"])) == 1
        await plane.stop(task_arn(1))
        stopped = await plane.reaches(task_arn(1), "STOPPED")
        assert stopped["containers"][0]["runtimeId"] == first["containers"][0]["runtimeId"]


async def test_reports_wait_for_a_control_plane_that_is_away(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task())
        running = await plane.reaches(task_arn(1), "RUNNING")
        await plane.close()
        await engine.stop(running["containers"][0]["runtimeId"], 0)
        await plane.open()
        await plane.reaches(task_arn(1), "STOPPED")
        await plane.connected()


async def test_a_refused_report_is_dropped_and_the_next_one_still_comes(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine) as tasks:
        await plane.connected()
        refusal = {"__type": "InvalidParameterException", "message": "no"}
        plane.refusals["SubmitTaskStateChange"] = (400, refusal)
        await plane.assign(task())

        async def dropped() -> bool:
            worker = tasks.worker(task_arn(1))
            return worker is not None and worker.state.status == "RUNNING" and not worker.state.reports

        await eventually(dropped)
        del plane.refusals["SubmitTaskStateChange"]
        await plane.stop(task_arn(1))
        await plane.reaches(task_arn(1), "STOPPED")
    assert [r["status"] for r in plane.reports(task_arn(1))] == ["STOPPED"]


async def test_stopped_tasks_are_cleaned_up_and_forgotten(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    volume = tp.VolumePayload(name="data", host=tp.HostVolume())
    mount = tp.MountPoint(source_volume="data", container_path="/data")
    payload = task(container(mount_points=(mount,)), volumes=(volume,))
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0.0), engine) as tasks:
        await plane.connected()
        await plane.assign(payload)
        await plane.reaches(task_arn(1), "RUNNING")
        assert await engine.volume_exists(names.volume_name(payload, "data"))
        await plane.stop(task_arn(1))
        await plane.reaches(task_arn(1), "STOPPED")

        async def gone() -> bool:
            return tasks.worker(task_arn(1)) is None and not await engine.list()

        await eventually(gone)
        assert not await engine.volume_exists(names.volume_name(payload, "data"))


async def test_containers_that_belong_to_no_task_are_removed_after_a_manifest(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        request = next(body for name, body in plane.calls if name == "RegisterContainerInstance")
        node = next(a["value"] for a in request["attributes"] if a["name"] == "openecs.node-id")
        await engine.pull("app:1")
        labels = {names.LABEL_NODE: node, names.LABEL_TASK_ARN: task_arn(5)}
        orphan = await engine.create("orphan", {"Image": "app:1", "Labels": labels})
        await engine.start(orphan)
        stranger = await engine.create("stranger", {"Image": "app:1", "Labels": {names.LABEL_NODE: "somebody else"}})
        await plane.manifest()

        async def removed() -> bool:
            return await engine.list() == [stranger]

        await eventually(removed)


async def test_an_instance_that_the_control_plane_lost_registers_anew(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    plane.refuse_acs = '{"InvalidInstanceException":"Container instance not found."}'
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.until(lambda: sum(name == "RegisterContainerInstance" for name, _ in plane.calls) >= 2)
        plane.refuse_acs = None
        await plane.connected()
    registrations = [body for name, body in plane.calls if name == "RegisterContainerInstance"]
    assert "containerInstanceArn" not in registrations[-1]


async def test_many_tasks_at_once_all_run_and_all_stop(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    numbers = range(60)
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        for number in numbers:
            await plane.assign(task(container("app"), container("side", essential=False), number=number))
        await plane.until(lambda: all(plane.status(task_arn(n)) == "RUNNING" for n in numbers))
        for number in numbers:
            await plane.stop(task_arn(number))
        await plane.until(lambda: all(plane.status(task_arn(n)) == "STOPPED" for n in numbers))
    assert len(await engine.list()) == 120


async def test_a_refused_node_is_told_what_to_do(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path
) -> None:
    plane.refusals["RegisterContainerInstance"] = (400, {"__type": "AccessDeniedException", "message": "not you"})
    with pytest.raises(OperatorError, match="not you") as raised:
        await run_agent(agent_config(plane.endpoint, tmp_path), runtime=engine)
    assert "key pair" in str(raised.value)


@pytest.mark.parametrize("killing", [False, True])
async def test_after_an_outage_of_the_engine_tasks_go_on_or_are_reported_truthfully(
    plane: ControlPlaneDouble, engine: FakeRuntime, tmp_path: Path, killing: bool
) -> None:
    async with running_agent(agent_config(plane.endpoint, tmp_path), engine):
        await plane.connected()
        await plane.assign(task(number=1))
        await plane.reaches(task_arn(1), "RUNNING")
        engine.go_down(killing_containers=killing)
        await plane.assign(task(number=2))
        await plane.until(lambda: len(plane.answers("AckRequest")) == 2)
        engine.come_back()
        await plane.reaches(task_arn(2), "RUNNING")
        if killing:
            report = await plane.reaches(task_arn(1), "STOPPED")
            assert report["containers"][0]["exitCode"] is not None
        else:
            await plane.stop(task_arn(1))
            assert (await plane.reaches(task_arn(1), "STOPPED"))["containers"][0]["exitCode"] == 143


async def test_an_image_of_a_registry_is_pulled_once_for_each_task(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    class Counting(FakeRuntime):
        pulls = 0

        async def pull(self, reference: str, auth: RegistryAuth | None = None) -> None:
            self.pulls += 1
            await super().pull(reference, auth)

        async def inspect_image(self, reference: str) -> ImageInfo | None:
            image = await super().inspect_image(reference)
            return image and msgspec.structs.replace(image, repo_digests=("app@sha256:aa",))

    runtime = Counting(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, tmp_path), runtime):
        await plane.connected()
        for number in (1, 2):
            await plane.assign(task(number=number))
            report = await plane.reaches(task_arn(number), "RUNNING")
            assert report["containers"][0]["imageDigest"] == "sha256:aa"
            assert report["pullStoppedAt"] >= report["pullStartedAt"]
            assert runtime.pulls == number


async def test_a_refusal_while_cleaning_up_is_repeated(plane: ControlPlaneDouble, tmp_path: Path) -> None:
    class Busy(FakeRuntime):
        refusals = 2

        async def remove(self, container_id: str) -> None:
            if self.refusals:
                self.refusals -= 1
                raise EngineError("removal of container is already in progress", 409)
            await super().remove(container_id)

    runtime = Busy(SystemClock(), RandomIds())
    async with running_agent(agent_config(plane.endpoint, tmp_path, cleanup_delay=0.0), runtime):
        await plane.connected()
        await plane.assign(task(container(command=("exit", "0"))))
        await plane.reaches(task_arn(1), "STOPPED")

        async def gone() -> bool:
            return not await runtime.list()

        await eventually(gone)
