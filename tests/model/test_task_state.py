from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.model import task_state
from openecs.model.resources import Resources
from openecs.model.task import STATUS_ORDER, NetworkInterface, Task, TaskContainer
from openecs.model.task_report import ContainerReport, TaskReport
from openecs.shapes import ecs

ARN = "arn:aws:ecs:us-east-1:111122223333:task/default/0123456789abcdef0123456789abcdef"

ENI = NetworkInterface(
    attachment_id="a1",
    eni_id="eni-1",
    mac_address="0a:00:00:00:00:01",
    private_ipv4_address="10.0.0.9",
    private_dns_name="ip-10-0-0-9",
    subnet_id="subnet-1",
)


def container(name: str = "app", **changes: object) -> TaskContainer:
    return TaskContainer(arn=f"{ARN}/{name}", name=name, image="busybox", **changes)  # type: ignore[arg-type]


def task(**changes: object) -> Task:
    values: dict[str, object] = {
        "arn": ARN,
        "region": "us-east-1",
        "cluster_arn": "arn:aws:ecs:us-east-1:111122223333:cluster/default",
        "task_definition_arn": "arn:aws:ecs:us-east-1:111122223333:task-definition/web:1",
        "launch_type": "EC2",
        "desired_status": "RUNNING",
        "last_status": "PENDING",
        "created_at": 1.0,
        "group": "family:web",
        "containers": (container(),),
        "reservation": Resources(),
        "node_id": "n1",
    }
    return Task(**(values | changes))  # type: ignore[arg-type]


def running(**changes: object) -> Task:
    report = TaskReport(status="RUNNING", containers=(ContainerReport(name="app", status="RUNNING", runtime_id="c1"),))
    return task_state.apply_report(task(**changes), report, 10.0)


def exited(name: str = "app", code: int | None = 0, reason: str | None = None) -> ContainerReport:
    return ContainerReport(name=name, status="STOPPED", runtime_id="c1", exit_code=code, reason=reason)


class TestRequestStop:
    def test_a_task_without_a_node_is_stopped_at_once(self) -> None:
        stopped = task_state.request_stop(
            task(node_id=None, last_status="PROVISIONING"), now=5.0, stop_code="UserInitiated", reason="no more"
        )
        assert (stopped.last_status, stopped.desired_status) == ("STOPPED", "STOPPED")
        assert (stopped.stop_code, stopped.stopped_reason) == ("UserInitiated", "no more")
        assert (stopped.stopping_at, stopped.stopped_at) == (5.0, 5.0)
        assert stopped.containers[0].last_status == "STOPPED"

    def test_a_running_task_passes_through_deactivating_and_stopping(self) -> None:
        asked = task_state.request_stop(running(), now=20.0, stop_code="UserInitiated", reason="r")
        assert (asked.last_status, asked.desired_status, asked.stopping_at) == ("DEACTIVATING", "STOPPED", 20.0)
        told = task_state.acknowledge(asked, "STOPPED", now=21.0)
        assert told.last_status == "STOPPING"
        over = task_state.apply_report(told, TaskReport(status="STOPPED", containers=(exited(code=137),)), 25.0)
        assert (over.last_status, over.stopped_at, over.stopping_at) == ("STOPPED", 25.0, 20.0)
        assert (over.stop_code, over.stopped_reason) == ("UserInitiated", "r")
        assert over.containers[0].exit_code == 137

    def test_a_pending_task_keeps_its_status_until_the_agent_has_the_order(self) -> None:
        asked = task_state.request_stop(task(), now=20.0, stop_code="UserInitiated", reason="r")
        assert asked.last_status == "PENDING"
        assert task_state.acknowledge(asked, "STOPPED", now=21.0).last_status == "STOPPING"

    def test_the_first_reason_wins(self) -> None:
        first = task_state.request_stop(running(), now=20.0, stop_code="UserInitiated", reason="first")
        again = task_state.request_stop(first, now=30.0, stop_code="ServiceSchedulerInitiated", reason="second")
        assert again is first

    def test_a_task_that_comes_up_while_it_is_stopped_did_run(self) -> None:
        asked = task_state.request_stop(task(), now=20.0, stop_code="UserInitiated", reason="r")
        late = task_state.apply_report(asked, TaskReport(status="RUNNING"), 21.0)
        assert (late.last_status, late.started_at) == ("STOPPING", 21.0)


