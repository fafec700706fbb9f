"""What must exist before an example's command can run, and the names that stand for the page's.

Every example has a region of its own, so no example sees another's state.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from conformance_support import Installation
from example_pages import Example
from waiting import wait_for

ACCOUNT = "123456789012"
#: Clusters of the pages in which the machine must show up as a container instance, after the one
#: in which it is registered: only the others are looked for in every region.
LENT_TO = ("home", "default", "MyCluster", "mycluster", "update", "test", "ECS-project-update-cluster")

CONTAINER = {"name": "sleep", "image": "busybox", "cpu": 10, "memory": 10, "essential": True}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole"
_ARN = re.compile(r"(arn:aws:(?:ecs|logs)):[a-z0-9-]+:\d{12}:")


class World:
    """The region of one example."""

    def __init__(self, installation: Installation, region: str, example: Example) -> None:
        self.installation = installation
        self.example = example
        self.region = region
        self.ecs = installation.client("ecs", region)
        self.logs = installation.client("logs", region)
        #: Words of the page and what stands for them here.
        self.names: dict[str, str] = {}

    def words(self, folder: Path) -> list[str]:
        """The command's words with names and files of this world."""
        return [self._file(self.translated(word), folder) for word in self.example.words]

    def translated(self, text: str) -> str:
        text = _ARN.sub(rf"\1:{self.region}:{ACCOUNT}:", text)
        if "subnet-" in text or "sg-" in text:
            subnet, group = self.network()
            text = re.sub(r"subnet-\w+", subnet, text)
            text = re.sub(r"\bsg-\w+", group, text)
        for old, new in self.names.items():
            text = text.replace(old, new)
        return text

    def _file(self, word: str, folder: Path) -> str:
        if not word.startswith("file://"):
            return word
        name = word.rpartition("/")[2]
        content = self.example.files.get(name) or next(iter(self.example.files.values()))
        (folder / name).write_text(self.translated(content))
        return f"file://{folder / name}"

    def network(self) -> tuple[str, str]:
        """A subnet and the security group of the region, as a refusal names them."""
        self.cluster("network")
        self.fargate("network")
        subnet = self._named_after("Subnets of this region: ", ["subnet-0"], [])
        return subnet, self._named_after("Security group of this region: ", [subnet], ["sg-0"])

    def _named_after(self, mark: str, subnets: list[str], groups: list[str]) -> str:
        network = {"awsvpcConfiguration": {"subnets": subnets, "securityGroups": groups}}
        try:
            self.ecs.run_task(
                cluster="network", taskDefinition="network", launchType="FARGATE", networkConfiguration=network
            )
        except ClientError as error:
            names: str = error.response["Error"]["Message"].partition(mark)[2]
            return re.findall(r"[\w-]+", names)[0]
        raise AssertionError("a subnet that does not exist was accepted")

    # What examples need.

    def cluster(self, name: str = "default", **more: Any) -> str:
        arn: str = self.ecs.create_cluster(clusterName=name, **more)["cluster"]["clusterArn"]
        return arn

    def definition(self, family: str, revision: int = 1, **container: Any) -> None:
        for _ in range(revision):
            self.ecs.register_task_definition(
                family=family,
                cpu="128",
                memory="128",
                executionRoleArn=ROLE,
                containerDefinitions=[{**CONTAINER, **container}],
            )

    def fargate(self, family: str, revision: int = 1) -> None:
        for _ in range(revision):
            self.ecs.register_task_definition(
                family=family,
                cpu="256",
                memory="512",
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                containerDefinitions=[{"name": "web", "image": "nginx", "cpu": 99, "memory": 100}],
            )

    def documented_definition(self, shape: dict[str, Any]) -> None:
        """Register the very definition that a page shows, up to its revision."""
        known = self.ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
        request = {name: value for name, value in shape.items() if name in known and value not in ([], "")}
        request["containerDefinitions"] = shape["containerDefinitions"]
        for _ in range(shape["revision"]):
            self.ecs.register_task_definition(**request)

    def instance(self, cluster: str) -> str:
        """The id of the machine's container instance in a cluster; it is connected."""
        self.cluster(cluster)
        (arn,) = self.ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
        wait_for(
            lambda: self.ecs.describe_container_instances(cluster=cluster, containerInstances=[arn])[
                "containerInstances"
            ][0]["agentConnected"],
            what="the machine's agent is connected",
        )
        return str(arn.rpartition("/")[2])

    def service(self, cluster: str, name: str, family: str = "sleep360", **more: Any) -> None:
        """A service of a definition, which is registered unless it is there."""
        self.cluster(cluster)
        if family not in self.ecs.list_task_definition_families(familyPrefix=family)["families"]:
            self.definition(family)
        request: dict[str, Any] = {"desiredCount": 1, **more}
        self.ecs.create_service(cluster=cluster, serviceName=name, taskDefinition=family, **request)

    def steady_service(self, cluster: str, name: str, **more: Any) -> None:
        self.service(cluster, name, **more)
        self.ecs.get_waiter("services_stable").wait(
            cluster=cluster, services=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
        )
        wait_for(lambda: self._service(cluster, name)["events"], what="the service tells that it is steady")

    def _service(self, cluster: str, name: str) -> dict[str, Any]:
        service: dict[str, Any] = self.ecs.describe_services(cluster=cluster, services=[name])["services"][0]
        return service

    def service_tasks(self, cluster: str, name: str) -> list[str]:
        arns = self.ecs.list_tasks(cluster=cluster, serviceName=name)["taskArns"]
        self.ecs.get_waiter("tasks_running").wait(
            cluster=cluster, tasks=arns, WaiterConfig={"Delay": 0, "MaxAttempts": 600}
        )
        return [arn.rpartition("/")[2] for arn in arns]

    def task(self, cluster: str, *, running: bool = True) -> str:
        """The id of a new standalone task."""
        self.cluster(cluster)
        self.definition("sleep360")
        (task,) = self.ecs.run_task(cluster=cluster, taskDefinition="sleep360")["tasks"]
        if running:
            self.ecs.get_waiter("tasks_running").wait(
                cluster=cluster, tasks=[task["taskArn"]], WaiterConfig={"Delay": 0, "MaxAttempts": 600}
            )
        return str(task["taskArn"].rpartition("/")[2])


Preparation = Callable[[World], None]
