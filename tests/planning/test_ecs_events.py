"""ECS's events have the shape that AWS documents."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from openecs.model.service import Deployment, Service, ServiceEvents, TaskSetSettings
from openecs.planning import ecs_events, service_events
from openecs.planning.ecs_events import EcsEvent
from openecs.shapes import ecs

PREFIX = "arn:aws:ecs:us-east-1:123456789012"
SERVICE = f"{PREFIX}:service/c/web"


def service(*deployments: Deployment, **more: Any) -> Service:
    return Service(
        arn=SERVICE,
        name="web",
        cluster_arn=f"{PREFIX}:cluster/c",
        region="us-east-1",
        status="ACTIVE",
        created_at=1.0,
        deployments=deployments,
        deployment_configuration=ecs.DeploymentConfiguration(),
        **{"desired_count": 1, **more},
    )


def deployment(rollout: Any = "IN_PROGRESS", **more: Any) -> Deployment:
    return Deployment(
        id="ecs-svc/123",
        status="PRIMARY",
        task_definition_arn=f"{PREFIX}:task-definition/f:1",
        created_at=1.0,
        updated_at=1.0,
        rollout_state=rollout,
        rollout_state_reason=f"ECS deployment ecs-svc/123 {rollout.lower()}.",
        launch_type="FARGATE",
        **more,
    )


def told(text: str) -> list[EcsEvent]:
    said = ecs.ServiceEvent(id="1", created_at=1574197850.875, message=text)
    new = ServiceEvents(service_arn=SERVICE, events=(said,))
    providers = (ecs.CapacityProviderStrategyItem(capacity_provider="FARGATE"),)
    return list(ecs_events.service_actions(service(deployment(capacity_provider_strategy=providers)), None, new))


def test_a_task_state_change_is_the_task_with_times_as_text() -> None:
    task = ecs.Task(
        task_arn=f"{PREFIX}:task/c/1",
        attachments=(ecs.Attachment(id="a", type="ElasticNetworkInterface", status="ATTACHED", details=()),),
        created_at=1579732018.5,
        containers=(ecs.Container(name="c", last_status="RUNNING"),),
        version=4,
        tags=(ecs.Tag(key="a", value="b"),),
    )
    event = ecs_events.task_event(task, 1579732040.0)
    assert (event.detail_type, event.resources) == ("ECS Task State Change", (f"{PREFIX}:task/c/1",))
    assert json.loads(event.detail) == {
        "taskArn": f"{PREFIX}:task/c/1",
        "attachments": [{"id": "a", "type": "eni", "status": "ATTACHED", "details": []}],
        "createdAt": "2020-01-22T22:26:58.500Z",
        "containers": [{"name": "c", "lastStatus": "RUNNING"}],
        "version": 4,
        "updatedAt": "2020-01-22T22:27:20.000Z",
    }


def test_a_container_instance_state_change_names_its_cluster() -> None:
    instance = ecs.ContainerInstance(
        container_instance_arn=f"{PREFIX}:container-instance/c/1", status="ACTIVE", registered_at=1.0, version=2
    )
    event = ecs_events.instance_event(instance, f"{PREFIX}:cluster/c", 2.0)
    detail = json.loads(event.detail)
    assert event.detail_type == "ECS Container Instance State Change"
    assert detail["clusterArn"] == f"{PREFIX}:cluster/c"
    assert (detail["registeredAt"], detail["updatedAt"]) == ("1970-01-01T00:00:01.000Z", "1970-01-01T00:00:02.000Z")


PLACEMENT = {"capacityProviderArns": [f"{PREFIX}:capacity-provider/FARGATE"]}


@pytest.mark.parametrize(
    ("text", "kind", "name", "more"),
    [
        (service_events.steady_state("web"), "INFO", "SERVICE_STEADY_STATE", {}),
        (service_events.start_impaired("web"), "WARN", "SERVICE_TASK_START_IMPAIRED", {}),
        (service_events.stopped_running("web", ["1"])[0], "INFO", "TASKS_STOPPED", {}),
        (
            service_events.unable_to_place("web", ecs.Failure(reason="X"), fargate=True, cluster_arn=""),
            "ERROR",
            "SERVICE_TASK_PLACEMENT_FAILURE",
            {**PLACEMENT, "reason": "RESOURCE:FARGATE"},
        ),
        (
            service_events.unable_to_place(
                "web", ecs.Failure(reason="RESOURCE:MEMORY", arn="i/1"), fargate=False, cluster_arn=""
            ),
            "ERROR",
            "SERVICE_TASK_PLACEMENT_FAILURE",
            {**PLACEMENT, "reason": "RESOURCE:MEMORY"},
        ),
        (service_events.too_many_waiting("web"), "ERROR", "SERVICE_TASK_PLACEMENT_FAILURE", PLACEMENT),
        (
            service_events.launch_refused("web", "no such role"),
            "ERROR",
            "SERVICE_TASK_CONFIGURATION_FAILURE",
            {"reason": "no such role"},
        ),
    ],
)
def test_a_service_action(text: str, kind: str, name: str, more: dict[str, Any]) -> None:
    (event,) = told(text)
    assert (event.detail_type, event.resources) == ("ECS Service Action", (SERVICE,))
    assert json.loads(event.detail) == {
        "eventType": kind,
        "eventName": name,
        "clusterArn": f"{PREFIX}:cluster/c",
        "createdAt": "2019-11-19T21:10:50.875Z",
        **more,
    }


def test_messages_without_an_action_and_old_ones_are_no_events() -> None:
    assert told(service_events.registered("web", 1, "tg")) == []
    known = ServiceEvents(
        service_arn=SERVICE, events=(ecs.ServiceEvent(id="1", message=service_events.steady_state("web")),)
    )
    assert list(ecs_events.service_actions(service(), known, known)) == []


def test_a_deployment_state_change_at_the_beginning_and_the_end() -> None:
    began = list(ecs_events.deployment_events(None, service(deployment()), 1.0))
    assert [json.loads(event.detail) for event in began] == [
        {
            "eventType": "INFO",
            "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "deploymentId": "ecs-svc/123",
            "updatedAt": "1970-01-01T00:00:01.000Z",
            "reason": "ECS deployment ecs-svc/123 in_progress.",
        }
    ]
    (failed,) = ecs_events.deployment_events(service(deployment()), service(deployment("FAILED")), 1.0)
    detail = json.loads(failed.detail)
    assert (detail["eventType"], detail["eventName"]) == ("ERROR", "SERVICE_DEPLOYMENT_FAILED")
    same = service(deployment())
    assert list(ecs_events.deployment_events(same, msgspec.structs.replace(same, desired_count=5), 1.0)) == []


def test_what_the_scheduler_computes_and_task_sets_that_become_steady() -> None:
    daemon = service(scheduling_strategy="DAEMON")
    (event,) = ecs_events.service_changes(daemon, msgspec.structs.replace(daemon, desired_count=2), 1.0)
    assert json.loads(event.detail)["eventName"] == "SERVICE_DESIRED_COUNT_UPDATED"
    users = service()
    assert list(ecs_events.service_changes(users, msgspec.structs.replace(users, desired_count=2), 1.0)) == []
    before = service(deployment(task_set=TaskSetSettings(arn="set")))
    after = service(deployment(task_set=TaskSetSettings(arn="set", stability_status="STEADY_STATE")))
    (steady,) = ecs_events.service_changes(before, after, 1.0)
    assert (steady.resources, json.loads(steady.detail)["eventName"]) == (("set",), "TASKSET_STEADY_STATE")
