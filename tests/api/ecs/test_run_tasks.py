"""RunTask, StartTask and ListTasks on state: what is refused, what is remembered, where tasks may go."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from openecs.api.ecs.run_tasks import RunTasks
from openecs.api.ecs.task_view import TaskViews
from openecs.api.ecs.tasks import Tasks
from openecs.control.launch import Launcher
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.network import region_network
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.planning.launch_requirements import EXTERNAL, LAUNCH_TYPES, TASK_ROLE, TASK_SIZE
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT, REGION = "123456789012", "eu-west-1"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
AWSVPC = {"subnets": [region_network(ACCOUNT, REGION).subnets[0].id]}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
SHAPES: dict[str, Any] = {
    "RunTask": ecs.RunTaskRequest,
    "StartTask": ecs.StartTaskRequest,
    "ListTasks": ecs.ListTasksRequest,
    "DescribeTasks": ecs.DescribeTasksRequest,
    "StopTask": ecs.StopTaskRequest,
}


class Api:
    """The operations on tasks; requests in wire spelling, answers decoded from JSON."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.ids = SeededIds()
        self.views = TaskViews(self.state)
        networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        networks.ensure(REGION)
        launcher = Launcher(self.state, networks, random.Random(1))
        pagination = Pagination(b"0123456789abcdef")
        self.handlers = {
            **RunTasks(self.state, launcher, networks, self.views).handlers(),
            **Tasks(self.state, pagination, self.views).handlers(),
        }
        for name in ("default", "other"):
            arn = f"{PREFIX}:cluster/{name}"
            self.put(Cluster(arn=arn, name=name, region=REGION, status="ACTIVE", created_at=1.0))
        self.define("web")

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def delete(self, record: Any) -> None:
        with self.state.transaction() as tx:
            tx.delete(record)

    def define(self, family: str, *, container: dict[str, Any] | None = None, **members: Any) -> str:
        arn = f"{PREFIX}:task-definition/{family}:1"
        given = {
            "taskDefinitionArn": arn,
            "family": family,
            "revision": 1,
            "compatibilities": ["EXTERNAL", "EC2", "FARGATE"],
            "containerDefinitions": [{"name": "app", "image": "app", "cpu": 64, "memory": 100, **(container or {})}],
            **members,
        }
        shape = msgspec.convert(given, ecs.TaskDefinition)
        self.put(TaskDefinition(arn=arn, family=family, revision=1, region=REGION, status="ACTIVE", definition=shape))
        return arn

    def machine(
        self, name: str = "m1", *, memory: int = 1000, pool: bool = False, cluster: str = "default", **attributes: str
    ) -> str:
        """A connected host; ``size`` and ``role`` stand for long attribute names."""
        long = {"size": TASK_SIZE, "role": TASK_ROLE, "external": EXTERNAL, "types": LAUNCH_TYPES}
        instance = ContainerInstance(
            arn=f"{PREFIX}:container-instance/{cluster}/{name}",
            cluster_arn=f"{PREFIX}:cluster/{cluster}",
            region=REGION,
            node_id=name,
            status="ACTIVE",
            registered_at=1.0,
            attributes=tuple(ecs.Attribute(name=long[a], value=v or None) for a, v in attributes.items()),
        )
        node = Node(id=name, capacity=Resources(cpu=4096, memory=memory), agent_connected=True, fargate_pool=pool)
        self.put(node, instance)
        return instance.arn

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        request = msgspec.convert(members, SHAPES[operation])
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=100.0,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.handlers[operation](call, request)))
        return answer

    def run(self, definition: str = "web", **members: Any) -> dict[str, Any]:
        return self("RunTask", taskDefinition=definition, **members)

    def refused(self, operation: str, **members: Any) -> AWSError:
        before = list(self.state.tasks)
        with pytest.raises(AWSError) as caught:
            self(operation, **members)
        assert list(self.state.tasks) == before
        return caught.value


@pytest.fixture
def api() -> Api:
    return Api()


def arns(answer: dict[str, Any]) -> list[str]:
    return [task["taskArn"] for task in answer["tasks"]]


