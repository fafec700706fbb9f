"""Sequences of operations over a few names, beside a model of what they must have done."""

from __future__ import annotations

from typing import Any

from fuzz_deployments import DeploymentSteps
from fuzz_depth import EXAMPLES, SEARCH, SOAK
from fuzz_invariants import History, check_api, check_state, list_tasks
from fuzz_plane import Plane, Reply
from fuzz_world import AWSVPC, DEFINITIONS, machine
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

CLUSTERS = st.sampled_from(["default", "default", "default", "spare"])
FAMILIES = st.sampled_from(sorted(DEFINITIONS))
SERVICES = st.sampled_from(["one", "two"])
PICK = st.integers(0, 10**6)
#: For what would leave little to work with when it happened often.
SELDOM = st.integers(0, 7).map(lambda number: number == 7)
STATUSES = st.sampled_from(["PENDING", "RUNNING", "RUNNING", "RUNNING", "STOPPED", "NONE", None])
CONTAINER_STATUSES = st.sampled_from(["PENDING", "RUNNING", "STOPPED", None])


class ControlPlane(DeploymentSteps, RuleBasedStateMachine):
    """Clients, agents and loops take turns on one control plane."""

    def __init__(self) -> None:
        super().__init__()
        self.plane = Plane()
        self.plane.__enter__()
        self.history = History()
        #: ``family:revision`` → what was registered.
        self.definitions: dict[str, dict[str, Any]] = {}
        self.inactive: set[str] = set()
        #: Task ARN → (cluster, ``family:revision``, startedBy) of tasks that RunTask answered.
        self.tasks: dict[str, tuple[str, str, str]] = {}
        #: (cluster, token) → task ARNs.
        self.tokens: dict[tuple[str, str], list[str]] = {}
        for name in ("default", "spare"):
            self.plane.must("ecs", "CreateCluster", clusterName=name)
        for number in (1, 2):
            self.plane.must("ecs", "RegisterContainerInstance", who=self.plane.agent, **machine(number))
        self.plane.connect_agents()
        for family in DEFINITIONS:
            self._register(family)

    def teardown(self) -> None:
        self.plane.__exit__(None, None, None)

    def ask(self, operation: str, /, **members: Any) -> Reply:
        """A call that may be refused; then nothing has changed."""
        before = self.plane.picture()
        who = self.plane.agent if operation.startswith("Submit") else None
        reply = self.plane.ask("ecs", operation, who=who, **members)
        assert reply.status < 500, (operation, members, reply)
        if reply.status != 200:
            assert self.plane.picture() == before, (operation, members, reply)
        return reply

    def _live(self, pick: int) -> str | None:
        arns = sorted(task.arn for task in self.plane.state.tasks)
        return arns[pick % len(arns)] if arns else None

    # -- clients --

    @rule(name=CLUSTERS)
    def create_cluster(self, name: str) -> None:
        assert self.ask("CreateCluster", clusterName=name).status == 200

    @rule(name=CLUSTERS, really=SELDOM)
    def delete_cluster(self, name: str, really: bool) -> None:
        if not really:
            return
        (shown,) = self.plane.must("ecs", "DescribeClusters", clusters=[name])["clusters"] or [{"status": ""}]
        reply = self.ask("DeleteCluster", cluster=name)
        busy = any(
            shown.get(count)
            for count in (
                "registeredContainerInstancesCount",
                "runningTasksCount",
                "pendingTasksCount",
                "activeServicesCount",
            )
        )
        assert reply.status != 200 or (shown["status"] == "ACTIVE" and not busy)

    @rule(family=FAMILIES)
    def register(self, family: str) -> None:
        self._register(family)

    def _register(self, family: str) -> None:
        shown = self.plane.must("ecs", "RegisterTaskDefinition", family=family, **DEFINITIONS[family])["taskDefinition"]
        name = f"{family}:{shown['revision']}"
        assert name not in self.definitions
        assert shown["revision"] == 1 + max(
            [int(n.split(":")[1]) for n in self.definitions if n.startswith(family)] or [0]
        )
        self.definitions[name] = shown

    @rule(pick=PICK, really=SELDOM)
    def deregister(self, pick: int, really: bool) -> None:
        if really:
            name = sorted(self.definitions)[pick % len(self.definitions)]
            if self.ask("DeregisterTaskDefinition", taskDefinition=name).status == 200:
                self.inactive.add(name)

    @rule(
        family=FAMILIES,
        cluster=CLUSTERS,
        count=st.integers(1, 4),
        token=st.sampled_from(["", "", "a", "b"]),
        odd=SELDOM,
    )
    def run_task(self, family: str, cluster: str, count: int, token: str, odd: bool) -> None:
        members: dict[str, Any] = {"cluster": cluster, "taskDefinition": family, "count": count, "startedBy": "me"}
        if DEFINITIONS[family].get("networkMode") == "awsvpc":
            members["networkConfiguration"] = AWSVPC
        if (family == "far") != odd:
            members["launchType"] = "FARGATE"
        if token:
            members["clientToken"] = token
        reply = self.ask("RunTask", **members)
        if reply.status != 200:
            return
        tasks = reply.data["tasks"]
        arns = [task["taskArn"] for task in tasks]
        active = [n for n in self.definitions if n.startswith(f"{family}:") and n not in self.inactive]
        newest = max(active, key=lambda name: int(name.split(":")[1]), default="")
        known = self.tokens.get((cluster, token)) if token else None
        if known is not None and set(arns) <= set(known):
            return
        assert len(arns) <= count
        assert len(arns) == count or reply.data["failures"]
        for task in tasks:
            assert task["taskDefinitionArn"].endswith(f"task-definition/{newest}")
            assert task["taskArn"] not in self.tasks
            self.tasks[task["taskArn"]] = (cluster, newest, "me")
        if token:
            self.tokens[cluster, token] = arns

    @rule(family=FAMILIES, cluster=CLUSTERS, pick=PICK)
    def start_task(self, family: str, cluster: str, pick: int) -> None:
        instances = [i.arn for i in self.plane.state.container_instances]
        members: dict[str, Any] = {"containerInstances": [instances[pick % len(instances)]]}
        if DEFINITIONS[family].get("networkMode") == "awsvpc":
            members["networkConfiguration"] = AWSVPC
        self.ask("StartTask", cluster=cluster, taskDefinition=family, **members)

    @rule(pick=PICK)
    def stop_task(self, pick: int) -> None:
        arn = self._live(pick)
        if arn is not None:
            cluster = arn.split("/")[1]
            reply = self.ask("StopTask", cluster=cluster, task=arn)
            assert reply.status == 200, reply
            assert reply.data["task"]["desiredStatus"] == "STOPPED"

    @rule(name=SERVICES, cluster=CLUSTERS, family=FAMILIES, desired=st.integers(0, 3), odd=SELDOM)
    def create_service(self, name: str, cluster: str, family: str, desired: int, odd: bool) -> None:
        more: dict[str, Any] = {}
        if DEFINITIONS[family].get("networkMode") == "awsvpc":
            more["networkConfiguration"] = AWSVPC
        if (family == "far") != odd:
            more["launchType"] = "FARGATE"
        self.ask(
            "CreateService", serviceName=name, cluster=cluster, taskDefinition=family, desiredCount=desired, **more
        )

    @rule(name=SERVICES, cluster=CLUSTERS, desired=st.integers(0, 3), force=st.booleans())
    def update_service(self, name: str, cluster: str, desired: int, force: bool) -> None:
        reply = self.ask("UpdateService", service=name, cluster=cluster, desiredCount=desired, forceNewDeployment=force)
        if reply.status == 200:
            (shown,) = self.plane.must("ecs", "DescribeServices", cluster=cluster, services=[name])["services"]
            assert shown["desiredCount"] == desired

    @rule(name=SERVICES, cluster=CLUSTERS, force=st.booleans(), really=st.booleans())
    def delete_service(self, name: str, cluster: str, force: bool, really: bool) -> None:
        if really:
            self.ask("DeleteService", service=name, cluster=cluster, force=force)

    @rule(pick=PICK, status=st.sampled_from(["ACTIVE", "ACTIVE", "DRAINING"]), cluster=CLUSTERS)
    def set_instance(self, pick: int, status: str, cluster: str) -> None:
        instances = [i.arn for i in self.plane.state.container_instances]
        members = {"containerInstances": [instances[pick % len(instances)]], "status": status}
        self.ask("UpdateContainerInstancesState", cluster=cluster, **members)

    @rule(pick=PICK, cluster=CLUSTERS, force=st.booleans(), really=SELDOM)
    def deregister_instance(self, pick: int, cluster: str, force: bool, really: bool) -> None:
        if not really:
            return
        instances = [i.arn for i in self.plane.state.container_instances]
        members = {"containerInstance": instances[pick % len(instances)], "force": force}
        self.ask("DeregisterContainerInstance", cluster=cluster, **members)

    # -- agents --

    @rule(number=st.sampled_from([1, 2]))
    def register_machine(self, number: int) -> None:
        reply = self.plane.ask("ecs", "RegisterContainerInstance", who=self.plane.agent, **machine(number))
        assert reply.status == 200 or reply.data["__type"] == "ClusterNotFoundException", reply
        self.plane.connect_agents()

    @rule(connected=st.sampled_from([True, True, False]), pick=PICK)
    def link(self, connected: bool, pick: int) -> None:
        nodes = sorted(node.id for node in self.plane.state.nodes)
        self.plane.agents._set_connected(nodes[pick % len(nodes)], connected=connected, version=None)

    @rule(pick=PICK, status=STATUSES, container=CONTAINER_STATUSES, code=st.sampled_from([None, 0, 1, 137]))
    def report(self, pick: int, status: str | None, container: str | None, code: int | None) -> None:
        """An agent's word, however late or odd."""
        arn = self._live(pick)
        if arn is None:
            return
        members: dict[str, Any] = {"task": arn}
        if status is not None:
            members["status"] = status
        if container is not None:
            change: dict[str, Any] = {"containerName": "web", "status": container, "runtimeId": "r" + arn[-4:]}
            if code is not None and container == "STOPPED":
                change["exitCode"] = code
            members["containers"] = [change]
        assert self.ask("SubmitTaskStateChange", **members).status == 200

    @rule()
    def agents_do_as_told(self) -> None:
        for task in list(self.plane.state.tasks):
            if not task.stopped:
                status = "STOPPED" if task.desired_status == "STOPPED" else "RUNNING"
                self.plane.must("ecs", "SubmitTaskStateChange", who=self.plane.agent, task=task.arn, status=status)

    # -- time and loops --

    @rule(seconds=st.sampled_from([0.001, 1.0, 60.0, 3700.0, 100_000.0]))
    def time_passes(self, seconds: float) -> None:
        self.plane.clock.advance(seconds)
        self.plane.reap()
        for arn in [arn for arn in self.tasks if arn not in self.plane.state.tasks]:
            del self.tasks[arn]

    @rule()
    def services_settle(self) -> None:
        self.plane.settle_services()
        for service in self.plane.state.services:
            wanted = [t for t in self.plane.state.tasks.by("service", service.arn) if t.desired_status == "RUNNING"]
            kept = [task for task in wanted if task.protected(self.plane.clock.now())]
            if service.status == "ACTIVE" and service.deployment_controller == "ECS":
                # At most 200 % while deployments replace one another; protected tasks stay beyond it.
                assert len(wanted) - len(kept) <= 2 * max(service.desired_count, 1), (service, wanted)

    # -- what always holds --

    @invariant()
    def state_is_sound(self) -> None:
        check_state(self.plane)
        self.history.check(self.plane)

    @invariant()
    def answers_agree(self) -> None:
        for cluster in self.plane.state.clusters:
            if cluster.status == "ACTIVE":
                check_api(self.plane, cluster.name)

    @invariant()
    def what_was_created_is_described(self) -> None:
        for name, registered in self.definitions.items():
            reply = self.plane.ask("ecs", "DescribeTaskDefinition", taskDefinition=name)
            shown = reply.data["taskDefinition"]
            assert shown["status"] == ("INACTIVE" if name in self.inactive else "ACTIVE")
            changed = {"status", "deregisteredAt"}
            assert {k: v for k, v in shown.items() if k not in changed} == {
                k: v for k, v in registered.items() if k not in changed
            }
        active = [c.name for c in self.plane.state.clusters if c.status == "ACTIVE"]
        shown_tasks = {task["taskArn"]: task for cluster in active for task in list_tasks(self.plane, cluster)}
        for arn, (cluster, definition, started_by) in self.tasks.items():
            if cluster in active:
                task = shown_tasks[arn]
                assert task["taskDefinitionArn"].endswith(f"/{definition}")
                assert task["startedBy"] == started_by


TestControlPlane = ControlPlane.TestCase
TestControlPlane.settings = settings(SEARCH, max_examples=EXAMPLES // 3, stateful_step_count=60 if SOAK else 40)