class TestReports:
    def test_the_usual_sequence(self) -> None:
        t = task_state.acknowledge(task(last_status="PROVISIONING"), "RUNNING", now=2.0)
        assert (t.last_status, t.connectivity, t.connectivity_at) == ("PENDING", "CONNECTED", 2.0)
        digest = ContainerReport(name="app", status="PENDING", image_digest="sha256:aa")
        t = task_state.apply_report(t, TaskReport(status="PENDING", containers=(digest,)), 3.0)
        assert (t.last_status, t.containers[0].image_digest) == ("ACTIVATING", "sha256:aa")
        binding = ecs.NetworkBinding(bind_ip="0.0.0.0", container_port=80, host_port=32768, protocol="tcp")
        up = ContainerReport(name="app", status="RUNNING", runtime_id="c1", network_bindings=(binding,))
        report = TaskReport(status="RUNNING", containers=(up,), pull_started_at=2.5, pull_stopped_at=2.7)
        t = task_state.apply_report(t, report, 4.0)
        assert (t.last_status, t.started_at, t.pull_started_at, t.pull_stopped_at) == ("RUNNING", 4.0, 2.5, 2.7)
        assert t.containers[0].network_bindings == (binding,)
        end = TaskReport(status="STOPPED", containers=(exited(code=3),), execution_stopped_at=5.0)
        t = task_state.apply_report(t, end, 6.0)
        assert (t.last_status, t.desired_status, t.stopped_at) == ("STOPPED", "STOPPED", 6.0)
        assert (t.stop_code, t.stopped_reason) == ("EssentialContainerExited", "Essential container in task exited")
        assert (t.execution_stopped_at, t.containers[0].exit_code) == (5.0, 3)

    def test_an_essential_exit_is_known_before_the_task_is_stopped(self) -> None:
        t = task_state.apply_report(running(), TaskReport(status="RUNNING", containers=(exited(),)), 11.0)
        assert (t.last_status, t.desired_status) == ("STOPPING", "STOPPED")
        assert (t.stop_code, t.stopped_at) == ("EssentialContainerExited", None)

    def test_a_non_essential_exit_leaves_the_task_running(self) -> None:
        t = running(containers=(container(), container("side", essential=False)))
        t = task_state.apply_report(t, TaskReport(status="RUNNING", containers=(exited("side"),)), 11.0)
        assert (t.last_status, t.desired_status, t.containers[1].last_status) == ("RUNNING", "RUNNING", "STOPPED")

    @pytest.mark.parametrize(
        ("report", "reason"),
        [
            (TaskReport(status="STOPPED"), "Task failed to start"),
            (TaskReport(status="STOPPED", reason="Fetching secret failed"), "Fetching secret failed"),
            (
                TaskReport(
                    status="STOPPED",
                    containers=(
                        ContainerReport(name="app", status="STOPPED", reason="CannotPullContainerError: no such image"),
                    ),
                ),
                "CannotPullContainerError: no such image",
            ),
            (
                TaskReport(
                    status="STOPPED",
                    containers=(exited(code=143, reason="CannotStartContainerError: dependency graph: it failed"),),
                ),
                "CannotStartContainerError: dependency graph: it failed",
            ),
        ],
    )
    def test_a_task_that_never_ran_failed_to_start(self, report: TaskReport, reason: str) -> None:
        t = task_state.apply_report(task(), report, 5.0)
        assert (t.stop_code, t.stopped_reason, t.started_at) == ("TaskFailedToStart", reason, None)

    def test_why_nothing_was_started_may_be_told_last(self) -> None:
        never = TaskReport(status="PENDING", containers=(ContainerReport(name="app", status="STOPPED"),))
        t = task_state.apply_report(task(), never, 5.0)
        assert (t.desired_status, t.stop_code, t.stopped_reason) == ("STOPPED", None, None)
        t = task_state.apply_report(t, TaskReport(status="STOPPED", reason="ResourceInitializationError: x"), 6.0)
        assert (t.stop_code, t.stopped_reason) == ("TaskFailedToStart", "ResourceInitializationError: x")

    def test_an_essential_end_before_the_others_had_started_is_no_failure_to_start(self) -> None:
        two = msgspec.structs.replace(
            task(), containers=(*task().containers, msgspec.structs.replace(task().containers[0], name="other"))
        )
        t = task_state.apply_report(two, TaskReport(status="STOPPED", containers=(exited(code=3),)), 5.0)
        assert (t.stop_code, t.stopped_reason) == ("EssentialContainerExited", "Essential container in task exited")
        assert t.started_at is None

    def test_a_task_over_before_its_running_was_reported_did_run(self) -> None:
        both = (ContainerReport(name="app", status="RUNNING", runtime_id="c1"), exited(code=1))
        t = task_state.apply_report(
            task(), TaskReport(status="STOPPED", containers=both, execution_stopped_at=4.0), 5.0
        )
        assert (t.stop_code, t.started_at, t.containers[0].exit_code) == ("EssentialContainerExited", 4.0, 1)

    def test_a_pull_error_of_a_container_that_ran_is_forgotten(self) -> None:
        stale = "CannotPullImageManifestError: Error response from daemon: manifest unknown"
        up = ContainerReport(name="app", status="RUNNING", runtime_id="c1", reason=stale)
        t = task_state.apply_report(task(), TaskReport(status="RUNNING", containers=(up,)), 2.0)
        assert t.containers[0].reason is None
        t = task_state.apply_report(t, TaskReport(status="STOPPED", containers=(exited(reason=stale),)), 3.0)
        assert (t.containers[0].reason, t.stopped_reason) == (None, "Essential container in task exited")

    def test_out_of_memory_is_kept(self) -> None:
        reason = "OutOfMemoryError: Container killed due to memory usage"
        t = task_state.apply_report(
            running(), TaskReport(status="STOPPED", containers=(exited(code=137, reason=reason),)), 3
        )
        assert t.containers[0].reason == reason

    def test_containers_of_the_agent_itself_are_left_out(self) -> None:
        pause = ContainerReport(name="~internal~ecs~pause", status="RUNNING")
        t = task_state.apply_report(task(), TaskReport(status="RUNNING", containers=(pause,)), 3.0)
        assert [c.name for c in t.containers] == ["app"]

    def test_a_task_with_an_interface_is_deprovisioning_when_all_containers_have_ended(self) -> None:
        both = (container(), container("side", essential=False))
        reports = {name: TaskReport(status="RUNNING", containers=(exited(name),)) for name in ("app", "side")}
        up = TaskReport(
            status="RUNNING",
            containers=tuple(ContainerReport(name=name, status="RUNNING", runtime_id="c1") for name in reports),
        )
        for eni, last in ((ENI, "DEPROVISIONING"), (None, "STOPPING")):
            t = task_state.apply_report(task(eni=eni, containers=both), up, 2.0)
            t = task_state.apply_report(t, reports["app"], 3.0)
            assert t.last_status == "STOPPING"
            t = task_state.apply_report(t, reports["side"], 4.0)
            assert (t.last_status, t.desired_status, t.stopped_at) == (last, "STOPPED", None)
            assert task_state.acknowledge(t, "STOPPED", now=5.0).last_status == last
            t = task_state.apply_report(t, TaskReport(status="STOPPED"), 6.0)
            assert (t.last_status, t.stopped_at) == ("STOPPED", 6.0)

    def test_the_interface_of_a_task_that_was_stopped_is_deprovisioned_too(self) -> None:
        t = task_state.request_stop(running(eni=ENI), now=20.0, stop_code="UserInitiated", reason="r")
        t = task_state.acknowledge(t, "STOPPED", now=21.0)
        t = task_state.apply_report(t, TaskReport(status="RUNNING", containers=(exited(code=137),)), 22.0)
        assert (t.last_status, t.stopped_reason) == ("DEPROVISIONING", "r")

    def test_the_interface_follows_the_task(self) -> None:
        t = task_state.apply_report(task(eni=ENI), TaskReport(attached=("a1",)), 2.0)
        assert t.eni is not None
        assert t.eni.status == "ATTACHED"
        assert t.last_status == "PENDING"
        t = task_state.apply_report(t, TaskReport(status="STOPPED"), 3.0)
        assert t.eni is not None
        assert t.eni.status == "DELETED"


