"""``openecs why``: the cause in one sentence, causes before effects, the same after the task is forgotten."""

from __future__ import annotations

import msgspec
import pytest

from openecs.model.history import Actor, HistoryEntry
from openecs.model.resources import Resources
from openecs.model.service import Deployment, FailureCount, Service
from openecs.model.task import Task, TaskContainer, Waiting
from openecs.planning import task_history
from openecs.planning.placement import Candidate, Rejection
from openecs.planning.placement_history import not_placed
from openecs.planning.why import ServiceStory, TaskStory, why_deployment, why_service, why_task
from openecs.planning.why.task import final_record
from openecs.shapes import ecs

PREFIX = "arn:aws:ecs:eu-west-1:123456789012"
SERVICE = f"{PREFIX}:service/default/web"
ROOT = "arn:aws:iam::123456789012:root"


def container(name: str = "web", **members: object) -> TaskContainer:
    base = TaskContainer(arn="c", name=name, image="web", last_status="STOPPED", memory="256")
    return msgspec.structs.replace(base, **members)


def task(name: str = "0001", **members: object) -> Task:
    base = Task(
        arn=f"{PREFIX}:task/default/{name}",
        region="eu-west-1",
        cluster_arn=f"{PREFIX}:cluster/default",
        task_definition_arn=f"{PREFIX}:task-definition/web:1",
        launch_type="EC2",
        desired_status="RUNNING",
        last_status="RUNNING",
        created_at=10.0,
        group="service:web",
        containers=(container(last_status="RUNNING"),),
        reservation=Resources(cpu=128, memory=256),
        service_arn=SERVICE,
        deployment_id="ecs-svc/1",
        node_id="n",
        container_instance_arn=f"{PREFIX}:container-instance/default/i1",
        connectivity="CONNECTED",
        started_at=12.0,
    )
    return msgspec.structs.replace(base, **members)


def ended(name: str = "0001", *containers: TaskContainer, **members: object) -> Task:
    changes: dict[str, object] = {
        "desired_status": "STOPPED",
        "last_status": "STOPPED",
        "stopped_at": 20.0,
        "stop_code": "EssentialContainerExited",
        "stopped_reason": "Essential container in task exited",
        "containers": containers or (container(exit_code=1),),
    }
    return task(name, **(changes | members))


def last_entry(of: Task, **facts: object) -> HistoryEntry:
    (entry,) = task_history.entries(
        msgspec.structs.replace(of, last_status="RUNNING"),
        of,
        because=("", facts),
        actor=None,
        now=of.stopped_at or 0.0,
    )
    return entry


def forgotten(entry: HistoryEntry) -> HistoryEntry:
    """As the journal gives it back."""
    return msgspec.json.decode(msgspec.json.encode(entry), type=HistoryEntry)


OOM = "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize(
    ("of", "summary"),
    [
        (ended("1", container(exit_code=3)), "stopped: essential container web exited with code 3"),
        (ended("1", container(exit_code=139)), "stopped: essential container web exited with code 139 (SIGSEGV)"),
        (
            ended("1", container(exit_code=137, reason=OOM)),
            "stopped: essential container web exited with code 137, killed for want of memory (limit 256 MiB)",
        ),
        (
            # What was stopped because another one ended is not the cause.
            ended("1", container("side", exit_code=143), container("web", exit_code=2)),
            "stopped: essential container web exited with code 2",
        ),
        (
            ended("1", container("side", essential=False, exit_code=5), container(exit_code=0)),
            "stopped: essential container web exited with code 0",
        ),
        (
            ended(
                "1",
                container(reason="CannotPullContainerError: no such image"),
                started_at=None,
                stop_code="TaskFailedToStart",
                stopped_reason="CannotPullContainerError: no such image",
            ),
            "stopped: it never ran: CannotPullContainerError: no such image",
        ),
        (
            ended("1", stop_code="ServiceSchedulerInitiated", stopped_reason="Task failed container health checks"),
            "stopped by the service scheduler: Task failed container health checks",
        ),
        (
            ended("1", stop_code="SpotInterruption", stopped_reason="Your Spot Task was interrupted."),
            "stopped: Your Spot Task was interrupted.",
        ),
        (task(), "running on container instance i1"),
        (task(health_status="UNHEALTHY"), "running on container instance i1, UNHEALTHY"),
        (
            task(last_status="PENDING", connectivity=None),
            "PENDING on container instance i1: the agent of its node has not taken it yet",
        ),
        (
            task(last_status="PENDING", pull_started_at=11.0),
            "PENDING on container instance i1: its images are being pulled",
        ),
        (
            task(last_status="PROVISIONING", node_id=None, waiting=Waiting(), capacity_provider_name="asg"),
            "waiting: no node of capacity provider asg has room for it yet",
        ),
    ],
)
def test_the_cause_in_one_sentence(of: Task, summary: str) -> None:
    assert why_task(TaskStory(of, ())).summary == summary


