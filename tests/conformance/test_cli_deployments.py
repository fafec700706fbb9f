"""Deployments with the AWS CLI, as its users and their deploy scripts type them.

Waiters look every 15 seconds, which is what these tests take; where both generations of the CLI
wait, they do so at the same time.
"""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
OVER = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


def data(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def register(ecs: Any, family: str, **container: Any) -> str:
    main = {"name": "main", "image": "busybox", "memory": 16, **container}
    reply = ecs.register_task_definition(family=family, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def described(ecs: Any, name: str) -> dict[str, Any]:
    (found,) = ecs.describe_services(services=[name])["services"]
    result: dict[str, Any] = found
    return result


def stable(ecs: Any, name: str) -> None:
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)


def remove(ecs: Any, name: str) -> None:
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def test_deploy_says_that_there_is_no_codedeploy(fake: Installation, ecs: Any, name: str, tmp_path: Path) -> None:
    """``aws ecs deploy`` asks CodeDeploy for its application before it does anything.

    The second generation that distributions have knows no setting for that service's endpoint.
    """
    register(ecs, name)
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=0)
    container = {"name": "main", "image": "busybox", "memory": 16}
    (tmp_path / "task.json").write_text(json.dumps({"family": name, "containerDefinitions": [container]}))
    target = {"Type": "AWS::ECS::Service", "Properties": {"TaskDefinition": name}}
    (tmp_path / "appspec.json").write_text(json.dumps({"version": 0.0, "Resources": [{"TargetService": target}]}))
    failed = fake.aws(
        *("ecs", "deploy", "--service", name, "--task-definition", str(tmp_path / "task.json")),
        *("--codedeploy-appspec", str(tmp_path / "appspec.json")),
        check=False,
    )
    assert failed.returncode == 255
    assert "UnsupportedOperationException" in failed.stderr
    assert "OpenECS does not serve the API 'CodeDeploy_20141006'" in failed.stderr
    # Nothing was registered and nothing deployed.
    assert ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]["revision"] == 1
    assert len(ecs.list_service_deployments(service=name)["serviceDeployments"]) == 1
    remove(ecs, name)


def test_the_waiter_waits_through_a_rollback(fake: Installation, ecs: Any, name: str) -> None:
    good = register(ecs, name, healthCheck={"command": ["CMD", "true"], "interval": 5})
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=1, deploymentConfiguration=BREAKER)
    stable(ecs, name)
    wait_for(lambda: described(ecs, name)["deployments"][0]["rolloutState"] == "COMPLETED", what="it is deployed")
    register(ecs, name, image="missing/image")
    updated = data(fake.aws("ecs", "update-service", "--service", name, "--task-definition", name))["service"]
    assert [d["status"] for d in updated["deployments"]] == ["PRIMARY", "ACTIVE"]
    with ThreadPoolExecutor(2) as both:
        waits = [both.submit(aws, "ecs", "wait", "services-stable", "--services", name) for aws in two(fake)]
    assert [wait.result().returncode for wait in waits] == [0] * len(waits)
    service = described(ecs, name)
    assert (service["taskDefinition"], len(service["deployments"]), service["runningCount"]) == (good, 1, 1)
    messages = [event["message"] for event in service["events"]]
    assert any("deployment failed: tasks failed to start" in message for message in messages)
    assert any("rolling back to deployment ecs-svc/" in message for message in messages)
    remove(ecs, name)


def two(fake: Installation) -> list[Any]:
    """The generations of the CLI that are there."""
    try:
        fake.aws2("--version")
    except pytest.skip.Exception:
        return [fake.aws]
    return [fake.aws, fake.aws2]


