from __future__ import annotations

from typing import Any

from agent_payloads import container, task, task_arn
from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.acs import task_payload as tp
from openecs.agent.engine import facts as f
from openecs.agent.engine.task_machine import OUT_OF_MEMORY, PORT_TRIES, VANISHED, step
from openecs.agent.engine.task_plan import TaskPlan, fresh, restored
from openecs.shapes import ecs


class Driven:
    """A machine under test: facts in, what came out of it kept."""

    def __init__(self, payload: tp.TaskPayload, *, prepare: bool = False, cleanup_delay: float = 600.0) -> None:
        self.plan = TaskPlan(payload, stop_timeout=30, cleanup_delay=cleanup_delay, prepare=prepare)
        self.state = fresh(payload, [f"token-{c.name}" for c in payload.containers])
        self.now = 1000.0
        self.open: list[f.Action] = []
        self.wake_at: float | None = None

    def feed(self, *facts: f.Fact) -> list[f.Action]:
        emitted: list[f.Action] = []
        for fact in facts:
            outcome = step(self.plan, self.state, fact, self.now)
            self.state, self.wake_at = outcome.state, outcome.wake_at
            emitted += outcome.actions
        self.open += emitted
        return emitted

    def up(self, name: str) -> list[f.Action]:
        """Bring a container from nothing to RUNNING."""
        return self.feed(
            fetched(name), f.Created(name=name, container_id=f"id-{name}"), f.Started(name=name, at=self.now)
        )

    def status(self, name: str) -> str:
        return self.state.container(name).status

    def reported(self) -> list[tuple[str, list[tuple[str, str]]]]:
        return [
            (r.status, [(c.container_name or "", c.status or "") for c in r.containers]) for r in self.state.reports
        ]


def fetched(name: str) -> f.Fetched:
    return f.Fetched(name=name, image_id="sha256:1")


def exited(name: str, code: int = 0, *, at: float = 1010.0, started: float | None = None, **members: Any) -> f.Observed:
    return f.Observed(
        name=name,
        container_id=f"id-{name}",
        status="exited",
        exit_code=code,
        started_at=started,
        finished_at=at,
        **members,
    )


def test_a_single_container_is_fetched_created_started_and_reported_once() -> None:
    machine = Driven(task())
    assert machine.feed(f.Begin()) == [f.Fetch(name="app")]
    assert machine.feed(fetched("app")) == [f.Create(name="app")]
    assert machine.feed(f.Created(name="app", container_id="id-app")) == [f.Start(name="app")]
    assert machine.feed(f.Started(name="app", at=1001.0)) == []
    assert machine.state.status == "RUNNING"
    assert machine.reported() == [("RUNNING", [("app", "RUNNING")])]


def test_an_essential_container_that_ends_stops_the_task() -> None:
    machine = Driven(task(container("app"), container("side", essential=False)))
    machine.feed(f.Begin())
    machine.up("app")
    machine.up("side")
    assert machine.feed(exited("app", 3)) == [f.Stop(name="side", timeout=30)]
    assert machine.state.status == "RUNNING"
    machine.feed(exited("side", 137))
    assert machine.state.status == "STOPPED"
    assert machine.state.execution_stopped_at == 1010.0
    assert machine.state.container("app").exit_code == 3
    last = machine.state.reports[-1]
    assert (last.status, last.reason) == ("STOPPED", "")


def test_a_fast_container_is_reported_running_before_stopped() -> None:
    machine = Driven(task())
    machine.feed(f.Begin(), fetched("app"), f.Created(name="app", container_id="id-app"))
    machine.feed(exited("app", 0, started=1001.0))
    assert machine.reported() == [("RUNNING", [("app", "RUNNING")]), ("STOPPED", [("app", "STOPPED")])]
    machine.feed(f.Started(name="app", at=1002.0))
    assert machine.status("app") == "STOPPED"


def test_a_task_stopped_before_it_began_reports_containers_without_exit_codes() -> None:
    machine = Driven(task())
    machine.feed(f.Begin())
    assert machine.feed(f.StopRequested()) == [f.CancelFetch(name="app")]
    assert machine.state.status == "STOPPED"
    (change,) = machine.state.reports[-1].containers
    assert (change.status, change.exit_code, change.runtime_id) == ("STOPPED", None, None)


def test_a_start_under_way_is_waited_for_and_then_stopped() -> None:
    machine = Driven(task(container(stop_timeout=7)))
    machine.feed(f.Begin(), fetched("app"), f.Created(name="app", container_id="id-app"))
    assert machine.feed(f.StopRequested()) == []
    assert machine.feed(f.Started(name="app", at=1001.0)) == [f.Stop(name="app", timeout=7)]
    machine.feed(exited("app", 143))
    assert machine.state.status == "STOPPED"