def test_a_limit_that_only_the_agent_knows_is_told() -> None:
    killed = ended("1", container(exit_code=137, reason=OOM, memory=None))
    facts = {"container": "web", "oom_killed": True, "memory_limit": 512}
    evidence = HistoryEntry(at=19.0, kind="evidence", text="…", task_arn=killed.arn, facts=facts)
    assert why_task(TaskStory(killed, [evidence])).summary.endswith("killed for want of memory (limit 512 MiB)")


def test_a_task_is_told_the_same_after_it_is_forgotten() -> None:
    gone = ended("1", container(exit_code=3))
    entries = [forgotten(last_entry(gone))]
    record = final_record(entries)
    assert record == gone
    assert why_task(TaskStory(record, entries)) == why_task(TaskStory(gone, entries))


def test_causes_come_before_what_they_cause() -> None:
    of = ended("1", stop_code="ServiceSchedulerInitiated", stopped_reason="scaled in", stopping_at=18.0,
               execution_stopped_at=19.0, pull_started_at=10.5, pull_stopped_at=11.5)  # fmt: skip
    created = HistoryEntry(at=5.0, kind="service-changed", text="CreateService", service_arn=SERVICE)
    begins = HistoryEntry(at=5.0, kind="deployment", text="begins", service_arn=SERVICE, deployment_id="ecs-svc/1")
    updated = HistoryEntry(at=17.0, kind="service-changed", text="UpdateService", service_arn=SERVICE)
    later = HistoryEntry(at=30.0, kind="service-changed", text="DeleteService", service_arn=SERVICE)
    placed = HistoryEntry(at=10.0, kind="placed", text="placed", task_arn=of.arn)
    asked = HistoryEntry(at=18.0, kind="stop-requested", text="asked", task_arn=of.arn)
    drained = HistoryEntry(at=16.0, kind="instance", text="drained", facts={"instance": of.container_instance_arn})
    other = HistoryEntry(at=16.0, kind="instance", text="other", facts={"instance": "i2"})
    story = TaskStory(of, [placed, asked, last_entry(of)], [created, begins, updated, later], [drained, other])
    assert [(line.what, line.at) for line in why_task(story).timeline] == [
        ("service-changed", 5.0),
        ("deployment", 5.0),
        ("placed", 10.0),
        ("pull", 11.5),
        ("started", 12.0),
        ("instance", 16.0),
        ("service-changed", 17.0),
        ("stop-requested", 18.0),
        ("ended", 19.0),
        ("stopped", 20.0),
    ]


def test_who_asked_is_in_the_first_sentence() -> None:
    running = task("1", service_arn=None, deployment_id=None)
    asked = msgspec.structs.replace(
        running, desired_status="STOPPED", stop_code="UserInitiated", stopped_reason="enough", stopping_at=15.0
    )
    actor = Actor(ROOT, "StopTask")
    entries = list(task_history.entries(running, asked, because=None, actor=actor, now=15.0))
    assert why_task(TaskStory(asked, entries)).summary == f"stopping by {ROOT} with StopTask: enough"


def test_outputs_of_probes_and_containers_are_details() -> None:
    facts = {"probes": [{"exit_code": 7, "output": "refused\n"}], "log": "one\ntwo\n"}
    evidence = HistoryEntry(at=15.0, kind="evidence", text="turned UNHEALTHY", task_arn="t", facts=facts)
    line = next(line for line in why_task(TaskStory(task(), [evidence])).timeline if line.what == "evidence")
    assert line.details == ("health check exited with code 7: refused", "last output:", "| one", "| two")


def deployment(number: int = 1, **members: object) -> Deployment:
    base = Deployment(
        id=f"ecs-svc/{number}",
        status="PRIMARY",
        task_definition_arn=f"{PREFIX}:task-definition/web:{number}",
        created_at=1.0,
        updated_at=1.0,
        rollout_state="IN_PROGRESS",
        rollout_state_reason="in progress.",
        launch_type="EC2",
    )
    return msgspec.structs.replace(base, **members)


def service(*deployments: Deployment, **members: object) -> Service:
    base = Service(
        arn=SERVICE,
        name="web",
        cluster_arn=f"{PREFIX}:cluster/default",
        region="eu-west-1",
        status="ACTIVE",
        desired_count=2,
        created_at=1.0,
        deployments=deployments or (deployment(),),
        deployment_configuration=ecs.DeploymentConfiguration(maximum_percent=200, minimum_healthy_percent=100),
    )
    return msgspec.structs.replace(base, **members)


def candidate(**members: object) -> Candidate:
    from openecs.planning.cluster_query import InstanceFacts

    base: dict[str, object] = {
        "node_id": "n", "container_instance_arn": f"{PREFIX}:container-instance/default/i1", "accepts_tasks": True,
        "connected": True, "cpu": 100, "memory": 512, "gpus": 0, "ports_taken": {80}, "ports_udp_taken": set(),
        "facts": InstanceFacts(agent_connected=True, agent_version="", ec2_instance_id="", registered_at=0.0,
                               running_tasks_count=0, attributes={}, task_groups=frozenset()),
    }  # fmt: skip
    return Candidate(**(base | members))  # type: ignore[arg-type]