def test_a_lost_task_keeps_what_was_seen_of_its_containers() -> None:
    lost = task_state.declare_stopped(running(), now=9.0, stop_code="InfrastructureHealth", reason="gone")
    assert (lost.last_status, lost.stopped_reason, lost.containers[0].last_status) == ("STOPPED", "gone", "RUNNING")


class TestHealth:
    def checked(self, *healths: tuple[str, bool]) -> Task:
        return running(
            containers=tuple(container(f"c{i}", essential=e, has_health_check=True) for i, (_, e) in enumerate(healths))
        )

    @pytest.mark.parametrize(
        ("healths", "expected"),
        [
            ([("HEALTHY", True), ("HEALTHY", True)], "HEALTHY"),
            ([("HEALTHY", True), ("UNKNOWN", True)], "UNKNOWN"),
            ([("UNKNOWN", True), ("UNHEALTHY", True)], "UNHEALTHY"),
            ([("HEALTHY", True), ("UNHEALTHY", False)], "HEALTHY"),
            ([("HEALTHY", False)], "UNKNOWN"),
        ],
    )
    def test_the_worst_essential_container_counts(self, healths: list[tuple[str, bool]], expected: str) -> None:
        t = self.checked(*healths)
        t = task_state.apply_health(t, {f"c{i}": h for i, (h, _) in enumerate(healths)}, now=5.0)  # type: ignore[misc]
        assert t.health_status == expected
        assert t.healthy_at == (5.0 if expected == "HEALTHY" else None)

    def test_a_container_without_a_check_has_no_health(self) -> None:
        t = running()
        assert task_state.apply_health(t, {"app": "HEALTHY"}, now=5.0) is t


