"""Paging of service deployments, and what the operations on deployments and task sets refuse."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

ARN = "arn:aws:ecs:us-east-1:000000000000"
GONE = f"{ARN}:service-deployment/default/nothing/aaaaaaaaaaaaaaaaaaaaa"
INVALID = "InvalidParameterException"


def register(ecs: Any, family: str) -> None:
    main = {"name": "main", "image": "busybox", "memory": 16}
    ecs.register_task_definition(family=family, containerDefinitions=[main])


def create(ecs: Any, name: str, **more: Any) -> dict[str, Any]:
    register(ecs, name)
    request = {"serviceName": name, "taskDefinition": name, "desiredCount": 0, **more}
    found: dict[str, Any] = ecs.create_service(**{k: v for k, v in request.items() if v is not None})["service"]
    return found


def refused(call: Any, code: str, words: str, **parameters: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] == code, caught.value
    assert words in caught.value.response["Error"]["Message"], caught.value


def test_deployments_come_in_pages_newest_first(ecs: Any, name: str) -> None:
    arns = [create(ecs, name)["currentServiceDeployment"]]
    for _ in range(6):
        updated = ecs.update_service(service=name, forceNewDeployment=True)["service"]
        arns.insert(0, updated["currentServiceDeployment"])
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while True:
        page = ecs.list_service_deployments(service=name, maxResults=3, **token)
        pages.append([brief["serviceDeploymentArn"] for brief in page["serviceDeployments"]])
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert pages == [arns[:3], arns[3:6], arns[6:]]
    for size in (0, 101):
        refused(ecs.list_service_deployments, INVALID, "maxResults", service=name, maxResults=size)
    # A token belongs to its question.
    refused(ecs.list_service_deployments, INVALID, "oken", service=name, status=["SUCCESSFUL"], **token)
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 3000})
    ended = ecs.list_service_deployments(service=name, status=["SUCCESSFUL", "STOPPED"])["serviceDeployments"]
    assert [brief["serviceDeploymentArn"] for brief in ended] == arns
    assert ended[0]["status"] == "SUCCESSFUL"
    whole = ecs.describe_service_deployments(serviceDeploymentArns=arns)
    assert [d["serviceDeploymentArn"] for d in whole["serviceDeployments"]] == arns
    for brief, full in zip(ended, whole["serviceDeployments"], strict=True):
        same = ("status", "createdAt", "startedAt", "finishedAt", "serviceArn", "clusterArn", "statusReason")
        assert {m: brief.get(m) for m in same} == {m: full.get(m) for m in same}
        assert brief["targetServiceRevisionArn"] == full["targetServiceRevision"]["arn"]
    ecs.delete_service(service=name, force=True)


def test_a_time_span_selects_deployments(ecs: Any, name: str) -> None:
    arn = create(ecs, name)["currentServiceDeployment"]

    def listed(**created: Any) -> list[str]:
        found = ecs.list_service_deployments(service=name, createdAt=created)["serviceDeployments"]
        return [brief["serviceDeploymentArn"] for brief in found]

    assert listed(after="2020-01-01", before="2200-01-01") == [arn]
    assert listed(before="2020-01-01") == []
    assert listed(after="2200-01-01") == []
    ecs.delete_service(service=name, force=True)


def test_absent_deployments_and_revisions_are_failures(ecs: Any, name: str) -> None:
    service = create(ecs, name)
    known = service["currentServiceDeployment"]
    reply = ecs.describe_service_deployments(serviceDeploymentArns=[GONE, known])
    assert [found["serviceDeploymentArn"] for found in reply["serviceDeployments"]] == [known]
    assert reply["failures"] == [{"arn": GONE, "reason": "MISSING"}]
    gone = f"{ARN}:service-revision/default/nothing/1"
    revision = service["currentServiceRevisions"][0]["arn"]
    revisions = ecs.describe_service_revisions(serviceRevisionArns=[gone, revision])
    assert [found["serviceRevisionArn"] for found in revisions["serviceRevisions"]] == [revision]
    assert revisions["failures"] == [{"arn": gone, "reason": "MISSING"}]
    ecs.delete_service(service=name, force=True)


def test_deployments_of_a_deleted_service_can_still_be_read(ecs: Any, name: str) -> None:
    arn = create(ecs, name)["currentServiceDeployment"]
    ecs.delete_service(service=name)
    ecs.get_waiter("services_inactive").wait(services=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 3000})
    assert ecs.describe_service_deployments(serviceDeploymentArns=[arn])["failures"] == []
    refused(ecs.stop_service_deployment, "ConflictException", "cannot be stopped", serviceDeploymentArn=arn)


def test_what_is_over_cannot_be_stopped(ecs: Any, name: str) -> None:
    arn = create(ecs, name)["currentServiceDeployment"]
    ecs.get_waiter("services_stable").wait(services=[name], WaiterConfig={"Delay": 0, "MaxAttempts": 3000})
    with pytest.raises(ecs.exceptions.ConflictException) as caught:
        ecs.stop_service_deployment(serviceDeploymentArn=arn)
    assert caught.value.response["resourceIds"] == [arn]
    with pytest.raises(ecs.exceptions.ServiceDeploymentNotFoundException):
        ecs.stop_service_deployment(serviceDeploymentArn=GONE)
    refused(ecs.continue_service_deployment, INVALID, "not paused", serviceDeploymentArn=arn, hookId="h")
    ecs.delete_service(service=name, force=True)


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "words"),
    [
        ("list_service_deployments", {"service": "nothing"}, "ServiceNotFoundException", "Service not found."),
        ("list_service_deployments", {"service": "x", "cluster": "no"}, "ClusterNotFoundException", "not found"),
        ("list_service_deployments", {"service": "x", "status": ["DONE"]}, INVALID, "status"),
        ("describe_service_deployments", {"serviceDeploymentArns": []}, INVALID, "empty"),
        ("describe_service_deployments", {"serviceDeploymentArns": [GONE] * 21}, INVALID, "20"),
        ("describe_service_deployments", {"serviceDeploymentArns": ["x"]}, INVALID, "service-deployment"),
        ("describe_service_revisions", {"serviceRevisionArns": []}, INVALID, "empty"),
        ("describe_service_revisions", {"serviceRevisionArns": [GONE]}, INVALID, "service-revision"),
        ("stop_service_deployment", {"serviceDeploymentArn": "x"}, INVALID, "service-deployment"),
    ],
)
def test_bad_requests_are_refused(ecs: Any, operation: str, parameters: dict[str, Any], code: str, words: str) -> None:
    refused(getattr(ecs, operation), code, words, **parameters)


@pytest.fixture
def external(ecs: Any, name: str) -> Any:
    """A service with task sets, as the parameters that name it."""
    create(ecs, name, taskDefinition=None, deploymentController={"type": "EXTERNAL"}, desiredCount=1)
    yield {"cluster": "default", "service": name}
    ecs.delete_service(service=name, force=True)


def make(ecs: Any, external: Any, **more: Any) -> dict[str, Any]:
    request = {**external, "taskDefinition": external["service"], **more}
    found: dict[str, Any] = ecs.create_task_set(**request)["taskSet"]
    return found


def test_a_client_token_makes_one_task_set(ecs: Any, external: Any) -> None:
    first = make(ecs, external, clientToken="once", externalId="a")
    assert make(ecs, external, clientToken="once", externalId="a")["id"] == first["id"]
    assert len(ecs.describe_task_sets(**external)["taskSets"]) == 1
    refused(
        ecs.create_task_set,
        INVALID,
        "not idempotent",
        **external,
        taskDefinition=external["service"],
        clientToken="once",
        externalId="b",
    )


def test_task_sets_are_named_by_id_or_arn_and_absent_ones_are_failures(ecs: Any, external: Any) -> None:
    made = make(ecs, external)
    by_arn = ecs.describe_task_sets(**external, taskSets=[made["taskSetArn"], "ecs-svc/1"])
    assert [task_set["id"] for task_set in by_arn["taskSets"]] == [made["id"]]
    (failure,) = by_arn["failures"]
    assert (failure["arn"].endswith("/ecs-svc/1"), failure["reason"]) == (True, "MISSING")
    with pytest.raises(ecs.exceptions.TaskSetNotFoundException):
        ecs.delete_task_set(**external, taskSet="ecs-svc/1")
    with pytest.raises(ecs.exceptions.TaskSetNotFoundException):
        ecs.update_task_set(**external, taskSet="ecs-svc/1", scale={"value": 1, "unit": "PERCENT"})
    with pytest.raises(ecs.exceptions.TaskSetNotFoundException):
        ecs.update_service_primary_task_set(**external, primaryTaskSet="ecs-svc/1")


def test_at_most_five_task_sets(ecs: Any, external: Any) -> None:
    for _ in range(5):
        make(ecs, external)
    refused(ecs.create_task_set, INVALID, "maximum", **external, taskDefinition=external["service"])


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"service": "nothing"}, "ServiceNotFoundException", "Service not found."),
        ({"cluster": "nowhere"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "none-such"}, "ClientException", ""),
        ({"scale": {"value": 100.5, "unit": "PERCENT"}}, INVALID, "scale"),
        ({"scale": {"value": -1, "unit": "PERCENT"}}, INVALID, "scale"),
        ({"launchType": "FARGATE"}, INVALID, "FARGATE"),
        ({"loadBalancers": [{"targetGroupArn": "a", "containerName": "main"}]}, INVALID, "Container port"),
        ({"serviceRegistries": [{"registryArn": "a"}]}, "InvalidParameterException", "Invalid ARN syntax."),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}, INVALID, "associated"),
        ({"clientToken": "t" * 37}, INVALID, "client token"),
    ],
)
def test_what_a_task_set_cannot_be_is_refused(
    ecs: Any, external: Any, change: dict[str, Any], code: str, words: str
) -> None:
    refused(ecs.create_task_set, code, words, **{**external, "taskDefinition": external["service"], **change})
    assert ecs.describe_task_sets(**external)["taskSets"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"taskDefinition": "any"}, "task definition"),
        ({"forceNewDeployment": True}, "force"),
        ({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["s"]}}}, "networkConfiguration"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "capacityProviderStrategy"),
        ({"availabilityZoneRebalancing": "ENABLED"}, "Availability Zone rebalancing"),
        ({"deploymentConfiguration": {"maximumPercent": 150}}, "maximumPercent"),
    ],
)
def test_what_task_sets_decide_is_refused_for_their_service(
    ecs: Any, external: Any, change: dict[str, Any], words: str
) -> None:
    refused(ecs.update_service, INVALID, words, service=external["service"], **change)


def test_services_of_the_scheduler_have_no_task_sets(ecs: Any, name: str) -> None:
    create(ecs, name)
    refused(
        ecs.create_task_set,
        INVALID,
        "external deployment controllers",
        cluster="default",
        service=name,
        taskDefinition=name,
    )
    refused(ecs.describe_task_sets, INVALID, "external deployment controllers", cluster="default", service=name)
    ecs.delete_service(service=name, force=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"desiredCount": 1}, "desired count"),
        ({"placementStrategy": [{"type": "random"}]}, "placement strateg"),
        ({"deploymentConfiguration": {"maximumPercent": 200}}, "maximumPercent"),
        ({"capacityProviderStrategy": [{"capacityProvider": "FARGATE", "weight": 1}]}, "capacity provider strategy"),
        ({"availabilityZoneRebalancing": "ENABLED"}, "Availability Zone rebalancing"),
    ],
)
def test_what_a_daemon_cannot_have_is_refused(ecs: Any, name: str, change: dict[str, Any], words: str) -> None:
    create(ecs, name, schedulingStrategy="DAEMON", desiredCount=None)
    refused(ecs.update_service, INVALID, words, service=name, **change)
    ecs.delete_service(service=name, force=True)
