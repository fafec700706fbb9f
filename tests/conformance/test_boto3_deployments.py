"""Service deployments, task sets and DAEMON services through boto3, on the fake engine."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from waiting import wait_for

QUICK = {"Delay": 0, "MaxAttempts": 3000}
BREAKER = {
    "enable": True,
    "rollback": True,
    "thresholdConfiguration": {"type": "COUNT", "value": 1},
    "resetOnHealthyTask": True,
}


def register(ecs: Any, family: str, **container: Any) -> str:
    main = {"name": "main", "image": "busybox", "memory": 16, **container}
    reply = ecs.register_task_definition(family=family, containerDefinitions=[main])
    arn: str = reply["taskDefinition"]["taskDefinitionArn"]
    return arn


def described(ecs: Any, name: str) -> dict[str, Any]:
    (found,) = ecs.describe_services(services=[name])["services"]
    result: dict[str, Any] = found
    return result


def rollout(ecs: Any, arn: str) -> dict[str, Any]:
    (found,) = ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
    result: dict[str, Any] = found
    return result


def reaches(ecs: Any, arn: str, status: str) -> dict[str, Any]:
    """The service deployment once it has that status."""
    found: dict[str, Any] = wait_for(
        lambda: (shown := rollout(ecs, arn))["status"] == status and shown, what=f"{arn} is {status}"
    )
    return found


def deployed(ecs: Any, name: str, **more: Any) -> dict[str, Any]:
    """A service whose first deployment is over."""
    created: dict[str, Any] = ecs.create_service(
        **{"serviceName": name, "taskDefinition": name, "desiredCount": 2, **more}
    )["service"]
    reaches(ecs, created["currentServiceDeployment"], "SUCCESSFUL")
    return created


def remove(ecs: Any, name: str) -> None:
    ecs.delete_service(service=name, force=True)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)


def test_a_deployment_is_followed_from_pending_to_successful(ecs: Any, name: str) -> None:
    register(ecs, name)
    first = deployed(ecs, name)
    register(ecs, name, environment=[{"name": "A", "value": "1"}])
    updated = ecs.update_service(service=name, taskDefinition=name)["service"]
    arn = updated["currentServiceDeployment"]
    done = reaches(ecs, arn, "SUCCESSFUL")
    assert done["createdAt"] <= done["startedAt"] <= done["finishedAt"]
    assert [r["arn"] for r in done["sourceServiceRevisions"]] == [first["currentServiceRevisions"][0]["arn"]]
    assert done["targetServiceRevision"]["runningTaskCount"] == 2
    (current,) = described(ecs, name)["currentServiceRevisions"]
    assert current["arn"] == done["targetServiceRevision"]["arn"]
    assert current["arn"].rpartition("/")[2] == updated["deployments"][0]["id"].removeprefix("ecs-svc/")
    listed = ecs.list_service_deployments(service=name)["serviceDeployments"]
    assert [brief["serviceDeploymentArn"] for brief in listed] == [arn, first["currentServiceDeployment"]]
    (revision,) = ecs.describe_service_revisions(serviceRevisionArns=[current["arn"]])["serviceRevisions"]
    assert revision["taskDefinition"] == updated["taskDefinition"]
    assert [image["containerName"] for image in revision["containerImages"]] == ["main"]
    remove(ecs, name)


def test_a_bad_image_rolls_back(ecs: Any, name: str) -> None:
    good = register(ecs, name)
    deployed(ecs, name, deploymentConfiguration={"deploymentCircuitBreaker": BREAKER})
    before = set(ecs.list_tasks(serviceName=name)["taskArns"])
    register(ecs, name, image="missing/image")
    arn = ecs.update_service(service=name, taskDefinition=name)["service"]["currentServiceDeployment"]
    done = reaches(ecs, arn, "ROLLBACK_SUCCESSFUL")
    breaker = done["deploymentCircuitBreaker"]
    assert (breaker["status"], breaker["threshold"]) == ("TRIGGERED", 1)
    assert breaker["failureCount"] >= 1
    assert done["rollback"]["serviceRevisionArn"] == done["sourceServiceRevisions"][0]["arn"]
    service = described(ecs, name)
    assert (service["taskDefinition"], service["runningCount"]) == (good, 2)
    # Nothing of the good revision was stopped on the way.
    assert before <= set(ecs.list_tasks(serviceName=name)["taskArns"])
    remove(ecs, name)


@pytest.mark.parametrize(("stop_type", "status"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("ABORT", "STOPPED")])
def test_a_deployment_is_stopped_on_request(ecs: Any, name: str, stop_type: str, status: str) -> None:
    good = register(ecs, name)
    deployed(ecs, name)
    # Its health check never passes, so the deployment lasts until somebody stops it.
    check = {"command": ["CMD", "fake-unhealthy"], "startPeriod": 300}
    bad = register(ecs, name, healthCheck=check)
    arn = ecs.update_service(service=name, taskDefinition=name)["service"]["currentServiceDeployment"]
    reaches(ecs, arn, "IN_PROGRESS")
    assert ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType=stop_type)["serviceDeploymentArn"] == arn
    done = reaches(ecs, arn, status)
    service = described(ecs, name)
    assert service["taskDefinition"] == (good if stop_type == "ROLLBACK" else bad)
    assert done["stoppedAt" if stop_type == "ABORT" else "finishedAt"]
    with pytest.raises(ClientError) as caught:
        ecs.stop_service_deployment(serviceDeploymentArn=arn)
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    remove(ecs, name)


def test_a_newer_deployment_ends_the_one_before(ecs: Any, name: str) -> None:
    register(ecs, name)
    deployed(ecs, name)
    register(ecs, name, healthCheck={"command": ["CMD", "fake-unhealthy"], "startPeriod": 300})
    stuck = ecs.update_service(service=name, taskDefinition=name)["service"]["currentServiceDeployment"]
    reaches(ecs, stuck, "IN_PROGRESS")
    register(ecs, name)
    newer = ecs.update_service(service=name, taskDefinition=name)["service"]["currentServiceDeployment"]
    reaches(ecs, newer, "SUCCESSFUL")
    assert reaches(ecs, stuck, "STOPPED")["stoppedAt"]
    assert len(rollout(ecs, newer)["sourceServiceRevisions"]) == 2
    remove(ecs, name)


def test_task_sets_take_turns(ecs: Any, name: str) -> None:
    register(ecs, name)
    ecs.create_service(serviceName=name, deploymentController={"type": "EXTERNAL"}, desiredCount=2)
    of_it = {"cluster": "default", "service": name}

    def task_set(**more: Any) -> str:
        made = ecs.create_task_set(**of_it, taskDefinition=name, scale={"value": 100, "unit": "PERCENT"}, **more)
        identifier: str = made["taskSet"]["id"]
        return identifier

    def shown(identifier: str) -> dict[str, Any]:
        (found,) = ecs.describe_task_sets(**of_it, taskSets=[identifier])["taskSets"]
        result: dict[str, Any] = found
        return result

    def steady(identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = wait_for(
            lambda: (s := shown(identifier))["stabilityStatus"] == "STEADY_STATE" and s, what=f"{identifier} is steady"
        )
        return found

    blue = task_set(externalId="blue")
    ecs.update_service_primary_task_set(**of_it, primaryTaskSet=blue)
    assert steady(blue)["runningCount"] == 2
    green = task_set(externalId="green")
    assert steady(green)["runningCount"] == 2
    assert {s["id"]: s["status"] for s in described(ecs, name)["taskSets"]} == {green: "ACTIVE", blue: "PRIMARY"}
    (task, *_) = ecs.list_tasks(serviceName=name, startedBy=green)["taskArns"]
    assert ecs.describe_tasks(tasks=[task])["tasks"][0]["startedBy"] == green
    ecs.update_service_primary_task_set(**of_it, primaryTaskSet=green)
    ecs.update_task_set(**of_it, taskSet=blue, scale={"value": 50, "unit": "PERCENT"})
    assert steady(blue)["runningCount"] == 1
    with pytest.raises(ClientError):
        ecs.delete_task_set(**of_it, taskSet=blue)
    assert ecs.delete_task_set(**of_it, taskSet=blue, force=True)["taskSet"]["status"] == "DRAINING"
    wait_for(lambda: ecs.describe_task_sets(**of_it, taskSets=[blue])["failures"], what="the deleted task set is gone")
    assert described(ecs, name)["runningCount"] == 2
    remove(ecs, name)
    assert ecs.list_tasks(serviceName=name)["taskArns"] == []


def test_a_daemon_service_runs_on_the_machine(ecs: Any, name: str) -> None:
    register(ecs, name)
    created = ecs.create_service(serviceName=name, taskDefinition=name, schedulingStrategy="DAEMON")["service"]
    reaches(ecs, created["currentServiceDeployment"], "SUCCESSFUL")
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig=QUICK)
    service = described(ecs, name)
    instances = ecs.list_container_instances()["containerInstanceArns"]
    assert service["desiredCount"] == service["runningCount"] == len(instances)
    register(ecs, name, environment=[{"name": "A", "value": "1"}])
    arn = ecs.update_service(service=name, taskDefinition=name)["service"]["currentServiceDeployment"]
    reaches(ecs, arn, "SUCCESSFUL")
    ecs.delete_service(service=name)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig=QUICK)
