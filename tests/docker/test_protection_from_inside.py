"""A task protects itself from inside, and the service leaves it alone for that time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from docker_world import STAY, World
from waiting import wait_for

ROLE = "arn:aws:iam::000000000000:role/shop-role"
SERVICE = "protecting"
#: BusyBox's wget cannot PUT, so the request is written by hand.
PUT = (
    "where=${ECS_AGENT_URI#http://169.254.170.2}/task-protection/v1/state; body='{\"ProtectionEnabled\":true}'; "
    'answer=$(printf "PUT %s HTTP/1.1\\r\\nHost: 169.254.170.2\\r\\nContent-Type: application/json\\r\\n'
    'Connection: close\\r\\nContent-Length: %s\\r\\n\\r\\n%s" "$where" "${#body}" "$body" | nc 169.254.170.2 80 '
    "| tr -d '\\r'); "
    'echo "put=$(echo "$answer" | tail -n 1)"; '
)
GET = 'echo "get=$(wget -qO- $ECS_AGENT_URI/task-protection/v1/state)"; echo done; '


@pytest.fixture
def protected(world: World) -> Iterator[str]:
    """The only task of a service, which has protected itself."""
    definition = world.register(world.container(script=PUT + GET + STAY), taskRoleArn=ROLE)
    world.ecs.create_service(serviceName=SERVICE, taskDefinition=definition, desiredCount=1)
    (arn,) = world.wait_for_tasks(SERVICE, 1, without="")
    world.reaches(arn, "RUNNING")
    yield arn
    world.ecs.delete_service(service=SERVICE, force=True)
    world.reaches(arn, "STOPPED")


def test_a_task_protects_itself_from_scale_in(world: World, protected: str) -> None:
    told = world.facts(protected)
    put, get = json.loads(told["put"])["protection"], json.loads(told["get"])["protection"]
    assert put == get
    assert (put["TaskArn"], put["ProtectionEnabled"]) == (protected, True)
    ends = datetime.fromisoformat(put["ExpirationDate"])
    assert timedelta(minutes=120) < ends - world.describe(protected)["createdAt"] < timedelta(minutes=125)
    (shown,) = world.ecs.get_task_protection(cluster="default", tasks=[protected])["protectedTasks"]
    assert (shown["taskArn"], shown["protectionEnabled"]) == (protected, True)
    assert abs(shown["expirationDate"] - ends) < timedelta(seconds=1)

    world.ecs.update_service(service=SERVICE, desiredCount=0)

    def said() -> bool:
        events = world.ecs.describe_services(services=[SERVICE])["services"][0]["events"]
        return any("under protection" in event["message"] for event in events)

    wait_for(said, seconds=20, what="the event that protection keeps the service from scaling in")
    assert world.describe(protected)["desiredStatus"] == "RUNNING"

    reply = world.ecs.update_task_protection(cluster="default", tasks=[protected], protectionEnabled=False)
    assert (reply["failures"], reply["protectedTasks"][0]["protectionEnabled"]) == ([], False)
    stopped = world.reaches(protected, "STOPPED")
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"


def test_a_task_without_a_role_is_refused(world: World) -> None:
    task = world.run(world.container(script=PUT + "echo done; " + STAY))
    world.reaches(task, "RUNNING")
    error = json.loads(world.facts(task)["put"])["error"]
    assert (error["Arn"], error["Code"]) == (task, "AccessDeniedException")
    world.stop(task)


def test_a_standalone_task_cannot_be_protected(world: World) -> None:
    task = world.run(world.container(script=PUT + "echo done; " + STAY), taskRoleArn=ROLE)
    world.reaches(task, "RUNNING")
    failure = json.loads(world.facts(task)["put"])["failure"]
    assert (failure["Arn"], failure["Reason"]) == (task, "TASK_NOT_VALID")
    world.stop(task)