def test_stop_goes_against_the_order_of_dependencies() -> None:
    machine = Driven(task(container("db"), container("app", depends_on={"db": "START"})))
    machine.feed(f.Begin())
    machine.up("db")
    machine.up("app")
    assert machine.feed(f.StopRequested()) == [f.Stop(name="app", timeout=30)]
    assert machine.feed(exited("app")) == [f.Stop(name="db", timeout=30)]


def test_images_come_before_their_turn_but_creation_does_not() -> None:
    machine = Driven(task(container("init", essential=False), container("app", depends_on={"init": "SUCCESS"})))
    assert machine.feed(f.Begin()) == [f.Fetch(name="init"), f.Fetch(name="app")]
    assert machine.feed(fetched("app")) == []
    machine.up("init")
    assert machine.feed(exited("init", 0)) == [f.Create(name="app")]


def test_success_is_not_any_exit() -> None:
    init = container("init", "init:1", essential=False)
    machine = Driven(task(init, container("app", "app:1", depends_on={"init": "SUCCESS"})))
    machine.feed(f.Begin(), fetched("app"))
    machine.up("init")
    machine.feed(exited("init", 1))
    app = machine.state.container("app")
    assert app.exit_code == 143
    assert app.reason == (
        "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency "
        "[init(init:1) (STOPPED->RUNNING) - Exit: 1] for target [app(app:1) (PULLED->RUNNING)] as dependency did not "
        "exit successfully."
    )
    assert machine.state.status == "STOPPED"


def test_complete_takes_any_exit() -> None:
    machine = Driven(task(container("init", essential=False), container("app", depends_on={"init": "COMPLETE"})))
    machine.feed(f.Begin(), fetched("app"))
    machine.up("init")
    assert machine.feed(exited("init", 9)) == [f.Create(name="app")]


def test_healthy_waits_for_the_health_check() -> None:
    machine = Driven(task(container("db", health_check_type="docker"), container("app", depends_on={"db": "HEALTHY"})))
    machine.feed(f.Begin(), fetched("app"))
    machine.up("db")
    assert machine.status("app") == "PULLED"
    assert machine.feed(f.HealthChanged(name="db", health="UNHEALTHY", at=1.0)) == []
    assert machine.feed(f.HealthChanged(name="db", health="HEALTHY", at=2.0)) == [f.Create(name="app")]


def test_a_dependency_that_takes_longer_than_its_start_timeout_fails_the_dependent() -> None:
    machine = Driven(
        task(
            container("db", start_timeout=20, health_check_type="docker", essential=False),
            container("app", depends_on={"db": "HEALTHY"}),
        )
    )
    machine.feed(f.Begin(), fetched("app"))
    machine.up("db")
    assert machine.wake_at == 1020.0
    machine.now = 1020.0
    machine.feed(f.Tick())
    assert (machine.state.container("app").reason or "").endswith("has timed out.")


def test_a_circle_of_dependencies_never_starts() -> None:
    machine = Driven(task(container("a", depends_on={"b": "START"}), container("b", depends_on={"a": "START"})))
    assert machine.feed(f.Begin()) == []
    assert machine.state.status == "STOPPED"
    assert machine.state.reason == f"Task dependencies cannot be resolved, taskArn: {task_arn(1)}"


def test_a_failed_pull_of_an_essential_container_stops_the_task_with_its_reason() -> None:
    machine = Driven(task())
    machine.feed(f.Begin(), f.Failed(name="app", reason="CannotPullContainerError: no such image"))
    assert machine.state.status == "STOPPED"
    assert machine.state.execution_stopped_at is None
    assert machine.state.reports[-1].containers[0].reason == "CannotPullContainerError: no such image"


def test_a_side_container_that_cannot_start_leaves_the_task_running() -> None:
    machine = Driven(task(container("app"), container("side", essential=False)))
    machine.feed(f.Begin(), f.Failed(name="side", reason="CannotPullContainerError: x"))
    machine.up("app")
    assert machine.state.status == "RUNNING"


def test_out_of_memory_and_engine_errors_become_reasons() -> None:
    killed = Driven(task())
    killed.feed(f.Begin())
    killed.up("app")
    killed.feed(exited("app", 137, oom_killed=True))
    assert killed.state.container("app").reason == OUT_OF_MEMORY
    broken = Driven(task())
    broken.feed(f.Begin())
    broken.up("app")
    broken.feed(exited("app", 255, error="device gone"))
    assert broken.state.container("app").reason == "DockerStateError: device gone"


