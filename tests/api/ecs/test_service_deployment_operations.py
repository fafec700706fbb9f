"""The records that deployments write, and the operations that show and stop them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_kit import FARGATE, NOW, PREFIX, Api, task

from openecs.model.service import ImagePin
from openecs.model.service_deployment import ServiceDeployment

BREAKER = {"deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}}


@pytest.fixture
def api() -> Api:
    return Api()


def current(api: Api, name: str = "web") -> ServiceDeployment:
    found = api.state.service_deployments.get(api.record(name).service_deployment_arn or "")
    assert found is not None
    return found


def described(api: Api, arn: str) -> dict[str, Any]:
    (found,) = api("describe_deployments", serviceDeploymentArns=[arn])["serviceDeployments"]
    return found


def under_way(api: Api, **changes: Any) -> ServiceDeployment:
    """What the scheduler makes of a new service deployment."""
    moved = msgspec.structs.replace(current(api), status="IN_PROGRESS", started_at=api.now, **changes)
    api.put(moved)
    return moved


def completed(api: Api) -> None:
    """The scheduler has completed the PRIMARY deployment."""
    record = api.record()
    primary = msgspec.structs.replace(record.deployments[0], rollout_state="COMPLETED")
    api.put(msgspec.structs.replace(record, deployments=(primary,), last_completed=primary))
    api.put(msgspec.structs.replace(current(api), status="SUCCESSFUL", finished_at=api.now))


def test_a_create_writes_deployment_revision_and_service_deployment_together(api: Api):
    before = api.state.store.revision
    service = api.create(**BREAKER)
    assert api.state.store.revision == before + 1
    number = service["deployments"][0]["id"].removeprefix("ecs-svc/")
    revision = f"{PREFIX}:service-revision/default/web/{number}"
    arn = service["currentServiceDeployment"]
    assert arn.startswith(f"{PREFIX}:service-deployment/default/web/")
    assert described(api, arn) == {
        "serviceDeploymentArn": arn,
        "serviceArn": f"{PREFIX}:service/default/web",
        "clusterArn": f"{PREFIX}:cluster/default",
        "createdAt": NOW,
        "updatedAt": NOW,
        "sourceServiceRevisions": [],
        "targetServiceRevision": {
            "arn": revision,
            "requestedTaskCount": 2,
            "runningTaskCount": 0,
            "pendingTaskCount": 0,
        },
        "status": "PENDING",
        "deploymentConfiguration": service["deploymentConfiguration"],
        "deploymentCircuitBreaker": {"status": "MONITORING", "failureCount": 0, "threshold": 3},
        "alarms": {"status": "DISABLED"},
    }
    (shown,) = api("describe_revisions", serviceRevisionArns=[revision])["serviceRevisions"]
    assert shown == {
        "serviceRevisionArn": revision,
        "serviceArn": f"{PREFIX}:service/default/web",
        "clusterArn": f"{PREFIX}:cluster/default",
        "taskDefinition": f"{PREFIX}:task-definition/web:1",
        "launchType": "EC2",
        "containerImages": [{"containerName": "web", "image": "web:latest"}],
        "guardDutyEnabled": False,
        "createdAt": NOW,
    }


def test_an_update_that_starts_a_deployment_names_its_sources_and_counts_their_tasks(api: Api):
    first = api.create()
    completed(api)
    api.now += 10
    second = api.update(taskDefinition="web:2")
    old, new = first["deployments"][0]["id"], second["deployments"][0]["id"]
    api.put(task(1, old, "RUNNING"), task(2, old, "RUNNING", "STOPPED"), task(3, new, "PENDING"))
    shown = described(api, second["currentServiceDeployment"])
    assert [
        (r["arn"].rsplit("/", 1)[1], r["requestedTaskCount"], r["runningTaskCount"])
        for r in shown["sourceServiceRevisions"]
    ] == [(old.removeprefix("ecs-svc/"), 1, 1)]
    target = shown["targetServiceRevision"]
    assert (target["requestedTaskCount"], target["runningTaskCount"], target["pendingTaskCount"]) == (2, 0, 1)
    assert shown["deploymentCircuitBreaker"]["status"] == "DISABLED"
    assert second["currentServiceDeployment"] != first["currentServiceDeployment"]
    assert [r["arn"] for r in second["currentServiceRevisions"]] == [
        target["arn"],
        shown["sourceServiceRevisions"][0]["arn"],
    ]


def test_a_failed_update_writes_nothing(api: Api):
    api.create()
    api.refused("update", "ClientException", "not found", service="web", taskDefinition="nothing:1")
    assert len(api("list_deployments", service="web")["serviceDeployments"]) == 1


def test_rollback_and_reasons_are_shown(api: Api):
    api.create()
    moved = under_way(
        api,
        rollback_reason="why",
        rollback_started_at=NOW + 1,
        rollback_revision_arn="r",
        status_reason="because",
        failure_count=2,
    )
    shown = described(api, moved.arn)
    assert shown["rollback"] == {"reason": "why", "startedAt": NOW + 1, "serviceRevisionArn": "r"}
    assert (shown["statusReason"], shown["startedAt"]) == ("because", NOW)
    assert shown["deploymentCircuitBreaker"]["failureCount"] == 2


def test_list_is_newest_first_filtered_and_paged(api: Api):
    api.create()
    arns = [current(api).arn]
    for _ in range(3):
        api.now += 10
        api.update(forceNewDeployment=True)
        arns.append(current(api).arn)
    api.put(msgspec.structs.replace(api.state.service_deployments.get(arns[1]), status="STOPPED"))

    def listed(**members: Any) -> list[str]:
        found = api("list_deployments", service="web", **members)["serviceDeployments"]
        return [deployment["serviceDeploymentArn"] for deployment in found]

    assert listed() == arns[::-1]
    assert listed(status=["STOPPED"]) == [arns[1]]
    assert listed(status=["STOPPED", "PENDING"]) == arns[::-1]
    assert listed(createdAt={"after": NOW + 5, "before": NOW + 25}) == [arns[2], arns[1]]
    first = api("list_deployments", service="web", maxResults=3)
    rest = api("list_deployments", service="web", maxResults=3, nextToken=first["nextToken"])
    assert [d["serviceDeploymentArn"] for d in rest["serviceDeployments"]] == [arns[0]]
    assert "nextToken" not in rest
    refused = ("list_deployments", "InvalidParameterException")
    api.refused(*refused, "Invalid token", service="web", status=["PENDING"], nextToken=first["nextToken"])
    api.refused(*refused, "101", service="web", maxResults=101)


def test_the_arn_of_a_service_says_its_cluster(api: Api):
    api.create(cluster="other")
    arn = f"{PREFIX}:service/other/web"
    assert len(api("list_deployments", service=arn)["serviceDeployments"]) == 1
    assert len(api("list_deployments", service="web", cluster="other")["serviceDeployments"]) == 1
    api.refused("list_deployments", "ServiceNotFoundException", "Service not found.", service="web")
    api.refused("list_deployments", "InvalidParameterException", "is for cluster", service=arn, cluster="default")


@pytest.mark.parametrize(
    ("operation", "member", "kind"),
    [
        ("describe_deployments", "serviceDeploymentArns", "service-deployment"),
        ("describe_revisions", "serviceRevisionArns", "service-revision"),
    ],
)
def test_what_is_missing_and_what_is_no_such_arn(api: Api, operation: str, member: str, kind: str):
    missing = f"{PREFIX}:{kind}/default/web/1"
    assert api(operation, **{member: [missing, missing]})["failures"] == [{"arn": missing, "reason": "MISSING"}]
    wrong = ("InvalidParameterException",)
    api.refused(operation, *wrong, "cannot be empty", **{member: []})
    api.refused(operation, *wrong, "at most 20", **{member: [f"{missing}{n}" for n in range(21)]})
    api.refused(operation, *wrong, "Invalid identifier", **{member: ["web"]})
    api.refused(operation, *wrong, "Invalid identifier", **{member: [f"{PREFIX}:cluster/default"]})
    elsewhere = missing.replace("eu-west-1", "eu-west-2")
    api.refused(operation, *wrong, "another region", **{member: [elsewhere]})


def test_a_fargate_revision_shows_its_network_and_resolved_images(api: Api):
    service = api.create(**FARGATE)
    arn = service["currentServiceRevisions"][0]["arn"]
    record = api.state.service_revisions.get(arn)
    pin = ImagePin(container="web", image="web:latest", digest="sha256:1")
    api.put(msgspec.structs.replace(record, pins=(pin,)))
    (shown,) = api("describe_revisions", serviceRevisionArns=[arn])["serviceRevisions"]
    image = {"containerName": "web", "image": "web:latest", "imageDigest": "sha256:1"}
    assert shown["containerImages"] == [image]
    assert (shown["platformVersion"], shown["platformFamily"]) == ("1.4.0", "Linux")
    assert shown["networkConfiguration"] == service["networkConfiguration"]


# StopServiceDeployment


def test_stop_asks_the_scheduler_for_a_rollback(api: Api):
    api.create()
    completed(api)
    api.now += 5
    api.update(taskDefinition="web:2")
    arn = under_way(api).arn
    assert api("stop_deployment", serviceDeploymentArn=arn) == {"serviceDeploymentArn": arn}
    assert (current(api).stop_requested, current(api).status) == ("ROLLBACK", "ROLLBACK_REQUESTED")
    api.refused("stop_deployment", "ConflictException", "ROLLBACK_REQUESTED", serviceDeploymentArn=arn)


def test_abort_needs_nothing_to_go_back_to(api: Api):
    api.create()
    arn = under_way(api).arn
    text = "no service revision that was deployed successfully"
    api.refused("stop_deployment", "InvalidParameterException", text, serviceDeploymentArn=arn, stopType="ROLLBACK")
    api("stop_deployment", serviceDeploymentArn=arn, stopType="ABORT")
    assert (current(api).stop_requested, current(api).status) == ("ABORT", "STOP_REQUESTED")


def test_a_deployment_whose_tasks_all_run_can_be_gone_back_to_before_it_is_complete(api: Api):
    first = api.create()["deployments"][0]["id"]
    api.put(task(1, first, "RUNNING"))
    api.update(taskDefinition="web:2")
    arn = under_way(api).arn
    text = "no service revision that was deployed successfully"
    api.refused("stop_deployment", "InvalidParameterException", text, serviceDeploymentArn=arn)
    api.put(task(2, first, "RUNNING"))
    api("stop_deployment", serviceDeploymentArn=arn)
    assert current(api).stop_requested == "ROLLBACK"


def test_what_ended_cannot_be_stopped(api: Api):
    api.create()
    arn = current(api).arn
    completed(api)
    api.refused("stop_deployment", "ConflictException", "SUCCESSFUL", serviceDeploymentArn=arn)
    api.update(forceNewDeployment=True)
    newer = current(api).arn
    api.refused("stop_deployment", "ConflictException", "SUCCESSFUL", serviceDeploymentArn=arn)
    api("delete", service="web", force=True)
    api.refused("stop_deployment", "ConflictException", "not ACTIVE", serviceDeploymentArn=newer)
    missing = f"{PREFIX}:service-deployment/default/web/x"
    for operation, more in (("stop_deployment", {}), ("continue_deployment", {"hookId": "h"})):
        code = "ServiceDeploymentNotFoundException"
        api.refused(operation, code, "not found", serviceDeploymentArn=missing, **more)
        api.refused(operation, "InvalidParameterException", "identifier", serviceDeploymentArn="x", **more)


def test_no_deployment_is_paused_at_a_hook(api: Api):
    api.create()
    members = {"serviceDeploymentArn": current(api).arn, "hookId": "h"}
    api.refused("continue_deployment", "InvalidParameterException", "not paused", **members)


def test_a_name_that_was_deleted_begins_with_a_new_history(api: Api):
    api.create(desiredCount=0)
    old = current(api)
    api("delete", service="web")
    last = msgspec.structs.replace(api.record().deployments[0], status="INACTIVE")
    api.put(msgspec.structs.replace(api.record(), status="INACTIVE", deployments=(last,), deleted_at=NOW))
    assert len(api("list_deployments", service="web")["serviceDeployments"]) == 1
    api.create()
    assert current(api).arn != old.arn
    assert len(api.state.service_deployments.by("service", old.service_arn)) == 1
    assert len(api.state.service_revisions.by("service", old.service_arn)) == 1
