"""The life of a task as a pure function: state + fact + now -> state, actions, reports.

No I/O, no time of its own, no randomness.  The worker feeds it facts one at a time; whatever
is to be done comes back as actions, each at most once until its outcome is known
(``ContainerState.doing`` remembers).  Status never goes back.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from openecs.agent.engine import facts as f
from openecs.agent.engine.task_plan import TaskPlan
from openecs.agent.engine.task_state import ContainerState, Report, TaskState
from openecs.shapes import ecs

#: The exit code of a container that was given up because of its dependencies.
DEPENDENCY_EXIT_CODE = 143
#: Seconds a container must have run to be restarted, when its policy does not say.
DEFAULT_RESTART_PERIOD = 300
#: How often a container is made because a dynamic host port turned out to be taken.
PORT_TRIES = 5
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
VANISHED = "ContainerVanishedError: No container matching saved ID found"


class Step(NamedTuple):
    """One step's outcome; ``wake_at`` is when a ``Tick`` is due, if ever."""

    state: TaskState
    actions: tuple[f.Action, ...]
    wake_at: float | None


def step(plan: TaskPlan, state: TaskState, fact: f.Fact, now: float) -> Step:
    """Take one fact in and decide what follows."""
    draft = _Draft(plan, state, now)
    draft.apply(fact)
    return draft.conclude()