class TestClientToken:
    def test_a_retry_shows_the_same_tasks_and_the_same_failures(self, api: Api) -> None:
        api.machine(memory=250)
        first = api.run(count=3, clientToken="t")
        assert (len(first["tasks"]), len(first["failures"])) == (2, 1)
        again = api.run(count=3, clientToken="t")
        assert arns(again) == arns(first)
        assert again["failures"] == first["failures"]
        assert len(list(api.state.tasks)) == 2

    def test_a_call_that_started_nothing_is_tried_again(self, api: Api) -> None:
        api.machine("small", memory=50)
        assert api.run(clientToken="t")["tasks"] == []
        api.machine("large")
        assert len(api.run(clientToken="t")["tasks"]) == 1

    def test_the_retry_does_not_depend_on_the_definition(self, api: Api) -> None:
        api.machine()
        first = api.run("web", clientToken="t", tags=[{"key": "a", "value": "b"}])
        api.delete(api.state.task_definitions.get(f"{PREFIX}:task-definition/web:1"))
        again = api.run("web", clientToken="t", tags=[{"key": "a", "value": "b"}])
        assert again == first

    def test_other_parameters_are_a_conflict_before_anything_else(self, api: Api) -> None:
        api.machine()
        api.run(clientToken="t")
        assert api.refused("RunTask", taskDefinition="gone", clientToken="t").code == "ConflictException"

    @pytest.mark.parametrize("token", ["x" * 65, "with space", "é"])
    def test_tokens_have_a_form(self, api: Api, token: str) -> None:
        api.machine()
        error = api.refused("RunTask", taskDefinition="web", clientToken=token)
        assert (error.code, "client token" in error.message) == ("InvalidParameterException", True)
        assert len(api.run(clientToken="~" * 64)["tasks"]) == 1


class TestLaunchTypes:
    def test_ec2_tasks_keep_off_external_instances(self, api: Api) -> None:
        api.machine("foreign", external="")
        api.machine("ours", types="EXTERNAL", external="")
        error = api.refused("RunTask", taskDefinition="web")
        assert error.message == "No Container Instances were found in your cluster."
        assert len(api.run(launchType="EXTERNAL", count=2)["tasks"]) == 2

    def test_external_tasks_keep_off_ec2_instances(self, api: Api) -> None:
        api.machine("foreign")
        error = api.refused("RunTask", taskDefinition="web", launchType="EXTERNAL")
        assert error.message == "No Container Instances were found in your cluster."

    def test_a_host_of_both_serves_both(self, api: Api) -> None:
        api.machine(types="EC2,EXTERNAL")
        for launch_type in ("EC2", "EXTERNAL"):
            (task,) = api.run(launchType=launch_type)["tasks"]
            assert task["launchType"] == launch_type

    def test_start_task_takes_the_launch_type_of_each_instance(self, api: Api) -> None:
        given = [api.machine("a"), api.machine("b", external=""), api.machine("c", types="EC2,EXTERNAL")]
        answer = api("StartTask", taskDefinition="web", containerInstances=given)
        found = {task["containerInstanceArn"]: task["launchType"] for task in answer["tasks"]}
        assert found == dict(zip(given, ("EC2", "EXTERNAL", "EC2"), strict=True))

    def test_start_task_on_a_host_of_both_does_as_the_definition_says(self, api: Api) -> None:
        api.define("out", requiresCompatibilities=["EXTERNAL"])
        both, ec2 = api.machine("a", types="EC2,EXTERNAL"), api.machine("b")
        (task,) = api("StartTask", taskDefinition="out", containerInstances=[both])["tasks"]
        assert task["launchType"] == "EXTERNAL"
        error = api.refused("StartTask", taskDefinition="out", containerInstances=[both, ec2])
        assert error.message == "Task definition does not support launch_type EC2."

    def test_start_task_checks_the_request_when_no_instance_is_there(self, api: Api) -> None:
        assert api("StartTask", taskDefinition="web", containerInstances=["gone"])["failures"][0]["reason"] == "MISSING"
        api.refused("StartTask", taskDefinition="web", containerInstances=["gone"], startedBy="\n")