def test_a_deployment_is_forced_while_another_is_rolled_back(fake: Installation, ecs: Any, name: str) -> None:
    good = register(ecs, name)
    # The old tasks have to go first, so that going back takes a while: a task counts after ten seconds.
    percents = {"minimumHealthyPercent": 0, "maximumPercent": 100}
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=1, deploymentConfiguration=percents)
    stable(ecs, name)
    # Only a completed deployment can be gone back to; stable says that the tasks run.
    wait_for(
        lambda: described(ecs, name)["deployments"][0]["rolloutState"] == "COMPLETED", what="the first is completed"
    )
    breaker = {"enable": True, "rollback": True, "thresholdConfiguration": {"type": "COUNT", "value": 1}}
    register(ecs, name, image="missing/image")
    failing = ecs.update_service(
        service=name, taskDefinition=name, deploymentConfiguration={"deploymentCircuitBreaker": breaker}
    )["service"]["currentServiceDeployment"]

    def status(arn: str) -> str:
        (shown,) = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        found: str = shown["status"]
        return found

    wait_for(lambda: status(failing) == "ROLLBACK_IN_PROGRESS", what="the rollback is under way")
    forced = data(fake.aws("ecs", "update-service", "--service", name, "--force-new-deployment"))["service"]
    assert forced["taskDefinition"] == good
    assert forced["currentServiceDeployment"] != failing
    fake.aws("ecs", "wait", "services-stable", "--services", name)
    wait_for(lambda: status(forced["currentServiceDeployment"]) == "SUCCESSFUL", what="the forced deployment")
    assert status(failing) in OVER
    service = described(ecs, name)
    assert (service["taskDefinition"], service["runningCount"], len(service["deployments"])) == (good, 1, 1)
    assert service["deployments"][0]["id"] == forced["deployments"][0]["id"]
    remove(ecs, name)


def test_the_steps_of_a_deploy_script(fake: Installation, ecs: Any, name: str, tmp_path: Path) -> None:
    """What scripts around the CLI do: copy the definition with another image, update, poll tasks."""
    aws = fake.aws
    register(ecs, name)
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=2)
    stable(ecs, name)
    old = aws(
        *("ecs", "describe-services", "--services", name, "--query", "services[0].taskDefinition", "--output", "text")
    ).stdout.strip()
    shown = data(aws("ecs", "describe-task-definition", "--task-definition", old))["taskDefinition"]
    keep = ("family", "volumes", "containerDefinitions", "placementConstraints", "taskRoleArn", "networkMode")
    copy = {member: shown[member] for member in keep if member in shown}
    copy["containerDefinitions"][0]["image"] = "busybox:next"
    (tmp_path / "copy.json").write_text(json.dumps(copy))
    new = data(aws("ecs", "register-task-definition", "--cli-input-json", f"file://{tmp_path}/copy.json"))
    arn = new["taskDefinition"]["taskDefinitionArn"]
    percents = "maximumPercent=200,minimumHealthyPercent=50"
    aws(
        *("ecs", "update-service", "--service", name, "--task-definition", arn),
        *("--deployment-configuration", percents, "--desired-count", "2"),
    )

    def running() -> list[str]:
        tasks = data(aws("ecs", "list-tasks", "--service-name", name, "--desired-status", "RUNNING"))["taskArns"]
        found = data(aws("ecs", "describe-tasks", "--tasks", *tasks))["tasks"] if tasks else []
        return [task["lastStatus"] for task in found if task["taskDefinitionArn"] == arn]

    wait_for(lambda: running() == ["RUNNING", "RUNNING"], what="both tasks run the new definition")
    left = ("ecs", "describe-services", "--services", name, "--query", "length(services[0].deployments)")
    wait_for(lambda: data(aws(*left)) == 1, what="the old deployment is gone")
    aws("ecs", "deregister-task-definition", "--task-definition", old)
    remove(ecs, name)


def test_service_deployments_with_the_cli(fake: Installation, ecs: Any, name: str) -> None:
    register(ecs, name)
    ecs.create_service(serviceName=name, taskDefinition=name, desiredCount=1)
    stable(ecs, name)
    slow = {"command": ["CMD", "fake-unhealthy"], "startPeriod": 300}
    register(ecs, name, healthCheck=slow)
    ecs.update_service(service=name, taskDefinition=name)
    since = ("--created-at", "after=2020-01-01T00:00:00Z")
    listed = data(fake.aws("ecs", "list-service-deployments", "--service", name, *since))["serviceDeployments"]
    assert len(listed) == 2
    arn = listed[0]["serviceDeploymentArn"]
    fake.aws("ecs", "stop-service-deployment", "--service-deployment-arn", arn, "--stop-type", "ROLLBACK")
    stable(ecs, name)
    show = ("ecs", "describe-service-deployments", "--service-deployment-arns", arn)
    wait_for(lambda: data(fake.aws(*show))["serviceDeployments"][0]["status"] == "ROLLBACK_SUCCESSFUL")
    revision = listed[0]["targetServiceRevisionArn"]
    revisions = data(fake.aws("ecs", "describe-service-revisions", "--service-revision-arns", revision))
    assert revisions["serviceRevisions"][0]["taskDefinition"].endswith(":2")
    remove(ecs, name)
