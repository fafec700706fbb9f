"""Capacity providers on state: their own operations, and clusters that have them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openecs.api.ecs.capacity_providers import CapacityProviders
from openecs.api.ecs.clusters import Clusters
from openecs.api.ecs.container_instances import ContainerInstances
from openecs.api.ecs.provider_strategy import resolve
from openecs.api.ecs.tagging import Tagging
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.capacity_provider import GROUP_ATTRIBUTE
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.service import Deployment, Service
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT, REGION = "123456789012", "eu-west-1"
PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"
GROUP_ARN = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:57ffcb94:autoScalingGroupName/"


class Api:
    """Requests in wire spelling, answers decoded from JSON."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.ids = SeededIds()
        self.now = 100.0
        pagination = Pagination(b"0123456789abcdef")
        self.handlers = {
            **Clusters(self.state, pagination).handlers(),
            **CapacityProviders(self.state, pagination, provisioned=False).handlers(),
            **ContainerInstances(self.state, pagination).handlers(),
            **Tagging(self.state).handlers(),
        }

    def put(self, *records: Any) -> None:
        with self.state.transaction() as tx:
            for record in records:
                tx.put(record)

    def __call__(self, operation: str, **members: Any) -> dict[str, Any]:
        request = msgspec.convert(members, getattr(ecs, f"{operation}Request"))
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=REGION,
            principal=Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIA"),
            now=self.now,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )
        answer: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self.handlers[operation](call, request)))
        return answer

    def refused(self, operation: str, **members: Any) -> AWSError:
        before = self.state.store.revision
        with pytest.raises(AWSError) as caught:
            self(operation, **members)
        assert self.state.store.revision == before
        return caught.value

    def create(self, name: str, group: str | None = None, **settings: Any) -> dict[str, Any]:
        given = {"autoScalingGroupArn": group or f"{GROUP_ARN}{name}-group", **settings}
        shown: dict[str, Any] = self("CreateCapacityProvider", name=name, autoScalingGroupProvider=given)
        return shown["capacityProvider"]

    def attach(self, cluster: str, *names: str, default: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        shown: dict[str, Any] = self(
            "PutClusterCapacityProviders",
            cluster=cluster,
            capacityProviders=list(names),
            defaultCapacityProviderStrategy=default or [],
        )
        return shown["cluster"]

    def cluster(self, name: str = "web") -> Any:
        found = self.state.clusters.get(f"{PREFIX}:cluster/{name}")
        assert found is not None
        return found


@pytest.fixture
def api() -> Api:
    return Api()


def names(answer: dict[str, Any]) -> list[str]:
    return [provider["name"] for provider in answer["capacityProviders"]]


class TestProviders:
    def test_a_new_one_shows_what_holds(self, api: Api) -> None:
        shown = api.create("one", managedScaling={"status": "DISABLED", "targetCapacity": 90})
        assert shown == {
            "capacityProviderArn": f"{PREFIX}:capacity-provider/one",
            "name": "one",
            "status": "ACTIVE",
            "type": "EC2_AUTOSCALING",
            "tags": [],
            "autoScalingGroupProvider": {
                "autoScalingGroupArn": f"{GROUP_ARN}one-group",
                "managedScaling": {
                    "status": "DISABLED",
                    "targetCapacity": 90,
                    "minimumScalingStepSize": 1,
                    "maximumScalingStepSize": 10000,
                    "instanceWarmupPeriod": 300,
                },
                "managedTerminationProtection": "DISABLED",
                "managedDraining": "DISABLED",
            },
        }

    @pytest.mark.parametrize(
        "settings",
        [
            {"managedScaling": {"status": "ENABLED"}},
            {"managedTerminationProtection": "ENABLED"},
            {"managedDraining": "ENABLED"},
        ],
    )
    def test_power_over_machines_is_refused_at_create_and_update(self, api: Api, settings: dict[str, Any]) -> None:
        given = {"autoScalingGroupArn": "group", **settings}
        error = api.refused("CreateCapacityProvider", name="one", autoScalingGroupProvider=given)
        assert error.code == "ClientException"
        assert next(iter(settings)) in error.message
        api.create("one")
        error = api.refused("UpdateCapacityProvider", name="one", autoScalingGroupProvider=settings)
        assert next(iter(settings)) in error.message

    @pytest.mark.parametrize("name", ["aws-one", "ECSone", "fargate", "Fargate_x", "a b", "a.b", "", "x" * 256])
    def test_names(self, api: Api, name: str) -> None:
        error = api.refused("CreateCapacityProvider", name=name, autoScalingGroupProvider={"autoScalingGroupArn": "g"})
        assert error.message.startswith("The specified capacity provider name is invalid.")

    @pytest.mark.parametrize("group", ["", "arn:aws:ec2:eu-west-1:1:instance/i", GROUP_ARN, "x" * 129, "a\nb"])
    def test_groups(self, api: Api, group: str) -> None:
        error = api.refused(
            "CreateCapacityProvider", name="one", autoScalingGroupProvider={"autoScalingGroupArn": group}
        )
        assert "Auto Scaling group ARN is invalid" in error.message

    def test_names_and_groups_are_taken_once_in_a_region(self, api: Api) -> None:
        api.create("one", "group")
        assert (
            "already exists"
            in api.refused(
                "CreateCapacityProvider", name="one", autoScalingGroupProvider={"autoScalingGroupArn": "other"}
            ).message
        )
        assert (
            "already being used by another capacity provider"
            in api.refused(
                "CreateCapacityProvider",
                name="two",
                autoScalingGroupProvider={"autoScalingGroupArn": GROUP_ARN + "group"},
            ).message
        )

    def test_update_keeps_what_is_not_given(self, api: Api) -> None:
        api.create("one", managedScaling={"targetCapacity": 50})
        shown = api(
            "UpdateCapacityProvider",
            name="one",
            autoScalingGroupProvider={"managedScaling": {"maximumScalingStepSize": 5}},
        )["capacityProvider"]
        scaling = shown["autoScalingGroupProvider"]["managedScaling"]
        assert (scaling["targetCapacity"], scaling["maximumScalingStepSize"]) == (50, 5)
        assert shown["updateStatus"] == "UPDATE_COMPLETE"
        assert (
            "does not exist" in api.refused("UpdateCapacityProvider", name="two", autoScalingGroupProvider={}).message
        )

    def test_describe_lists_own_and_reserved_ones_in_pages(self, api: Api) -> None:
        for number in range(11):
            api.create(f"p{number:02}")
        first = api("DescribeCapacityProviders")
        second = api("DescribeCapacityProviders", nextToken=first["nextToken"])
        assert len(first["capacityProviders"]) == 10
        assert sorted(names(first) + names(second)) == ["FARGATE", "FARGATE_SPOT", *(f"p{n:02}" for n in range(11))]
        assert "nextToken" not in second
        one = api("DescribeCapacityProviders", maxResults=1)
        assert names(one) == ["FARGATE"]
        assert api.refused("DescribeCapacityProviders", maxResults=11).code == "InvalidParameterException"

    def test_describe_by_name_and_arn(self, api: Api) -> None:
        arn = api.create("one")["capacityProviderArn"]
        answer = api("DescribeCapacityProviders", capacityProviders=[arn, "one", "FARGATE_SPOT", "absent"])
        assert names(answer) == ["FARGATE_SPOT", "one"]
        assert [p["type"] for p in answer["capacityProviders"]] == ["FARGATE_SPOT", "EC2_AUTOSCALING"]
        assert answer["failures"] == [{"arn": f"{PREFIX}:capacity-provider/absent", "reason": "MISSING"}]

    def test_describe_of_a_cluster(self, api: Api) -> None:
        api.create("one")
        api.create("two")
        api("CreateCluster", clusterName="web", capacityProviders=["one", "FARGATE"])
        assert names(api("DescribeCapacityProviders", cluster="web")) == ["FARGATE", "one"]
        answer = api("DescribeCapacityProviders", cluster="web", capacityProviders=["one", "two"])
        assert names(answer) == ["one"]
        assert [failure["reason"] for failure in answer["failures"]] == ["MISSING"]

    def test_tags(self, api: Api) -> None:
        given = [{"key": "team", "value": "blue"}]
        created = api(
            "CreateCapacityProvider",
            name="one",
            autoScalingGroupProvider={"autoScalingGroupArn": "g"},
            tags=given,
        )["capacityProvider"]
        arn = created["capacityProviderArn"]
        assert created["tags"] == given
        assert api("ListTagsForResource", resourceArn=arn)["tags"] == given
        api("TagResource", resourceArn=arn, tags=[{"key": "x", "value": "1"}])
        (shown,) = api("DescribeCapacityProviders", capacityProviders=["one"], include=["TAGS"])["capacityProviders"]
        assert shown["tags"] == [*given, {"key": "x", "value": "1"}]
        (shown,) = api("DescribeCapacityProviders", capacityProviders=["one"])["capacityProviders"]
        assert shown["tags"] == []

    def test_delete_needs_it_out_of_every_cluster(self, api: Api) -> None:
        api.create("one")
        api("CreateCluster", clusterName="web", capacityProviders=["one"])
        shown = api("DeleteCapacityProvider", capacityProvider="one")["capacityProvider"]
        assert (shown["status"], shown["updateStatus"]) == ("ACTIVE", "DELETE_FAILED")
        assert "associated with cluster: web" in shown["updateStatusReason"]
        api.attach("web")
        shown = api("DeleteCapacityProvider", capacityProvider="one")["capacityProvider"]
        assert (shown["status"], shown["updateStatus"]) == ("INACTIVE", "DELETE_COMPLETE")
        assert names(api("DescribeCapacityProviders")) == ["FARGATE", "FARGATE_SPOT"]
        assert names(api("DescribeCapacityProviders", capacityProviders=["one"])) == ["one"]
        assert "does not exist" in api.refused("DeleteCapacityProvider", capacityProvider="one").message
        # The name is free again.
        assert api.create("one")["status"] == "ACTIVE"

    @pytest.mark.parametrize("name", ["FARGATE", "FARGATE_SPOT"])
    def test_the_reserved_ones_stay(self, api: Api, name: str) -> None:
        assert "reserved" in api.refused("DeleteCapacityProvider", capacityProvider=name).message
        assert "reserved" in api.refused("UpdateCapacityProvider", name=name, autoScalingGroupProvider={}).message

    def test_managed_instances_are_refused(self, api: Api) -> None:
        template = {"ec2InstanceProfileArn": "p", "networkConfiguration": {}}
        error = api.refused(
            "CreateCapacityProvider",
            name="one",
            managedInstancesProvider={"infrastructureRoleArn": "r", "instanceLaunchTemplate": template},
        )
        assert "managedInstancesProvider is not supported" in error.message


class TestClusters:
    def test_create_with_providers(self, api: Api) -> None:
        given = [{"capacityProvider": "FARGATE", "base": 1}, {"capacityProvider": "FARGATE_SPOT", "weight": 3}]
        shown = api(
            "CreateCluster",
            clusterName="web",
            capacityProviders=["FARGATE", "FARGATE_SPOT"],
            defaultCapacityProviderStrategy=given,
        )["cluster"]
        assert shown["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
        assert shown["defaultCapacityProviderStrategy"] == [
            {"capacityProvider": "FARGATE", "weight": 0, "base": 1},
            {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0},
        ]
        assert (shown["attachments"], shown["attachmentsStatus"]) == ([], "UPDATE_COMPLETE")
        (described,) = api("DescribeClusters", clusters=["web"])["clusters"]
        assert described["capacityProviders"] == ["FARGATE", "FARGATE_SPOT"]
        assert "attachmentsStatus" not in described

    def test_creating_again_with_other_providers_is_inconsistent(self, api: Api) -> None:
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE"])
        api("CreateCluster", clusterName="web")
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE"])
        error = api.refused("CreateCluster", clusterName="web", capacityProviders=["FARGATE_SPOT"])
        assert error.message.startswith("Arguments on this idempotent request are inconsistent")

    def test_put_replaces(self, api: Api) -> None:
        api.create("one")
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE"])
        shown = api.attach("web", "one", default=[{"capacityProvider": "one", "weight": 1}])
        assert shown["capacityProviders"] == ["one"]
        assert shown["defaultCapacityProviderStrategy"] == [{"capacityProvider": "one", "weight": 1, "base": 0}]
        assert api.cluster().capacity_providers == ("one",)

    @pytest.mark.parametrize(
        ("providers", "default", "text"),
        [
            (["nowhere"], [], "The specified capacity provider was not found."),
            (["FARGATE", "FARGATE"], [], "only once"),
            (["one"], [{"capacityProvider": "FARGATE"}], "not associated with the cluster"),
            (
                ["one", "FARGATE"],
                [{"capacityProvider": "one"}, {"capacityProvider": "FARGATE"}],
                "cannot contain a mix",
            ),
            (["one"], [{"capacityProvider": "one"}, {"capacityProvider": "one"}], "duplicate"),
            (
                ["FARGATE", "FARGATE_SPOT"],
                [{"capacityProvider": "FARGATE", "base": 1}, {"capacityProvider": "FARGATE_SPOT", "base": 1}],
                "only one capacity provider with a base",
            ),
            ([f"p{n}" for n in range(21)], [], "at most 20"),
        ],
    )
    def test_what_cannot_be(self, api: Api, providers: list[str], default: list[dict[str, Any]], text: str) -> None:
        api.create("one")
        api("CreateCluster", clusterName="web")
        before = api.state.store.revision
        with pytest.raises(AWSError, match=text):
            api.attach("web", *providers, default=default)
        assert api.state.store.revision == before

    def test_a_group_serves_one_cluster(self, api: Api) -> None:
        api.create("one")
        api("CreateCluster", clusterName="web", capacityProviders=["one"])
        error = api.refused("CreateCluster", clusterName="other", capacityProviders=["one"])
        assert "already associated with another cluster" in error.message
        api("DeleteCluster", cluster="web")
        api("CreateCluster", clusterName="other", capacityProviders=["one"])

    def test_what_tasks_use_stays(self, api: Api) -> None:
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE", "FARGATE_SPOT"])
        task = Task(
            arn=f"{PREFIX}:task/web/1",
            region=REGION,
            cluster_arn=f"{PREFIX}:cluster/web",
            task_definition_arn="d",
            launch_type="FARGATE",
            desired_status="RUNNING",
            last_status="RUNNING",
            created_at=1.0,
            group="family:x",
            containers=(),
            reservation=Resources(),
            capacity_provider_name="FARGATE_SPOT",
        )
        api.put(task)
        with pytest.raises(AWSError, match="is in use and cannot be removed") as caught:
            api.attach("web", "FARGATE")
        assert caught.value.code == "ResourceInUseException"
        assert api.attach("web", "FARGATE_SPOT")["capacityProviders"] == ["FARGATE_SPOT"]
        api.put(msgspec.structs.replace(task, last_status="STOPPED", desired_status="STOPPED"))
        assert api.attach("web")["capacityProviders"] == []

    def test_what_services_use_stays(self, api: Api) -> None:
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE"])
        deployment = Deployment(
            id="ecs-svc/1",
            status="PRIMARY",
            task_definition_arn="d",
            created_at=1.0,
            updated_at=1.0,
            rollout_state="COMPLETED",
            rollout_state_reason="",
            launch_type="FARGATE",
            capacity_provider_strategy=(ecs.CapacityProviderStrategyItem(capacity_provider="FARGATE", weight=1),),
        )
        service = Service(
            arn=f"{PREFIX}:service/web/s",
            name="s",
            cluster_arn=f"{PREFIX}:cluster/web",
            region=REGION,
            status="ACTIVE",
            desired_count=0,
            created_at=1.0,
            deployments=(deployment,),
            deployment_configuration=ecs.DeploymentConfiguration(),
        )
        api.put(service)
        with pytest.raises(AWSError, match="is in use"):
            api.attach("web")
        api.put(msgspec.structs.replace(service, status="INACTIVE"))
        assert api.attach("web")["capacityProviders"] == []

    def test_instances_show_the_provider_of_their_group(self, api: Api) -> None:
        api("CreateCluster", clusterName="web")
        arn = f"{PREFIX}:container-instance/web/m"
        api.put(
            Node(id="m", capacity=Resources(cpu=1024, memory=100)),
            ContainerInstance(
                arn=arn,
                cluster_arn=f"{PREFIX}:cluster/web",
                region=REGION,
                node_id="m",
                status="ACTIVE",
                registered_at=1.0,
                attributes=(ecs.Attribute(name=GROUP_ATTRIBUTE, value="group"),),
            ),
        )
        api.create("one", "group")
        shown = lambda: api("DescribeContainerInstances", cluster="web", containerInstances=[arn])  # noqa: E731
        assert "capacityProviderName" not in shown()["containerInstances"][0]
        api.attach("web", "one")
        assert shown()["containerInstances"][0]["capacityProviderName"] == "one"


class TestResolve:
    """What launch type and strategy of a request mean together."""

    def strategy(self, *items: tuple[str, int]) -> tuple[ecs.CapacityProviderStrategyItem, ...]:
        return tuple(ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight) for name, weight in items)

    def test_neither_means_ec2_or_the_default_of_the_cluster(self, api: Api) -> None:
        api("CreateCluster", clusterName="web")
        assert resolve(api.state, api.cluster(), None, None) == ((), "EC2")
        api.attach("web", "FARGATE_SPOT", default=[{"capacityProvider": "FARGATE_SPOT", "weight": 2}])
        strategy, launch_type = resolve(api.state, api.cluster(), None, None)
        assert ([item.capacity_provider for item in strategy], launch_type) == (["FARGATE_SPOT"], "FARGATE")
        assert resolve(api.state, api.cluster(), "EXTERNAL", None) == ((), "EXTERNAL")
        assert resolve(api.state, api.cluster(), None, ())[1] == "FARGATE"

    def test_a_group_gives_ec2_tasks(self, api: Api) -> None:
        api.create("one")
        api("CreateCluster", clusterName="web", capacityProviders=["one"])
        strategy, launch_type = resolve(api.state, api.cluster(), None, self.strategy(("one", 1)))
        assert (strategy[0].base, launch_type) == (0, "EC2")

    @pytest.mark.parametrize(
        ("launch_type", "items", "text"),
        [
            ("FARGATE", [("FARGATE", 1)], "both a launch type and capacity provider strategy"),
            (None, [("FARGATE", 0), ("FARGATE_SPOT", 0)], "no capacity providers with a weight value greater than"),
            (None, [("FARGATE", 0)], "no capacity providers with a weight value greater than"),
            (None, [("one", 1)], "not associated with the cluster"),
            (None, [(f"{PREFIX}:capacity-provider/FARGATE", 1)], "not associated with the cluster"),
            (None, [("FARGATE", 1)] * 21, "at most 20"),
            ("MANAGED_INSTANCES", [], "not supported"),
        ],
    )
    def test_refusals(self, api: Api, launch_type: str | None, items: list[tuple[str, int]], text: str) -> None:
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE", "FARGATE_SPOT"])
        with pytest.raises(AWSError, match=text):
            resolve(api.state, api.cluster(), launch_type, self.strategy(*items))

    @pytest.mark.parametrize(("weight", "base"), [(1001, 0), (-1, 0), (1, 100_001), (1, -1)])
    def test_weights_and_bases_have_a_range(self, api: Api, weight: int, base: int) -> None:
        api("CreateCluster", clusterName="web", capacityProviders=["FARGATE"])
        item = ecs.CapacityProviderStrategyItem(capacity_provider="FARGATE", weight=weight, base=base)
        with pytest.raises(AWSError, match="must be between 0 and"):
            resolve(api.state, api.cluster(), None, (item,))

    def test_a_default_without_weights_fails_only_where_it_is_used(self, api: Api) -> None:
        api(
            "CreateCluster",
            clusterName="web",
            capacityProviders=["FARGATE"],
            defaultCapacityProviderStrategy=[{"capacityProvider": "FARGATE"}],
        )
        with pytest.raises(AWSError, match="in the default capacity provider strategy"):
            resolve(api.state, api.cluster(), None, None)