class TestAbilities:
    def test_a_task_size_needs_an_agent_that_limits_whole_tasks(self, api: Api) -> None:
        api.define("sized", cpu="128", memory="64")
        api.machine("plain")
        assert api.run("sized")["failures"][0]["reason"] == "ATTRIBUTE"
        assert api.run(overrides={"memory": "200"})["failures"][0]["reason"] == "ATTRIBUTE"
        assert len(api.run()["tasks"]) == 1
        api.machine("able", size="")
        assert len(api.run("sized")["tasks"]) == 1
        assert len(api.run(overrides={"memory": "200"})["tasks"]) == 1

    def test_fargate_needs_it_too(self, api: Api) -> None:
        api.define("far", cpu="256", memory="512", networkMode="awsvpc", container={"memory": None})
        wanted = {"launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": AWSVPC}}
        api.machine("plain", pool=True)
        (failure,) = api.run("far", **wanted)["failures"]
        assert failure["detail"].endswith("the closest one: ATTRIBUTE")
        api.machine("able", pool=True, size="")
        (task,) = api.run("far", **wanted)["tasks"]
        assert "ephemeralStorage" not in task
        assert "fargateEphemeralStorage" not in task

    def test_a_role_given_at_launch_needs_an_agent_that_serves_roles(self, api: Api) -> None:
        api.machine("plain")
        assert api.run(overrides={"taskRoleArn": ROLE})["failures"][0]["reason"] == "ATTRIBUTE"
        api.machine("able", role="")
        assert len(api.run(overrides={"taskRoleArn": ROLE})["tasks"]) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("members", "text"),
        [
            ({"group": "g" * 256}, "group can be at most 255 characters long."),
            ({"group": "service:x"}, "reserved for services"),
            ({"startedBy": "s" * 129}, "startedBy can be at most 128"),
            ({"startedBy": "a\nb"}, "startedBy must not contain control characters."),
            ({"startedBy": "a\0b"}, "startedBy must not contain control characters."),
            ({"overrides": {"taskRoleArn": "not a role"}}, "Role is not valid: overrides.taskRoleArn"),
            ({"overrides": {"executionRoleArn": "arn:aws:s3:::x"}}, "Role is not valid: overrides.executionRoleArn"),
            ({"overrides": {"cpu": "64"}}, "between 128 and 196608"),
            ({"overrides": {"cpu": "4 vcpus please"}}, "Invalid 'cpu' setting for task."),
            ({"overrides": {"memory": "50"}}, "greater than for the task"),
            (
                {"overrides": {"containerOverrides": [{"name": "app", "memoryReservation": 101}]}},
                "'memory' must be greater than or equal to 'memoryReservation'",
            ),
            ({"overrides": {"containerOverrides": [{"name": "app", "memory": 5}]}}, "at least 6 MiB"),
            ({"overrides": {"containerOverrides": [{"name": "app", "cpu": -1}]}}, "cpu"),
            (
                {"overrides": {"cpu": "128", "containerOverrides": [{"name": "app", "cpu": 129}]}},
                "sum of all container",
            ),
        ],
    )
    @pytest.mark.parametrize("operation", ["RunTask", "StartTask"])
    def test_what_no_task_may_be(self, api: Api, operation: str, members: dict[str, Any], text: str) -> None:
        instance = api.machine(size="", role="")
        named = {"containerInstances": [instance]} if operation == "StartTask" else {}
        error = api.refused(operation, taskDefinition="web", **named, **members)
        assert error.code in ("InvalidParameterException", "ClientException")
        assert text in error.message

    def test_constraints_of_request_and_definition_are_ten_at_most(self, api: Api) -> None:
        api.machine()
        constraint = {"type": "memberOf", "expression": "runningTasksCount >= 0"}
        api.define("placed", placementConstraints=[constraint] * 4)
        assert len(api.run("placed", placementConstraints=[constraint] * 6)["tasks"]) == 1
        error = api.refused("RunTask", taskDefinition="placed", placementConstraints=[constraint] * 7)
        assert error.message == "Placement constraints can have at most 10 items."

    def test_the_limits_themselves_are_allowed(self, api: Api) -> None:
        api.machine(size="")
        answer = api.run(
            group="g" * 255,
            startedBy="ECS Deploy a/b_C-9" + "s" * 110,
            overrides={"cpu": "128", "containerOverrides": [{"name": "app", "cpu": 128, "memoryReservation": 100}]},
        )
        assert len(answer["tasks"]) == 1

    @pytest.mark.parametrize(
        ("launch_type", "assign", "allowed"),
        [
            ("EC2", "ENABLED", False),
            ("EXTERNAL", "ENABLED", False),
            ("EC2", "DISABLED", True),
            ("EXTERNAL", "DISABLED", True),
            ("FARGATE", "ENABLED", True),
        ],
    )
    def test_public_addresses_are_for_fargate(self, api: Api, launch_type: str, assign: str, *, allowed: bool) -> None:
        api.define("net", networkMode="awsvpc", cpu="256", memory="512")
        api.machine(types="EC2,EXTERNAL", size="", pool=True)
        members = {
            "launchType": launch_type,
            "networkConfiguration": {"awsvpcConfiguration": {**AWSVPC, "assignPublicIp": assign}},
        }
        if allowed:
            assert len(api.run("net", **members)["tasks"]) == 1
            return
        error = api.refused("RunTask", taskDefinition="net", **members)
        assert error.message == "Assign public IP is not supported for this launch type."