def restarting(**members: Any) -> Driven:
    policy = tp.RestartPolicy(enabled=True, **members)
    machine = Driven(task(container(restart_policy=policy)))
    machine.feed(f.Begin())
    machine.up("app")
    return machine


def test_the_restart_policy_restarts_without_a_word() -> None:
    machine = restarting(restart_attempt_period=60)
    sent = len(machine.state.reports)
    assert machine.feed(exited("app", 1, started=1000.0, at=1061.0)) == [f.Start(name="app")]
    assert machine.feed(exited("app", 1, started=1000.0, at=1061.0)) == []
    assert machine.feed(f.Started(name="app", at=1062.0)) == []
    assert (machine.status("app"), machine.state.container("app").restarts) == ("RUNNING", 1)
    assert len(machine.state.reports) == sent


def test_the_restart_policy_gives_up_on_early_crashes_and_ignored_codes() -> None:
    early = restarting(restart_attempt_period=60)
    early.feed(exited("app", 1, started=1000.0, at=1059.0))
    assert early.state.status == "STOPPED"
    ignored = restarting(restart_attempt_period=60, ignored_exit_codes=(0,))
    ignored.feed(exited("app", 0, started=1000.0, at=2000.0))
    assert ignored.state.status == "STOPPED"
    asked = restarting(restart_attempt_period=60)
    asked.feed(f.StopRequested(), exited("app", 1, started=1000.0, at=2000.0))
    assert asked.state.status == "STOPPED"


def test_a_restart_cut_off_by_a_crash_of_the_agent_is_taken_up() -> None:
    machine = restarting(restart_attempt_period=60)
    machine.feed(exited("app", 1, started=1000.0, at=1061.0))
    machine.state = restored(machine.state)
    assert machine.feed(exited("app", 1, started=1000.0, at=1061.0)) == [f.Start(name="app")]


def test_surroundings_come_before_containers_and_go_after_them() -> None:
    machine = Driven(task(), prepare=True)
    assert machine.feed(f.Begin()) == [f.Prepare(), f.Fetch(name="app")]
    assert machine.feed(fetched("app")) == []
    assert machine.feed(f.Prepared(network_mode="container:p")) == [f.Create(name="app")]
    machine.feed(f.Created(name="app", container_id="id-app"), f.Started(name="app", at=1.0))
    assert machine.feed(exited("app")) == [f.Release()]
    assert machine.state.status == "RUNNING"
    machine.feed(f.Released())
    assert machine.state.status == "STOPPED"


def test_surroundings_that_cannot_be_made_stop_the_task_with_their_reason() -> None:
    machine = Driven(task(), prepare=True)
    machine.feed(f.Begin())
    machine.feed(f.PrepareFailed(reason="ResourceInitializationError: no"), f.Released())
    assert machine.state.status == "STOPPED"
    assert machine.state.reports[-1].reason == "ResourceInitializationError: no"


def test_a_vanished_container_is_said_to_have_vanished_and_an_unstarted_one_is_made_again() -> None:
    ran = Driven(task())
    ran.feed(f.Begin())
    ran.up("app")
    ran.feed(f.Vanished(name="app", container_id="id-app"))
    assert ran.state.container("app").reason == VANISHED
    waiting = Driven(task(container("db"), container("app", depends_on={"db": "START"})))
    waiting.feed(f.Begin(), fetched("db"), f.Created(name="db", container_id="x"))
    waiting.state = restored(waiting.state)
    assert waiting.feed(f.Vanished(name="db", container_id="x"))[0] == f.Create(name="db")


def test_containers_go_only_when_the_control_plane_knows_and_after_the_delay() -> None:
    machine = Driven(task(), cleanup_delay=60.0)
    machine.feed(f.Begin(), f.StopRequested())
    machine.now += 100.0
    assert f.Cleanup() not in machine.feed(f.Tick())
    assert machine.feed(f.Delivered(count=len(machine.state.reports))) == [f.Cleanup()]
    machine.feed(f.Cleaned())
    assert machine.state.cleanup == "done"


FACTS = st.sampled_from(
    [
        f.Begin(),
        f.Tick(),
        f.StopRequested(),
        f.Resend(),
        f.Prepared(network_mode=None),
        f.PrepareFailed(reason="no"),
        f.Released(),
        f.SandboxLost(reason="lost"),
        *(
            fact
            for name in ("a", "b", "c")
            for fact in (
                fetched(name),
                f.Created(name=name, container_id=f"id-{name}"),
                f.Started(name=name, at=1.0),
                f.Failed(name=name, reason="broken"),
                f.Observed(name=name, container_id=f"id-{name}", status="created"),
                f.Observed(name=name, container_id=f"id-{name}", status="running", started_at=1.0),
                exited(name, 0),
                exited(name, 1, at=5000.0, started=1.0),
                f.Vanished(name=name, container_id=f"id-{name}"),
                f.PortTaken(name=name, reason="taken"),
                f.HealthChanged(name=name, health="HEALTHY", at=2.0),
            )
        ),
    ]
)
ORDER = {"NONE": 0, "PULLED": 1, "CREATED": 2, "RUNNING": 3, "STOPPED": 4}


