"""``ecs-deploy`` (the program ``ecs``) against an installation: deploy, scale, run, update, diff."""

from __future__ import annotations

from typing import Any

import pytest
from conformance_support import BIN, Installation

QUICK = {"Delay": 0, "MaxAttempts": 3000}


class Deployer:
    """Runs ``ecs`` and reads the state through boto3."""

    def __init__(self, installation: Installation, ecs: Any, name: str) -> None:
        self._installation = installation
        self.ecs = ecs
        self.name = name
        self.register("one", [{"name": "OLD", "value": "1"}])
        ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=1)
        ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)

    def register(self, tag: str, environment: list[dict[str, str]]) -> None:
        container = {"name": "web", "image": f"busybox:{tag}", "memory": 16, "environment": environment}
        self.ecs.register_task_definition(family=self.name, containerDefinitions=[container])

    def run(self, *words: str, check: bool = True) -> tuple[int, str]:
        done = self._installation.run([str(BIN / "ecs"), *words], check=check)
        return done.returncode, done.stdout + done.stderr

    def container(self) -> dict[str, Any]:
        """The container that the service's tasks now run."""
        arns = self.ecs.list_tasks(serviceName=self.name)["taskArns"]
        tasks = self.ecs.describe_tasks(tasks=arns)["tasks"]
        (definition,) = {task["taskDefinitionArn"] for task in tasks}
        described = self.ecs.describe_task_definition(taskDefinition=definition)["taskDefinition"]
        found: dict[str, Any] = described["containerDefinitions"][0]
        return found

    def service(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ecs.describe_services(services=[self.name])["services"][0]
        return found


@pytest.fixture
def deployer(fake: Installation, ecs: Any, name: str) -> Any:
    made = Deployer(fake, ecs, name)
    yield made
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def test_deploy_puts_a_new_image_and_environment_to_work(deployer: Deployer) -> None:
    name = deployer.name
    image = ("--image", "web", "busybox:two", "-e", "web", "NEW", "2")
    _, said = deployer.run("deploy", "default", name, *image, "--timeout", "60", "--sleep-time", "0")
    assert "Deployment successful" in said
    container = deployer.container()
    assert container["image"] == "busybox:two"
    assert {pair["name"]: pair["value"] for pair in container["environment"]} == {"OLD": "1", "NEW": "2"}
    # The old revision is deregistered, as its users expect.
    assert deployer.ecs.describe_task_definition(taskDefinition=f"{name}:1")["taskDefinition"]["status"] == "INACTIVE"


def test_a_deployment_that_cannot_start_is_told_and_rolled_back(deployer: Deployer) -> None:
    name = deployer.name
    bad = ("--command", "web", "no-such-command", "--timeout", "4", "--sleep-time", "0", "--rollback")
    code, said = deployer.run("deploy", "default", name, *bad, check=False)
    assert code == 1
    assert "Deployment failed" in said
    deployer.ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    assert "command" not in deployer.container()


def test_scale_changes_the_count(deployer: Deployer) -> None:
    _, said = deployer.run("scale", "default", deployer.name, "3", "--timeout", "60", "--sleep-time", "0")
    assert "Scaling successful" in said
    assert (deployer.service()["desiredCount"], deployer.service()["runningCount"]) == (3, 3)


def test_run_starts_tasks_with_overrides(deployer: Deployer) -> None:
    name = deployer.name
    _, said = deployer.run("run", "default", name, "2", "-c", "web", "exit 4", "-e", "web", "ONCE", "yes")
    assert "Successfully started 2 instances" in said
    tasks = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in deployer.ecs.list_tasks(family=name, desiredStatus=status)["taskArns"]
        if arn in said
    ]
    assert len(tasks) == 2
    deployer.ecs.get_waiter("tasks_stopped").wait(tasks=tasks, WaiterConfig=QUICK)
    for task in deployer.ecs.describe_tasks(tasks=tasks)["tasks"]:
        (override,) = task["overrides"]["containerOverrides"]
        assert {"name": "ONCE", "value": "yes"} in override["environment"]
        assert task["containers"][0]["exitCode"] == 4


def test_update_makes_a_revision_and_diff_shows_it(deployer: Deployer) -> None:
    name = deployer.name
    deployer.run("update", name, "--image", "web", "busybox:three")
    newest = deployer.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
    assert (newest["revision"], newest["containerDefinitions"][0]["image"]) == (2, "busybox:three")
    assert deployer.service()["taskDefinition"].endswith(":1")
    _, said = deployer.run("diff", name, "1", "2")
    assert "busybox:one" in said
    assert "busybox:three" in said


def test_cron_gives_a_rule_the_new_task_definition(deployer: Deployer, fake: Installation, name: str) -> None:
    events = fake.client("events")
    cluster = deployer.ecs.describe_clusters(clusters=["default"])["clusters"][0]["clusterArn"]
    parameters = {"TaskDefinitionArn": deployer.service()["taskDefinition"], "TaskCount": 1, "LaunchType": "EC2"}
    events.put_rule(Name=name, ScheduleExpression="rate(12 hours)", State="DISABLED")
    target = {"Id": "t", "Arn": cluster, "RoleArn": "arn:aws:iam::000000000000:role/r", "EcsParameters": parameters}
    events.put_targets(Rule=name, Targets=[target])
    deployer.run("cron", "default", name, name, "--image", "web", "busybox:two")
    (shown,) = events.list_targets_by_rule(Rule=name)["Targets"]
    assert shown["Arn"] == cluster
    assert shown["EcsParameters"] == {**parameters, "TaskDefinitionArn": parameters["TaskDefinitionArn"][:-1] + "2"}
    events.remove_targets(Rule=name, Ids=["t"])
    events.delete_rule(Name=name)