# Histories -----------------------------------------------------------------------------

_NAMES = ("app", "side", "~internal~ecs~pause")
_reports = st.builds(
    TaskReport,
    status=st.sampled_from(["PENDING", "RUNNING", "STOPPED", None]),
    reason=st.sampled_from(["", "Something the agent said"]),
    containers=st.lists(
        st.builds(
            ContainerReport,
            name=st.sampled_from(_NAMES),
            status=st.sampled_from(["PENDING", "RUNNING", "STOPPED", "RESOURCES_PROVISIONED", None]),
            runtime_id=st.sampled_from([None, "c1"]),
            exit_code=st.sampled_from([None, 0, 1]),
            reason=st.sampled_from([None, "CannotPullContainerError: x", "OutOfMemoryError: y"]),
        ),
        max_size=3,
    ).map(tuple),
    pull_started_at=st.sampled_from([None, 2.0]),
    execution_stopped_at=st.sampled_from([None, 8.0]),
)
_steps = st.one_of(
    _reports,
    st.sampled_from(["stop", "ack RUNNING", "ack STOPPED", "lost", "healthy", "disconnect"]),
)


def step(t: Task, what: TaskReport | str, now: float) -> Task:
    if isinstance(what, TaskReport):
        return task_state.apply_report(t, what, now)
    if what == "stop":
        return task_state.request_stop(t, now=now, stop_code="UserInitiated", reason=f"at {now}")
    if what == "lost":
        return task_state.declare_stopped(t, now=now, stop_code="InfrastructureHealth", reason="lost")
    if what == "healthy":
        return task_state.apply_health(t, {"app": "HEALTHY"}, now=now)
    if what == "disconnect":
        return task_state.apply_connectivity(t, "DISCONNECTED", now=now)
    return task_state.acknowledge(t, what.removeprefix("ack "), now=now)


def start() -> Task:
    return task(
        last_status="PROVISIONING",
        containers=(container(has_health_check=True), container("side", essential=False)),
    )


@given(st.lists(_steps, max_size=12))
def test_nothing_ever_goes_back(history: list[TaskReport | str]) -> None:
    t = start()
    order = {"PENDING": 0, "RUNNING": 1, "STOPPED": 2}
    for now, what in enumerate(history, start=2):
        after = step(t, what, float(now))
        assert STATUS_ORDER[after.last_status] >= STATUS_ORDER[t.last_status]
        assert not (t.desired_status == "STOPPED" and after.desired_status == "RUNNING")
        for before_c, after_c in zip(t.containers, after.containers, strict=True):
            assert order[after_c.last_status] >= order[before_c.last_status]
            assert before_c.exit_code in (None, after_c.exit_code)
        if t.stopped:
            assert after is t
        assert (after.version == t.version) == (after is t)
        if t.stopped_reason is not None:
            assert after.stopped_reason == t.stopped_reason
        if after.stopped:
            assert after.desired_status == "STOPPED"
            assert after.stopped_at is not None
            assert after.stop_code is not None
            assert after.stopped_reason
        t = after


@given(st.lists(_reports, min_size=1, max_size=6), st.data())
def test_repeated_deliveries_change_nothing(history: list[TaskReport], data: st.DataObject) -> None:
    once = start()
    repeated = start()
    for position, report in enumerate(history):
        once = task_state.apply_report(once, report, 5.0)
        repeated = task_state.apply_report(repeated, report, 5.0)
        for old in data.draw(st.permutations(history[: position + 1])):
            if data.draw(st.booleans()):
                repeated = task_state.apply_report(repeated, old, 5.0)
    assert msgspec.structs.asdict(repeated) == msgspec.structs.asdict(once)