class TestReferences:
    @pytest.mark.parametrize("operation", ["DescribeTasks", "StopTask"])
    @pytest.mark.parametrize(
        ("reference", "text"),
        [
            (
                f"{PREFIX}:task/other/{'0' * 32}",
                "Invalid identifier: Identifier is for cluster other. Your cluster is default",
            ),
            (f"{PREFIX}:cluster/default", "Unsupported resource type: cluster"),
        ],
    )
    def test_what_is_no_task_of_the_cluster(self, api: Api, operation: str, reference: str, text: str) -> None:
        named: dict[str, Any] = {"tasks": [reference]} if operation == "DescribeTasks" else {"task": reference}
        error = api.refused(operation, **named)
        assert (error.code, error.message) == ("InvalidParameterException", text)

    def test_no_tasks(self, api: Api) -> None:
        assert api.refused("DescribeTasks", tasks=[]).message == "Tasks cannot be empty."

    def test_an_inactive_cluster_is_told_from_one_that_never_was(self, api: Api) -> None:
        old = api.state.clusters.get(f"{PREFIX}:cluster/other")
        api.put(msgspec.structs.replace(old, status="INACTIVE"))
        gone, never = (api.refused("ListTasks", cluster=name) for name in ("other", "never"))
        assert (gone.code, gone.message) == ("ClusterNotFoundException", "The referenced cluster was inactive.")
        assert (never.code, never.message) == ("ClusterNotFoundException", "Cluster not found.")


class TestListTasks:
    @pytest.fixture
    def listed(self, api: Api) -> Api:
        """Tasks 1 and 2 of the service ``web`` on two hosts, task 3 of nobody on the first."""
        hosts = [api.machine("m1"), api.machine("m2")]
        template = api.run()["tasks"][0]["taskArn"]
        task = api.state.tasks.get(template)
        assert isinstance(task, Task)
        api.delete(task)
        service = f"{PREFIX}:service/default/web"
        for number, host, owner in ((1, 0, service), (2, 1, service), (3, 0, None)):
            api.put(
                msgspec.structs.replace(
                    task,
                    arn=f"{PREFIX}:task/default/{number}",
                    container_instance_arn=hosts[host],
                    service_arn=owner,
                    started_by=f"s{number}",
                )
            )
        for cluster in ("default", "other"):
            api.put(
                Service(
                    arn=f"{PREFIX}:service/{cluster}/web",
                    name="web",
                    cluster_arn=f"{PREFIX}:cluster/{cluster}",
                    region=REGION,
                    status="ACTIVE",
                    desired_count=2,
                    created_at=1.0,
                    deployments=(),
                    deployment_configuration=ecs.DeploymentConfiguration(),
                )
            )
        return api

    @pytest.mark.parametrize(
        ("filters", "numbers"),
        [
            ({}, "123"),
            ({"serviceName": "web"}, "12"),
            ({"serviceName": f"{PREFIX}:service/default/web"}, "12"),
            ({"containerInstance": "m1"}, "13"),
            ({"serviceName": "web", "containerInstance": "m1"}, "1"),
            ({"serviceName": "web", "containerInstance": "m2", "startedBy": "s1"}, ""),
            ({"startedBy": "s3"}, "3"),
            ({"family": "web", "launchType": "EC2"}, "123"),
            ({"family": "we"}, ""),
            ({"launchType": "FARGATE"}, ""),
            ({"desiredStatus": "STOPPED"}, ""),
        ],
    )
    def test_every_filter_counts(self, listed: Api, filters: dict[str, str], numbers: str) -> None:
        assert [arn[-1] for arn in listed("ListTasks", **filters)["taskArns"]] == list(numbers)

    def test_services_of_other_places(self, listed: Api) -> None:
        error = listed.refused("ListTasks", serviceName=f"{PREFIX}:service/other/web")
        assert error.message == "Invalid identifier: Identifier is for cluster other. Your cluster is default"
        foreign = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/default/web"
        assert listed.refused("ListTasks", serviceName=foreign).code == "ServiceNotFoundException"

    def test_daemons_are_refused(self, listed: Api) -> None:
        assert "daemonName" in listed.refused("ListTasks", daemonName="d").message

    def test_a_page_token_continues_its_own_list_only(self, listed: Api) -> None:
        token = listed("ListTasks", maxResults=1)["nextToken"]
        assert [a[-1] for a in listed("ListTasks", maxResults=1, nextToken=token)["taskArns"]] == ["2"]
        for filters in ({"serviceName": "web"}, {"containerInstance": "m1"}, {"startedBy": "s2"}, {"family": "web"}):
            assert listed.refused("ListTasks", nextToken=token, **filters).message == "Invalid token."


def test_views_of_forgotten_tasks_are_forgotten(api: Api) -> None:
    api.machine()
    (task,) = api.run()["tasks"]
    record = api.state.tasks.get(task["taskArn"])
    assert record is not None
    view = api.views.view(record)
    assert api.views.view(record) is view
    api.delete(record)
    # The same record would be answered from memory if its view were still there.
    assert api.views.view(record) is not view