def three() -> tp.TaskPayload:
    return task(
        container("a", essential=False, restart_policy=tp.RestartPolicy(enabled=True, restart_attempt_period=60)),
        container("b", depends_on={"a": "HEALTHY"}),
        container("c", depends_on={"b": "START"}, essential=False),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(FACTS, max_size=40), st.booleans())
def test_whatever_happens_status_never_goes_back(facts: list[f.Fact], prepare: bool) -> None:
    machine = Driven(three(), prepare=prepare)
    machine.feed(f.Begin())
    for fact in facts:
        before = machine.state
        actions = machine.feed(fact)
        for old, new in zip(before.containers, machine.state.containers, strict=True):
            if not (old.status == "CREATED" and new.status == "PULLED"):
                assert ORDER[new.status] >= ORDER[old.status]
            if old.stopped:
                assert new == old
        assert (before.status, machine.state.status) not in {("STOPPED", "RUNNING"), ("RUNNING", "NONE")}
        if before.status == "STOPPED":
            assert not [a for a in actions if not isinstance(a, f.Cleanup)]
        if machine.state.status == "STOPPED":
            assert all(c.stopped for c in machine.state.containers)
        if before.desired == "STOPPED":
            assert not [a for a in actions if isinstance(a, f.Start | f.Create | f.Fetch | f.Prepare)]


@settings(max_examples=200, deadline=None)
@given(st.lists(FACTS, max_size=25), st.data())
def test_a_stopped_task_ends_once_every_action_is_answered(facts: list[f.Fact], data: st.DataObject) -> None:
    machine = Driven(three(), prepare=data.draw(st.booleans()))
    machine.feed(f.Begin(), *facts, f.StopRequested())
    for _ in range(40):
        if machine.state.status == "STOPPED":
            break
        machine.state = restored(machine.state)  # The agent restarts and looks at everything.
        for c in machine.state.containers:
            if not c.stopped and c.container_id is not None:
                machine.feed(exited(c.name, 0, at=9999.0))
        for action in machine.feed(f.Begin()):
            if isinstance(action, f.Release):
                machine.feed(f.Released())
    assert machine.state.status == "STOPPED"


def test_ports_that_are_learned_late_are_reported_late() -> None:
    machine = Driven(task())
    machine.feed(f.Begin())
    machine.up("app")
    bound = (ecs.NetworkBinding(container_port=80, host_port=8080, protocol="tcp"),)
    seen = f.Observed(name="app", container_id="id-app", status="running", bindings=bound)
    machine.feed(seen, seen)
    changes = [c for report in machine.state.reports for c in report.containers]
    assert [(c.status, c.network_bindings) for c in changes] == [("RUNNING", None), ("RUNNING", bound)]


def test_what_is_heard_of_a_container_that_was_replaced_counts_no_more() -> None:
    machine = Driven(task())
    machine.feed(f.Begin(), fetched("app"), f.Created(name="app", container_id="old"))
    assert machine.feed(f.PortTaken(name="app", reason="taken")) == [f.Create(name="app")]
    machine.feed(f.Created(name="app", container_id="new"), f.Started(name="app", at=1001.0))
    before = machine.state
    machine.feed(
        f.Vanished(name="app", container_id="old"),
        f.Observed(name="app", container_id="old", status="exited", exit_code=128, finished_at=1000.5),
    )
    assert machine.state == before
    assert machine.state.container("app").container_id == "new"


def test_ports_are_chosen_again_a_few_times_only_and_not_for_a_task_that_is_to_stop() -> None:
    machine = Driven(task())
    machine.feed(f.Begin(), fetched("app"))
    for number in range(PORT_TRIES):
        assert machine.status("app") == "PULLED"
        machine.feed(f.Created(name="app", container_id=f"id-{number}"))
        machine.feed(f.PortTaken(name="app", reason="taken"))
    assert machine.state.status == "STOPPED"
    assert machine.state.container("app").reason == "taken"

    stopping = Driven(task())
    stopping.feed(f.Begin(), fetched("app"), f.Created(name="app", container_id="id"), f.StopRequested())
    assert stopping.feed(f.PortTaken(name="app", reason="taken")) == []
    assert stopping.state.status == "STOPPED"
