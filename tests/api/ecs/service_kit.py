"""The service operations on state: requests in wire spelling, answers decoded from JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.api.ecs.service_deployments import ServiceDeployments
from openecs.api.ecs.service_revisions import ServiceRevisions
from openecs.api.ecs.services import Services
from openecs.api.ecs.tagging import Tagging
from openecs.api.ecs.task_sets import TaskSets
from openecs.control.region_networks import RegionNetworks
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.network import region_network
from openecs.model.resources import Resources
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.model.task_definition import TaskDefinition
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
CALLER = f"arn:aws:iam::{ACCOUNT}:root"
SUBNET = region_network(ACCOUNT, REGION).subnets[0].id
NOW = 1_700_000_000.0

REQUESTS: dict[str, Any] = {
    "create": ecs.CreateServiceRequest,
    "update": ecs.UpdateServiceRequest,
    "delete": ecs.DeleteServiceRequest,
    "describe": ecs.DescribeServicesRequest,
    "list": ecs.ListServicesRequest,
    "list_by_namespace": ecs.ListServicesByNamespaceRequest,
    "list_deployments": ecs.ListServiceDeploymentsRequest,
    "describe_deployments": ecs.DescribeServiceDeploymentsRequest,
    "stop_deployment": ecs.StopServiceDeploymentRequest,
    "continue_deployment": ecs.ContinueServiceDeploymentRequest,
    "describe_revisions": ecs.DescribeServiceRevisionsRequest,
    "create_task_set": ecs.CreateTaskSetRequest,
    "update_task_set": ecs.UpdateTaskSetRequest,
    "delete_task_set": ecs.DeleteTaskSetRequest,
    "describe_task_sets": ecs.DescribeTaskSetsRequest,
    "update_primary": ecs.UpdateServicePrimaryTaskSetRequest,
    "tag": ecs.TagResourceRequest,
    "list_tags": ecs.ListTagsForResourceRequest,
}


class Api:
    """The service operations, with requests in wire spelling and answers decoded from JSON."""

    def __init__(self) -> None:
        journal = MemoryJournal()
        self.state = State(journal)
        journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
        pagination = Pagination(b"0123456789abcdef")
        networks = RegionNetworks(self.state, ACCOUNT, "10.208.0.0/16")
        networks.ensure(REGION)
        parts: tuple[Any, ...] = (
            Services(self.state, pagination, networks),
            ServiceDeployments(self.state, pagination),
            ServiceRevisions(self.state),
            TaskSets(self.state, networks),
            Tagging(self.state),
        )
        self.handlers: dict[str, Any] = {}
        for part in parts:
            self.handlers.update(part.handlers())
        self.ids = SeededIds()
        self.now = NOW
        self.put(cluster("default"), cluster("other"), definition(1), definition(2))
        self.put(definition(1, family="fargate", network_mode="awsvpc", compatibilities=("EC2", "FARGATE")))

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        shape = REQUESTS[operation]
        name = shape.__name__.removesuffix("Request")
        request = msgspec.json.decode(msgspec.json.encode(members), type=shape)
        call = Call(
            service="ecs",
            operation=name,
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=CALLER, kind="root", access_key_id="AKIA"),
            now=self.now,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        return msgspec.json.decode(msgspec.json.encode(self.handlers[name](call, request)))

    def create(self, name: str = "web", **members: Any) -> dict[str, Any]:
        wanted = {"serviceName": name, "taskDefinition": "web:1", "desiredCount": 2, **members}
        return self("create", **{key: value for key, value in wanted.items() if value is not None})["service"]

    def update(self, name: str = "web", **members: Any) -> dict[str, Any]:
        return self("update", service=name, **members)["service"]

    def external(self, name: str = "ext", **members: Any) -> dict[str, Any]:
        """A service whose deployments are task sets."""
        wanted = {"serviceName": name, "deploymentController": {"type": "EXTERNAL"}, "desiredCount": 3, **members}
        return self("create", **wanted)["service"]

    def task_set(self, **members: Any) -> dict[str, Any]:
        """A task set of the service that ``external`` makes."""
        wanted = {"cluster": "default", "service": "ext", "taskDefinition": "web:1", **members}
        return self("create_task_set", **wanted)["taskSet"]

    def providers(self, *names: str, default: tuple[ecs.CapacityProviderStrategyItem, ...] = ()) -> None:
        """Attach capacity providers to the default cluster."""
        record = self.state.clusters.get(f"{PREFIX}:cluster/default")
        assert record is not None
        self.put(msgspec.structs.replace(record, capacity_providers=names, default_capacity_provider_strategy=default))

    def describe(self, name: str = "web", **members: Any) -> dict[str, Any]:
        (service,) = self("describe", services=[name], **members)["services"]
        return service

    def record(self, name: str = "web") -> Service:
        found = self.state.services.get(f"{PREFIX}:service/default/{name}")
        assert found is not None
        return found

    def refused(self, operation: str, code: str, text: str, **members: Any) -> None:
        """The call is refused in these words and changes nothing."""
        revision = self.state.store.revision
        with pytest.raises(AWSError) as caught:
            self(operation, **members)
        assert (caught.value.code, caught.value.status) == (code, 400)
        assert text in caught.value.message
        assert self.state.store.revision == revision

    def refused_create(self, code: str, text: str, **members: Any) -> None:
        wanted = {"serviceName": "web", "taskDefinition": "web:1", "desiredCount": 2, **members}
        self.refused("create", code, text, **{key: value for key, value in wanted.items() if value is not None})


def cluster(name: str) -> Cluster:
    return Cluster(arn=f"{PREFIX}:cluster/{name}", name=name, region=REGION, status="ACTIVE", created_at=1.0)


def definition(revision: int, *, family: str = "web", **members: Any) -> TaskDefinition:
    arn = f"{PREFIX}:task-definition/{family}:{revision}"
    containers = (ecs.ContainerDefinition(name="web", image="web:latest"),)
    defaults = {"network_mode": "bridge", "compatibilities": ("EC2",), "container_definitions": containers}
    members = {**defaults, **members}
    shape = ecs.TaskDefinition(task_definition_arn=arn, family=family, revision=revision, **members)
    return TaskDefinition(arn=arn, family=family, revision=revision, region=REGION, status="ACTIVE", definition=shape)


def task(number: int, deployment: str, status: str, desired: str = "RUNNING") -> Task:
    return Task(
        arn=f"{PREFIX}:task/default/{number}",
        region=REGION,
        cluster_arn=f"{PREFIX}:cluster/default",
        task_definition_arn=f"{PREFIX}:task-definition/web:1",
        launch_type="EC2",
        desired_status=desired,
        last_status=status,
        created_at=1.0,
        group="service:web",
        containers=(),
        reservation=Resources(),
        service_arn=f"{PREFIX}:service/default/web",
        deployment_id=deployment,
    )


FARGATE = {
    "taskDefinition": "fargate",
    "launchType": "FARGATE",
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": [SUBNET], "assignPublicIp": "ENABLED"}},
}