class _Draft:
    """The state while one step works on it."""

    def __init__(self, plan: TaskPlan, state: TaskState, now: float) -> None:
        self.plan = plan
        self.now = now
        self.base = state
        self.task: dict[str, Any] = {}
        self.containers = {c.name: c for c in state.containers}
        self.changes: list[ecs.ContainerStateChange] = []
        self.reports = list(state.reports)
        self.actions: list[f.Action] = []

    # -- small accessors ------------------------------------------------------------------

    def get(self, member: str) -> Any:
        return self.task[member] if member in self.task else getattr(self.base, member)

    def put(self, name: str, **members: Any) -> ContainerState:
        container = msgspec.structs.replace(self.containers[name], **members)
        self.containers[name] = container
        return container

    def essential(self, name: str) -> bool:
        return self.plan.containers[name].essential

    # -- facts ----------------------------------------------------------------------------

    def apply(self, fact: f.Fact) -> None:
        match fact:
            case f.StopRequested():
                self.task["desired"] = "STOPPED"
            case f.Resend():
                self.resend()
            case f.Prepared(network_mode=mode):
                self.task |= {"resources": "ready", "network_mode": mode}
            case f.PrepareFailed(reason=reason):
                self.task |= {"resources": "ready", "desired": "STOPPED", "reason": self.get("reason") or reason}
            case f.SandboxLost(reason=reason):
                self.task |= {"desired": "STOPPED", "reason": self.get("reason") or reason}
            case f.Released():
                self.task["resources"] = "released"
            case f.Delivered(count=count):
                del self.reports[:count]
            case f.Cleaned():
                self.task["cleanup"] = "done"
            case f.Fetched() | f.Created() | f.Started() | f.Failed() | f.PortTaken() | f.Observed() | f.Vanished():
                # What is stopped stays stopped, whatever is heard of it later.
                if not self.containers[fact.name].stopped:
                    self.apply_to_container(fact)
            case f.HealthChanged(name=name):
                if not self.containers[name].stopped:
                    self.put(
                        name,
                        health=fact.health,
                        health_since=fact.at,
                        health_exit_code=fact.exit_code,
                        health_output=fact.output,
                    )
            case f.Seen(facts=facts):
                for seen in facts:
                    self.apply(seen)
            case f.Begin() | f.Tick():
                pass

    def apply_to_container(self, fact: f.ContainerFact) -> None:
        name = fact.name
        match fact:
            case f.Fetched():
                if self.containers[name].status != "NONE":
                    return
                self.put(name, doing="", status="PULLED", image_id=fact.image_id, image_digest=fact.digest)
                self.pulled(fact)
            case f.Created(container_id=container_id, bindings=bindings):
                if self.containers[name].status not in ("NONE", "PULLED"):
                    return
                self.put(name, doing="", status="CREATED", container_id=container_id, bindings=bindings)
            case f.Started(at=at):
                if self.containers[name].doing == "start":
                    self.put(name, doing="", started_at=at)
                    self.run(name, at)
            case f.Failed(reason=reason, exit_code=exit_code):
                self.pulled(fact)
                self.finish(name, exit_code=exit_code, reason=reason)
            case f.PortTaken(reason=reason):
                self.choose_ports_again(name, reason)
            case f.Vanished(container_id=container_id):
                self.vanish(name, container_id)
            case f.Observed():
                self.observe(fact)

    def pulled(self, fact: f.Fetched | f.Failed) -> None:
        """Keep the task's first pull start and last pull end, of pulls that failed too."""
        if fact.pull_started_at is None:
            return
        starts = [t for t in (self.get("pull_started_at"), fact.pull_started_at) if t is not None]
        ends = [t for t in (self.get("pull_stopped_at"), fact.pull_stopped_at) if t is not None]
        self.task |= {"pull_started_at": min(starts), "pull_stopped_at": max(ends)}

    def choose_ports_again(self, name: str, reason: str) -> None:
        """Make the container anew, with other host ports, unless that happened often enough."""
        container = self.containers[name]
        if container.status != "CREATED":
            return
        if container.port_conflicts >= PORT_TRIES - 1 or self.get("desired") == "STOPPED":
            self.put(name, container_id=None, bindings=())
            self.finish(name, exit_code=None, reason=reason)
            return
        conflicts = container.port_conflicts + 1
        # It never ran, so creating it again changes nothing for anybody.
        self.put(name, status="PULLED", doing="", container_id=None, bindings=(), port_conflicts=conflicts)

    def vanish(self, name: str, container_id: str) -> None:
        container = self.containers[name]
        if container.container_id not in (None, container_id):
            return  # That was the one before.
        if container.status == "RUNNING" or container.has_run:
            self.finish(name, exit_code=None, reason=VANISHED)
        elif container.status == "CREATED" and not container.doing:
            # It never ran, so creating it again changes nothing for anybody.
            self.put(name, status="PULLED", container_id=None, bindings=())

    def observe(self, seen: f.Observed) -> None:
        container = self.containers[seen.name]
        if container.container_id not in (None, seen.container_id):
            return  # That was the one before.
        if container.container_id is None or container.status in ("NONE", "PULLED"):
            container = self.put(seen.name, status="CREATED", container_id=seen.container_id, doing="")
        if seen.bindings is not None and not container.bindings:
            container = self.put(seen.name, bindings=seen.bindings)
            if container.status == "RUNNING":
                self.changes.append(_change(container))  # It was reported without them.
        if seen.status == "created":
            return
        if seen.status == "running":
            self.run(seen.name, seen.started_at if seen.started_at is not None else self.now)
            return
        if seen.finished_at is not None and seen.finished_at == container.exit_seen:
            return  # An exit that a restart has answered already.
        self.run(seen.name, seen.started_at if seen.started_at is not None else self.now)
        self.end(seen)

    def run(self, name: str, at: float) -> None:
        """The container runs (again)."""
        container = self.containers[name]
        if container.status == "RUNNING":
            return
        container = self.put(
            name,
            status="RUNNING",
            has_run=True,
            started_at=at,
            doing="" if container.doing == "start" else container.doing,
        )
        self.changes.append(_change(container))
        self.advance_task()

    def end(self, seen: f.Observed) -> None:
        """The container's process has ended: restart it or let it rest."""
        container = self.put(seen.name, exit_seen=seen.finished_at)
        if self.restarts(container, seen):
            self.put(
                seen.name,
                doing="start",
                restarts=container.restarts + 1,
                health="UNKNOWN",
                health_since=seen.finished_at,
            )
            self.actions.append(f.Start(name=seen.name))
            return
        reason = None
        if seen.error:
            reason = f"DockerStateError: {seen.error}"
        if seen.oom_killed:
            reason = OUT_OF_MEMORY
        self.finish(seen.name, exit_code=seen.exit_code, reason=reason, at=seen.finished_at)

    def restarts(self, container: ContainerState, seen: f.Observed) -> bool:
        policy = self.plan.containers[container.name].restart_policy
        if policy is None or not policy.enabled or self.get("desired") == "STOPPED" or container.doing == "stop":
            return False
        if seen.exit_code in policy.ignored_exit_codes:
            return False
        period = DEFAULT_RESTART_PERIOD if policy.restart_attempt_period is None else policy.restart_attempt_period
        started = seen.started_at if seen.started_at is not None else container.started_at
        ended = seen.finished_at if seen.finished_at is not None else self.now
        return started is None or ended - started >= period

    def finish(self, name: str, *, exit_code: int | None, reason: str | None, at: float | None = None) -> None:
        """The container is STOPPED for good."""
        container = self.containers[name]
        container = self.put(
            name,
            status="STOPPED",
            doing="",
            exit_code=exit_code,
            reason=container.reason or reason,
            finished_at=at if at is not None else self.now,
        )
        self.changes.append(_change(container))
        if self.essential(name) and self.get("execution_stopped_at") is None and container.has_run:
            self.task["execution_stopped_at"] = container.finished_at

    def resend(self) -> None:
        """Say again how things stand, unless it is about to be said anyway."""
        if self.reports or self.get("status") == "NONE":
            return
        known = [_change(c) for c in self.containers.values() if c.status in ("RUNNING", "STOPPED")]
        self.reports.append(self.report(containers=tuple(known), task_changed=True))

    # -- decisions ------------------------------------------------------------------------

    def conclude(self) -> Step:
        before: object = None
        while before != (before := self.fingerprint()):
            self.decide()
        self.advance_task()
        if self.changes:
            self.reports.append(self.report(containers=tuple(self.changes), task_changed=False))
            self.changes = []
        wake_at = self.clean_up()
        if wake_at is None and self.get("desired") == "RUNNING":
            wake_at = self.next_deadline()
        state = msgspec.structs.replace(
            self.base, **self.task, containers=tuple(self.containers.values()), reports=tuple(self.reports)
        )
        return Step(state, tuple(self.actions), wake_at)

    def fingerprint(self) -> object:
        return tuple(self.containers.values()), dict(self.task), len(self.actions)

    def decide(self) -> None:
        if self.get("status") == "STOPPED":
            return
        if not self.plan.resolvable and self.get("desired") == "RUNNING":
            reason = f"Task dependencies cannot be resolved, taskArn: {self.base.arn}"
            self.task |= {"desired": "STOPPED", "reason": reason}
        if any(c.stopped and self.essential(c.name) for c in self.containers.values()):
            self.task["desired"] = "STOPPED"
        if self.get("desired") == "RUNNING":
            self.go_on()
        else:
            self.wind_down()
        if all(c.stopped for c in self.containers.values()):
            self.let_go()

    def go_on(self) -> None:
        if self.get("resources") == "none":
            if self.plan.prepare:
                self.task["resources"] = "making"
                self.actions.append(f.Prepare())
            else:
                self.task["resources"] = "ready"
        for name, container in tuple(self.containers.items()):
            if container.doing or container.status in ("RUNNING", "STOPPED"):
                continue
            verdict, never = self.plan.graph.judge(name, self.containers, self.now)
            if never is not None:
                reason = f"CannotStartContainerError: {never}"
                self.finish(name, exit_code=DEPENDENCY_EXIT_CODE, reason=reason)
            elif container.status == "NONE":
                # Images may come before their turn: that changes no order of starts.
                self.put(name, doing="fetch")
                self.actions.append(f.Fetch(name=name))
            elif verdict == "ready" and self.get("resources") == "ready":
                creating = container.status == "PULLED"
                self.put(name, doing="create" if creating else "start")
                self.actions.append(f.Create(name=name) if creating else f.Start(name=name))

    def wind_down(self) -> None:
        for name, container in tuple(self.containers.items()):
            if container.stopped or container.doing in ("create", "start", "stop"):
                continue
            if container.status == "RUNNING":
                if all(self.containers[d].stopped for d in self.plan.graph.dependents[name]):
                    timeout = self.plan.containers[name].stop_timeout
                    self.put(name, doing="stop")
                    self.actions.append(
                        f.Stop(name=name, timeout=self.plan.stop_timeout if timeout is None else timeout)
                    )
                continue
            if container.doing == "fetch":
                self.actions.append(f.CancelFetch(name=name))
            self.finish(name, exit_code=None, reason=None)

    def let_go(self) -> None:
        """All containers have stopped: take down what was made for them, then the task is STOPPED."""
        if self.plan.prepare and self.get("resources") == "ready":
            self.task["resources"] = "releasing"
            self.actions.append(f.Release())
        elif self.get("resources") in ("none", "released") or not self.plan.prepare:
            self.advance_task()
            self.task |= {"status": "STOPPED", "stopped_at": self.now}
            self.reports.append(self.report(containers=tuple(self.changes), task_changed=True))
            self.changes = []

    def advance_task(self) -> None:
        """RUNNING as soon as every container has come to run and no essential one has ended."""
        if self.get("status") != "NONE":
            return
        states = self.containers.values()
        if not all(c.status in ("RUNNING", "STOPPED") for c in states) or not any(
            c.status == "RUNNING" for c in states
        ):
            return
        if any(c.stopped and self.essential(c.name) for c in states):
            return
        self.task["status"] = "RUNNING"
        self.reports.append(
            self.report(containers=tuple(self.changes), task_changed=True, attached=self.plan.attachments)
        )
        self.changes = []

    def report(
        self, *, containers: tuple[ecs.ContainerStateChange, ...], task_changed: bool, attached: tuple[str, ...] = ()
    ) -> Report:
        status = self.get("status")
        return Report(
            status="PENDING" if status == "NONE" else status,
            task_changed=task_changed,
            reason=self.get("reason") if status == "STOPPED" else "",
            containers=containers,
            pull_started_at=self.get("pull_started_at"),
            pull_stopped_at=self.get("pull_stopped_at"),
            execution_stopped_at=self.get("execution_stopped_at"),
            attached=attached,
        )

    def next_deadline(self) -> float | None:
        times = [
            self.plan.graph.deadline(c.name, self.containers)
            for c in self.containers.values()
            if c.status not in ("RUNNING", "STOPPED") and not c.doing
        ]
        return min((t for t in times if t is not None), default=None)

    def clean_up(self) -> float | None:
        """Once the control plane knows that the task has stopped, its containers go after a while."""
        stopped_at = self.get("stopped_at")
        if self.get("status") != "STOPPED" or self.reports or self.get("cleanup") or stopped_at is None:
            return None
        due: float = stopped_at + self.plan.cleanup_delay
        if self.now < due:
            return due
        self.task["cleanup"] = "doing"
        self.actions.append(f.Cleanup())
        return None


def _change(container: ContainerState) -> ecs.ContainerStateChange:
    return ecs.ContainerStateChange(
        container_name=container.name,
        status=container.status,
        runtime_id=container.container_id,
        image_digest=container.image_digest,
        exit_code=container.exit_code,
        reason=container.reason and container.reason[:1024],
        network_bindings=container.bindings or None,
    )
