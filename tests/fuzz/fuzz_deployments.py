"""Steps on deployments, task sets, protection and capacity providers for the stateful search.

A mixin of ``ControlPlane``: its rules share the names of services and clusters with the others,
so that a service is now a REPLICA one, now a DAEMON, now one with task sets.
"""

from __future__ import annotations

from typing import Any

from fuzz_plane import Plane, Reply
from fuzz_world import AWSVPC, DEFINITIONS
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

CLUSTERS = st.sampled_from(["default", "default", "default", "spare"])
FAMILIES = st.sampled_from(sorted(DEFINITIONS))
SERVICES = st.sampled_from(["one", "two"])
PICK = st.integers(0, 10**6)
PROVIDERS = ("machines", "FARGATE", "FARGATE_SPOT")
BREAKERS = st.sampled_from(
    [
        {"enable": False, "rollback": False},
        {"enable": True, "rollback": True, "thresholdConfiguration": {"type": "COUNT", "value": 1}},
        {"enable": True, "rollback": False, "resetOnHealthyTask": False},
    ]
)
STRATEGIES = st.lists(
    st.fixed_dictionaries(
        {"capacityProvider": st.sampled_from(PROVIDERS), "weight": st.integers(0, 2), "base": st.integers(0, 1)}
    ),
    max_size=2,
)
ENDED = {"SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}


def network_of(family: str) -> dict[str, Any]:
    awsvpc = DEFINITIONS[family].get("networkMode") == "awsvpc"
    return {"networkConfiguration": AWSVPC} if awsvpc else {}


class DeploymentSteps:
    """The rules; ``plane`` and ``ask`` are the machine's."""

    plane: Plane

    def ask(self, operation: str, /, **members: Any) -> Reply:
        raise NotImplementedError

    # -- services --

    @rule(name=SERVICES, cluster=CLUSTERS, family=FAMILIES)
    def create_daemon(self, name: str, cluster: str, family: str) -> None:
        members = {"taskDefinition": family, "schedulingStrategy": "DAEMON", **network_of(family)}
        reply = self.ask("CreateService", serviceName=name, cluster=cluster, **members)
        assert reply.status != 200 or family != "far", "DAEMON services have no Fargate tasks"

    @rule(name=SERVICES, cluster=CLUSTERS, desired=st.integers(0, 3))
    def create_external(self, name: str, cluster: str, desired: int) -> None:
        controller = {"deploymentController": {"type": "EXTERNAL"}}
        self.ask("CreateService", serviceName=name, cluster=cluster, desiredCount=desired, **controller)

    @rule(name=SERVICES, cluster=CLUSTERS, family=FAMILIES, breaker=BREAKERS)
    def deploy(self, name: str, cluster: str, family: str, breaker: dict[str, Any]) -> None:
        """Another task definition under a circuit breaker; task sets and network modes refuse it."""
        configuration = {"deploymentCircuitBreaker": breaker}
        members = {"taskDefinition": family, "deploymentConfiguration": configuration, **network_of(family)}
        reply = self.ask("UpdateService", service=name, cluster=cluster, **members)
        if reply.status == 200:
            shown = reply.data["service"]
            assert shown["taskDefinition"].rpartition("/")[2].startswith(f"{family}:")
            assert [d["status"] for d in shown["deployments"]][:1] == ["PRIMARY"]

    @rule(pick=PICK, stop_type=st.sampled_from(["ROLLBACK", "ABORT"]))
    def stop_deployment(self, pick: int, stop_type: str) -> None:
        arns = sorted(record.arn for record in self.plane.state.service_deployments)
        if not arns:
            return
        arn = arns[pick % len(arns)]
        known = self.plane.state.service_deployments.get(arn)
        reply = self.ask("StopServiceDeployment", serviceDeploymentArn=arn, stopType=stop_type)
        if reply.status == 200:
            assert known is not None
            assert known.status in ("PENDING", "IN_PROGRESS")

    # -- task sets --

    @rule(name=SERVICES, cluster=CLUSTERS, family=FAMILIES, scale=st.sampled_from([0, 33.4, 100]), token=st.booleans())
    def create_task_set(self, name: str, cluster: str, family: str, scale: float, token: bool) -> None:
        members: dict[str, Any] = {"taskDefinition": family, **network_of(family)}
        members |= {"scale": {"value": scale, "unit": "PERCENT"}}
        members |= {"launchType": "FARGATE"} if family == "far" else {}
        members |= {"clientToken": "t"} if token else {}
        self.ask("CreateTaskSet", cluster=cluster, service=name, **members)

    @rule(
        name=SERVICES,
        cluster=CLUSTERS,
        pick=PICK,
        change=st.sampled_from(["scale", "scale", "delete", "force", "primary"]),
        scale=st.sampled_from([0, 50, 100]),
    )
    def change_task_set(self, name: str, cluster: str, pick: int, change: str, scale: int) -> None:
        arn = f"arn:aws:ecs:us-east-1:123456789012:service/{cluster}/{name}"
        service = self.plane.state.services.get(arn)
        sets = [d.id for d in service.deployments if d.task_set is not None] if service is not None else []
        if not sets:
            return
        of_it = {"cluster": cluster, "service": name}
        chosen = sets[pick % len(sets)]
        if change == "primary":
            self.ask("UpdateServicePrimaryTaskSet", **of_it, primaryTaskSet=chosen)
        elif change == "scale":
            self.ask("UpdateTaskSet", **of_it, taskSet=chosen, scale={"value": scale, "unit": "PERCENT"})
        else:
            self.ask("DeleteTaskSet", **of_it, taskSet=chosen, force=change == "force")

    # -- protection and capacity --

    @rule(pick=PICK, enabled=st.booleans(), minutes=st.sampled_from([None, 1, 2880]))
    def protect(self, pick: int, enabled: bool, minutes: int | None) -> None:
        arns = sorted(task.arn for task in self.plane.state.tasks)
        if not arns:
            return
        arn = arns[pick % len(arns)]
        more = {} if minutes is None else {"expiresInMinutes": minutes}
        reply = self.ask(
            "UpdateTaskProtection", cluster=arn.split("/")[1], tasks=[arn], protectionEnabled=enabled, **more
        )
        if reply.status == 200:
            assert len(reply.data["protectedTasks"]) + len(reply.data["failures"]) == 1

    @rule(cluster=CLUSTERS, names=st.lists(st.sampled_from(PROVIDERS), unique=True, max_size=3), default=STRATEGIES)
    def put_providers(self, cluster: str, names: list[str], default: list[dict[str, Any]]) -> None:
        group = {"autoScalingGroupArn": "machines-group"}
        self.ask("CreateCapacityProvider", name="machines", autoScalingGroupProvider=group)
        members = {"capacityProviders": names, "defaultCapacityProviderStrategy": default}
        self.ask("PutClusterCapacityProviders", cluster=cluster, **members)

    @rule(cluster=CLUSTERS, family=FAMILIES, strategy=STRATEGIES, name=SERVICES, desired=st.integers(-1, 3))
    def run_by_strategy(
        self, cluster: str, family: str, strategy: list[dict[str, Any]], name: str, desired: int
    ) -> None:
        members: dict[str, Any] = {"cluster": cluster, "taskDefinition": family, **network_of(family)}
        members["capacityProviderStrategy"] = strategy
        if desired < 0:
            self.ask("RunTask", **members)
        else:
            self.ask("CreateService", serviceName=name, desiredCount=desired, **members)

    @rule()
    def deployments_settle(self) -> None:
        """The scheduler ends what a newer deployment took the place of: one is under way at most."""
        self.plane.settle_services()
        for service in self.plane.state.services:
            if service.status == "ACTIVE":
                records = self.plane.state.service_deployments.by("service", service.arn)
                under_way = {record.arn for record in records if record.status not in ENDED}
                assert under_way <= {service.service_deployment_arn}, (service, under_way)

    # -- what always holds --

    @invariant()
    def deployments_agree(self) -> None:
        """Every service deployment that a service ever had tells a whole story."""
        for service in self.plane.state.services:
            records = list(self.plane.state.service_deployments.by("service", service.arn))
            if not records:
                continue
            arns = [record.arn for record in records][:20]
            shown = self.plane.must("ecs", "DescribeServiceDeployments", serviceDeploymentArns=arns)
            assert shown["failures"] == []
            for deployment in shown["serviceDeployments"]:
                times = [deployment.get(name) for name in ("createdAt", "startedAt", "finishedAt")]
                known = [time for time in times if time is not None]
                assert known == sorted(known), deployment
                ended = deployment.get("finishedAt") or deployment.get("stoppedAt")
                assert (deployment["status"] in ENDED) == (ended is not None), deployment
                revision = deployment["targetServiceRevision"]["arn"]
                found = self.plane.must("ecs", "DescribeServiceRevisions", serviceRevisionArns=[revision])
                assert found["failures"] == [], deployment

    @invariant()
    def task_sets_agree(self) -> None:
        """Task sets are described as their service has them, with counts of its tasks."""
        for service in self.plane.state.services:
            if service.deployment_controller != "EXTERNAL" or service.status != "ACTIVE":
                continue
            cluster = service.cluster_arn.rpartition("/")[2]
            sets = self.plane.must("ecs", "DescribeTaskSets", cluster=cluster, service=service.name)["taskSets"]
            (shown,) = self.plane.must("ecs", "DescribeServices", cluster=cluster, services=[service.name])["services"]
            assert shown["taskSets"] == [{k: v for k, v in task_set.items() if k != "tags"} for task_set in sets]
            assert shown["runningCount"] == sum(task_set["runningCount"] for task_set in sets)
            assert len(sets) <= 5