def unplaced(reason: str, at: float = 50.0) -> HistoryEntry:
    needed = Resources(cpu=256, memory=1024, ports=(80,))
    return not_placed(
        service_arn=SERVICE, deployment_id="ecs-svc/1", missing=2, needed=needed,
        rejections=[Rejection(candidate(), reason)], reason="", now=at,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("RESOURCE:MEMORY", "RESOURCE:MEMORY (512 MiB free, 1024 needed)"),
        ("RESOURCE:CPU", "RESOURCE:CPU (100 CPU units free, 256 needed)"),
        ("RESOURCE:PORTS", "RESOURCE:PORTS (taken: 80/tcp)"),
        ("AGENT", "AGENT"),
    ],
)
def test_a_service_that_finds_no_node_says_what_spoke_against_each(reason: str, text: str) -> None:
    answer = why_service(ServiceStory(SERVICE, service(), (), [forgotten(unplaced(reason))]), 60.0)
    assert answer.summary == f"0 of 2 tasks run; waiting: no node for 2 tasks: the closest of 1 is i1: {text}"
    (waiting,) = [line for line in answer.now if line.what == "not-placed"]
    assert waiting.details == (f"i1: {text}",)


def test_what_was_placed_since_is_not_waited_for() -> None:
    story = ServiceStory(SERVICE, service(), (task(created_at=55.0),), [unplaced("AGENT")])
    assert why_service(story, 60.0).summary == "1 of 2 tasks run; the others are on their way"


@pytest.mark.parametrize(
    ("of", "tasks", "summary"),
    [
        (service(steady=True), ("1", "2"), "steady: 2 of 2 tasks run, nothing is to be done"),
        (service(status="DRAINING"), ("1",), "it is being deleted: 1 tasks have not stopped yet"),
        (service(status="INACTIVE"), (), "it was deleted"),
        (service(), ("1", "2"), "2 of 2 tasks run; deployment ecs-svc/1 is in progress"),
        (
            service(deployment(rollout_state="FAILED", rollout_state_reason="tasks failed to start.")),
            ("1",),
            "1 of 2 tasks run; its deployment FAILED: tasks failed to start.",
        ),
        (
            service(deployment(rollout_state="COMPLETED", crashes=FailureCount(count=4, until=40.0))),
            ("1", "2"),
            "2 of 2 tasks run; steady if they go on: 4 tasks in a row ended soon after they ran",
        ),
        (
            service(deployment(start_failures=FailureCount(count=2, until=59.5), failed_tasks=2)),
            (),
            (
                "0 of 2 tasks run; back-off: the next start of ecs-svc/1 is in 500 ms, because 2 tasks in a row "
                "failed before they ran"
            ),
        ),
    ],
)
def test_what_a_service_waits_for(of: Service, tasks: tuple[str, ...], summary: str) -> None:
    assert why_service(ServiceStory(SERVICE, of, [task(name) for name in tasks], ()), 60.0).summary == summary


def test_failures_are_grouped_by_cause() -> None:
    entries = [
        last_entry(ended("1", container(exit_code=1), stopped_at=20.0)),
        last_entry(ended("2", container(exit_code=2), stopped_at=21.0)),
        last_entry(ended("3", container(exit_code=1), stopped_at=22.0)),
    ]
    answer = why_service(ServiceStory(SERVICE, service(), (), [forgotten(e) for e in entries]), 60.0)
    assert [(group.cause, group.count, group.last_at, group.tasks) for group in answer.failures] == [
        ("essential container web exited with code 1", 2, 22.0, ("3", "1")),
        ("essential container web exited with code 2", 1, 21.0, ("2",)),
    ]


def test_a_deployment_that_is_over_is_told_from_history() -> None:
    failed = deployment(rollout_state="FAILED", rollout_state_reason="tasks failed to start.")
    entry = HistoryEntry(
        at=30.0, kind="deployment", text="FAILED", service_arn=SERVICE, deployment_id="ecs-svc/1",
        facts={"deployment": failed},
    )  # fmt: skip
    crash = last_entry(ended("1", container(exit_code=1)))
    answer = why_deployment("ecs-svc/1", ServiceStory(SERVICE, None, (), [forgotten(entry), forgotten(crash)]), 60.0)
    assert answer.summary == "FAILED, of web:1: tasks failed to start.; it is over"
    assert answer.failures[0].count == 1


def test_a_deployment_under_way_counts_its_own_tasks_and_those_in_its_way() -> None:
    both = service(deployment(2), deployment(1, status="ACTIVE"))
    tasks = [
        task("1"),
        task("2", deployment_id="ecs-svc/2", last_status="PENDING"),
        task("3", deployment_id="ecs-svc/2"),
    ]
    answer = why_deployment("ecs-svc/2", ServiceStory(SERVICE, both, tasks, ()), 60.0)
    assert [line.text for line in answer.now] == [
        "1 of its tasks run, 0 of them HEALTHY by a health check; the service wants 2",
        "1 tasks of other deployments have not stopped",
        "task 2 is PENDING",
    ]
