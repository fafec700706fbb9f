from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.api.ecs.container_instances import ContainerInstances, lend_to_cluster
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance, Node
from openecs.model.resources import Resources
from openecs.model.task import Task, TaskContainer
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

ACCOUNT, REGION = "111122223333", "us-east-1"
ROOT = Principal(arn=f"arn:aws:iam::{ACCOUNT}:root", kind="root", access_key_id="AKIAROOT")
AGENT = Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/agent-1", kind="agent", access_key_id="AKIA1")
OTHER = Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/agent-2", kind="agent", access_key_id="AKIA2")
RESOURCES = (
    ecs.Resource(name="CPU", type="INTEGER", integer_value=2048),
    ecs.Resource(name="MEMORY", type="INTEGER", integer_value=4000),
    ecs.Resource(name="PORTS", type="STRINGSET", string_set_value=("22", "2375")),
    ecs.Resource(name="PORTS_UDP", type="STRINGSET", string_set_value=()),
)


class World:
    """A state with the cluster ``default``, and the operations on it."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.ids = SeededIds()
        self.api = ContainerInstances(self.state, Pagination(b"0123456789abcdef"))
        self.cluster = self.add_cluster("default")

    def add_cluster(self, name: str, region: str = REGION, *, lend: bool = False) -> Cluster:
        arn = f"arn:aws:ecs:{region}:{ACCOUNT}:cluster/{name}"
        cluster = Cluster(arn=arn, name=name, region=region, status="ACTIVE", created_at=1.0)
        with self.state.transaction() as tx:
            tx.put(cluster)
            if lend:
                lend_to_cluster(self.state, tx, cluster, now=2.0, ids=self.ids)
        return cluster

    def call(self, operation: str, principal: Principal = ROOT, region: str = REGION) -> Call:
        return Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account=ACCOUNT,
            region=region,
            principal=principal,
            now=100.0,
            ids=self.ids,
            endpoint="http://127.0.0.1:4566",
        )

    def __call__(self, operation: str, request: Any, principal: Principal = ROOT) -> Any:
        return self.api.handlers()[operation](self.call(operation, principal), request)

    def register(self, principal: Principal = AGENT, **members: Any) -> ecs.ContainerInstance:
        members = {"cluster": "default", "total_resources": RESOURCES} | members
        reply = self("RegisterContainerInstance", ecs.RegisterContainerInstanceRequest(**members), principal)
        instance: ecs.ContainerInstance = reply.container_instance
        return instance

    def record(self, arn: str | None) -> ContainerInstance:
        found = self.state.container_instances.get(arn or "")
        assert found is not None
        return found

    def node(self, instance: ecs.ContainerInstance) -> Node:
        found = self.state.nodes.get(self.record(instance.container_instance_arn).node_id)
        assert found is not None
        return found

    def add_task(self, instance: ecs.ContainerInstance, number: int = 1, **changes: Any) -> Task:
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/default/{number:032x}"
        values: dict[str, Any] = {
            "arn": arn,
            "region": REGION,
            "cluster_arn": self.cluster.arn,
            "task_definition_arn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/web:1",
            "launch_type": "EC2",
            "desired_status": "RUNNING",
            "last_status": "RUNNING",
            "created_at": 1.0,
            "group": "service:web",
            "containers": (TaskContainer(arn=f"{arn}/c", name="app", image="busybox", last_status="RUNNING"),),
            "reservation": Resources(cpu=256, memory=512, ports=(8080,)),
            "node_id": self.record(instance.container_instance_arn).node_id,
            "container_instance_arn": instance.container_instance_arn,
        }
        task = Task(**(values | changes))
        with self.state.transaction() as tx:
            tx.put(task)
        return task


@pytest.fixture
def world() -> World:
    return World()


def attributes(**given: str | None) -> tuple[ecs.Attribute, ...]:
    return tuple(ecs.Attribute(name=name.replace("__", "."), value=value) for name, value in given.items())


@pytest.mark.parametrize("node_id", [None, "", "x" * 129, "with space", "a/b", "é", "a\nb"])
def test_names_of_nodes_have_a_form(world: World, node_id: str | None) -> None:
    with pytest.raises(AWSError, match=r"openecs\.node-id") as caught:
        world.register(attributes=(ecs.Attribute(name="openecs.node-id", value=node_id),))
    assert caught.value.code == "InvalidParameterException"
    assert not list(world.state.nodes)
    longest = "a-Z_0.9:" * 16
    assert world.node(world.register(attributes=(ecs.Attribute(name="openecs.node-id", value=longest),))).id == longest


@pytest.mark.parametrize(
    "lent", [",".join(f"c{n}" for n in range(101)), "good,-bad", "arn:aws:ecs:r:1:cluster/x", "c" * 256]
)
def test_what_a_node_is_lent_to_has_bounds(world: World, lent: str) -> None:
    with pytest.raises(AWSError, match=r"openecs\.lend-to") as caught:
        world.register(attributes=(ecs.Attribute(name="openecs.lend-to", value=lent),))
    assert caught.value.code == "InvalidParameterException"
    assert not list(world.state.nodes)


def test_a_node_is_lent_to_each_name_once(world: World) -> None:
    named = ", ".join(["a", "b", "a", *(f"c{n}" for n in range(98))])
    node = world.node(world.register(attributes=(ecs.Attribute(name="openecs.lend-to", value=named),)))
    assert node.lent_to[:2] == ("a", "b")
    assert len(node.lent_to) == 100


def amounts(resources: tuple[ecs.Resource, ...] | None) -> dict[str | None, Any]:
    return {r.name: r.integer_value if r.type == "INTEGER" else r.string_set_value for r in resources or ()}


class TestRegister:
    def test_every_attribute_comes_back_with_aws_own_added(self, world: World) -> None:
        sent = attributes(ecs__capability__secrets=None, ecs__os__type="linux", stack="prod")
        document = json.dumps(
            {"instanceId": "i-1", "instanceType": "m5.large", "availabilityZone": "us-east-1c", "imageId": "ami-1"}
        )
        instance = world.register(attributes=sent, instance_identity_document=document)
        listed = {a.name: a.value for a in instance.attributes or ()}
        assert {a.name: a.value for a in sent}.items() <= listed.items()
        assert listed["ecs.availability-zone"] == "us-east-1c"
        assert (listed["ecs.instance-type"], listed["ecs.ami-id"]) == ("m5.large", "ami-1")
        assert (instance.ec2_instance_id, instance.status, instance.agent_connected) == ("i-1", "ACTIVE", False)
        assert amounts(instance.registered_resources) == {
            "CPU": 2048,
            "MEMORY": 4000,
            "PORTS": ("22", "2375"),
            "PORTS_UDP": (),
        }
        assert world.node(instance).owner == AGENT.arn

    def test_a_missing_cluster_is_said_in_the_words_that_agents_know(self, world: World) -> None:
        with pytest.raises(AWSError) as caught:
            world.register(cluster="nowhere")
        assert (caught.value.code, caught.value.message) == ("ClusterNotFoundException", "Cluster not found.")

    def test_coming_back_with_the_arn(self, world: World) -> None:
        first = world.register(attributes=attributes(ecs__a="1", ecs__gone=None))
        again = world.register(container_instance_arn=first.container_instance_arn, attributes=attributes(ecs__a="2"))
        assert again.container_instance_arn == first.container_instance_arn
        listed = {a.name: a.value for a in again.attributes or ()}
        assert listed["ecs.a"] == "2"
        assert "ecs.gone" not in listed
        assert len(world.state.nodes) == 1

    @pytest.mark.parametrize("reference", ["nobody", "arn:aws:ecs:us-east-1:1:container-instance/default/nobody"])
    def test_coming_back_as_nobody(self, world: World, reference: str) -> None:
        with pytest.raises(AWSError) as caught:
            world.register(container_instance_arn=reference)
        assert caught.value.code == "ClientException"
        assert caught.value.message == "Referenced container instance nobody not registered."
        assert len(world.state.nodes) == 0

    def test_another_machine_cannot_take_over(self, world: World) -> None:
        document = json.dumps({"instanceType": "m5.large"})
        first = world.register(instance_identity_document=document)
        with pytest.raises(AWSError, match="Container instance type changes are not supported"):
            world.register(
                container_instance_arn=first.container_instance_arn,
                instance_identity_document=json.dumps({"instanceType": "m5.xlarge"}),
            )

    def test_another_principal_cannot_take_over(self, world: World) -> None:
        first = world.register()
        with pytest.raises(AWSError) as caught:
            world.register(OTHER, container_instance_arn=first.container_instance_arn)
        assert caught.value.code == "AccessDeniedException"
        world.register(attributes=(*attributes(openecs__node="x"), ecs.Attribute(name="openecs.node-id", value="n")))
        with pytest.raises(AWSError):
            world.register(OTHER, attributes=(ecs.Attribute(name="openecs.node-id", value="n"),))

    def test_the_named_node_is_one_instance_a_cluster(self, world: World) -> None:
        named = (ecs.Attribute(name="openecs.node-id", value="host-1"),)
        first, again = world.register(attributes=named), world.register(attributes=named)
        assert first.container_instance_arn == again.container_instance_arn
        assert [n.id for n in world.state.nodes] == ["host-1"]

    def test_fargate_and_lending(self, world: World) -> None:
        world.add_cluster("extra")
        world.add_cluster("extra", "eu-west-1")
        named = (
            *attributes(openecs__fargate="true"),
            ecs.Attribute(name="openecs.node-id", value="host-1"),
            ecs.Attribute(name="openecs.lend-to", value="default, extra,later"),
            ecs.Attribute(name="ecs.availability-zone", value="us-east-1b"),
        )
        instance = world.register(attributes=named)
        node = world.node(instance)
        assert (node.fargate_pool, node.lent_to) == (True, ("default", "extra", "later"))
        world.add_cluster("later", lend=True)
        shown = {
            (i.region, i.cluster_arn.rsplit("/", 1)[-1]): {a.name: a.value for a in i.attributes}
            for i in world.state.container_instances.by("node", "host-1")
        }
        assert shown.keys() == {
            (REGION, "default"),
            (REGION, "extra"),
            ("eu-west-1", "extra"),
            (REGION, "later"),
        }
        assert shown[REGION, "extra"]["ecs.availability-zone"] == "us-east-1b"
        assert shown["eu-west-1", "extra"]["ecs.availability-zone"] == "eu-west-1a"
        world.register(attributes=named)
        assert len(world.state.container_instances) == 4

    def test_a_deregistered_instance_comes_back_with_a_new_cluster_only(self, world: World) -> None:
        named = (
            ecs.Attribute(name="openecs.node-id", value="host-1"),
            ecs.Attribute(name="openecs.lend-to", value="extra"),
        )
        extra = world.add_cluster("extra")
        world.register(attributes=named)

        def shown() -> list[str]:
            return [i.status for i in world.state.container_instances.by("cluster", extra.arn)]

        [lent] = world.state.container_instances.by("cluster", extra.arn)
        world(
            "DeregisterContainerInstance",
            ecs.DeregisterContainerInstanceRequest(cluster="extra", container_instance=lent.arn),
        )
        world.register(attributes=named)
        assert shown() == ["INACTIVE"]
        world.add_cluster("extra", lend=True)
        assert sorted(shown()) == ["ACTIVE", "INACTIVE"]

    def test_what_is_not_lent_any_more_is_taken_back(self, world: World) -> None:
        def lending(*clusters: str) -> ecs.ContainerInstance:
            named = (
                ecs.Attribute(name="openecs.node-id", value="host-1"),
                ecs.Attribute(name="openecs.lend-to", value=",".join(clusters)),
            )
            return world.register(attributes=named)

        def shown(name: str) -> list[tuple[str, bool]]:
            found = world.state.container_instances.by("cluster", world.cluster.arn.replace("default", name))
            return [(i.status, i.taken_back) for i in found]

        for name in ("idle", "busy"):
            world.add_cluster(name)
        home = lending("idle", "busy")
        assert shown("idle") == shown("busy") == [("ACTIVE", False)]
        [busy] = world.state.container_instances.by("cluster", world.cluster.arn.replace("default", "busy"))
        pending = world.add_task(home, 1, container_instance_arn=busy.arn, service_arn="s", last_status="PENDING")
        running = world.add_task(home, 2, container_instance_arn=busy.arn, service_arn="s")
        lending()
        assert shown("idle") == [("INACTIVE", True)]
        assert shown("busy") == [("DRAINING", True)]
        wanted = [world.state.tasks.get(task.arn).desired_status for task in (pending, running)]  # type: ignore[union-attr]
        assert wanted == ["STOPPED", "RUNNING"]
        assert world.record(home.container_instance_arn).status == "ACTIVE"
        # Lent again, it is there again: the one with tasks as it was, the other one anew.
        lending("idle", "busy")
        assert shown("busy") == [("ACTIVE", False)]
        assert sorted(shown("idle")) == [("ACTIVE", False), ("INACTIVE", True)]

    def test_registering_elsewhere_takes_the_machine_back(self, world: World) -> None:
        world.add_cluster("other")
        named = (ecs.Attribute(name="openecs.node-id", value="host-1"),)
        first = world.register(attributes=named)
        second = world.register(attributes=named, cluster="other")
        assert world.record(first.container_instance_arn).status == "INACTIVE"
        assert world.record(second.container_instance_arn).status == "ACTIVE"
        third = world.register(attributes=named)
        assert world.record(second.container_instance_arn).status == "INACTIVE"
        assert world.record(third.container_instance_arn).status == "ACTIVE"

    @pytest.mark.parametrize(
        "members",
        [
            {"total_resources": RESOURCES[1:]},
            {"total_resources": RESOURCES + RESOURCES[:1]},
            {"total_resources": (ecs.Resource(name="CPU", integer_value=-1), RESOURCES[1])},
            {"total_resources": (*RESOURCES[:2], ecs.Resource(name="PORTS", string_set_value=("x",)))},
            {"attributes": (ecs.Attribute(name="a"), ecs.Attribute(name="a"))},
            {"attributes": (ecs.Attribute(name=""),)},
            {"instance_identity_document": "{"},
            {"tags": (ecs.Tag(key="aws:x", value="y"),)},
        ],
    )
    def test_nonsense_is_refused_and_changes_nothing(self, world: World, members: dict[str, Any]) -> None:
        revision = world.state.store.revision
        with pytest.raises(AWSError) as caught:
            world.register(**members)
        assert caught.value.code == "InvalidParameterException"
        assert world.state.store.revision == revision


class TestDescribe:
    def test_what_tasks_hold_is_missing_from_what_remains(self, world: World) -> None:
        instance = world.register()
        world.add_task(instance)
        world.add_task(instance, 2, last_status="PENDING", reservation=Resources(cpu=100, memory=100, ports_udp=(53,)))
        world.add_task(instance, 3, last_status="STOPPED", desired_status="STOPPED")
        request = ecs.DescribeContainerInstancesRequest(
            container_instances=(instance.container_instance_arn or "", "nobody")
        )
        reply = world("DescribeContainerInstances", request)
        [shown] = reply.container_instances
        assert amounts(shown.remaining_resources) == {
            "CPU": 2048 - 356,
            "MEMORY": 4000 - 612,
            "PORTS": ("22", "2375", "8080"),
            "PORTS_UDP": ("53",),
        }
        assert (shown.running_tasks_count, shown.pending_tasks_count) == (1, 1)
        assert shown.health_status is None
        [failure] = reply.failures
        assert failure.reason == "MISSING"
        assert failure.arn == f"arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/default/nobody"

    def test_what_is_included(self, world: World) -> None:
        instance = world.register(tags=(ecs.Tag(key="a", value="b"),))
        request = ecs.DescribeContainerInstancesRequest(
            container_instances=(instance.container_instance_arn or "",), include=("TAGS", "CONTAINER_INSTANCE_HEALTH")
        )
        [shown] = world("DescribeContainerInstances", request).container_instances
        assert shown.tags == (ecs.Tag(key="a", value="b"),)
        assert shown.health_status.overall_status == "INSUFFICIENT_DATA"

    def test_nobody_named(self, world: World) -> None:
        with pytest.raises(AWSError, match="Container Instances cannot be empty"):
            world("DescribeContainerInstances", ecs.DescribeContainerInstancesRequest(container_instances=()))


class TestList:
    def test_pages_filters_and_statuses(self, world: World) -> None:
        arns = sorted(world.register(attributes=attributes(n=str(i))).container_instance_arn or "" for i in range(5))
        first = world("ListContainerInstances", ecs.ListContainerInstancesRequest(max_results=3))
        rest = world(
            "ListContainerInstances", ecs.ListContainerInstancesRequest(max_results=3, next_token=first.next_token)
        )
        assert [*first.container_instance_arns, *rest.container_instance_arns] == arns
        assert rest.next_token is None
        filtered = world("ListContainerInstances", ecs.ListContainerInstancesRequest(filter="attribute:n == 3"))
        assert len(filtered.container_instance_arns) == 1
        drain = ecs.UpdateContainerInstancesStateRequest(container_instances=(arns[0],), status="DRAINING")
        world("UpdateContainerInstancesState", drain)
        draining = world("ListContainerInstances", ecs.ListContainerInstancesRequest(status="DRAINING"))
        assert draining.container_instance_arns == (arns[0],)
        world("DeregisterContainerInstance", ecs.DeregisterContainerInstanceRequest(container_instance=arns[1]))
        remaining = world("ListContainerInstances", ecs.ListContainerInstancesRequest())
        assert list(remaining.container_instance_arns) == [arns[0], *arns[2:]]

    def test_a_filter_that_is_none(self, world: World) -> None:
        with pytest.raises(AWSError) as caught:
            world("ListContainerInstances", ecs.ListContainerInstancesRequest(filter="attribute:"))
        assert caught.value.code == "InvalidParameterException"


class TestDraining:
    def test_pending_service_tasks_stop_at_once_and_nothing_else(self, world: World) -> None:
        instance = world.register()
        service = {"service_arn": "arn:service", "deployment_id": "ecs-svc/7"}
        pending = world.add_task(instance, 1, last_status="PENDING", **service)
        running = world.add_task(instance, 2, **service)
        alone = world.add_task(instance, 3, last_status="PENDING")
        request = ecs.UpdateContainerInstancesStateRequest(
            container_instances=(instance.container_instance_arn or "", "nobody"), status="DRAINING"
        )
        reply = world("UpdateContainerInstancesState", request)
        assert [i.status for i in reply.container_instances] == ["DRAINING"]
        assert [f.reason for f in reply.failures] == ["MISSING"]
        desired = {t.arn: t.desired_status for t in world.state.tasks}
        assert desired == {pending.arn: "STOPPED", running.arn: "RUNNING", alone.arn: "RUNNING"}
        stopped = world.state.tasks.get(pending.arn)
        assert stopped is not None
        assert stopped.stopped_reason == "Scaling activity initiated by (deployment ecs-svc/7)"
        back = ecs.UpdateContainerInstancesStateRequest(
            container_instances=(instance.container_instance_arn or "",), status="ACTIVE"
        )
        assert [i.status for i in world("UpdateContainerInstancesState", back).container_instances] == ["ACTIVE"]

    def test_only_two_statuses(self, world: World) -> None:
        request = ecs.UpdateContainerInstancesStateRequest(container_instances=("x",), status="REGISTERING")
        with pytest.raises(AWSError) as caught:
            world("UpdateContainerInstancesState", request)
        assert caught.value.code == "InvalidParameterException"

    def test_an_agent_drains_only_itself(self, world: World) -> None:
        instance = world.register()
        request = ecs.UpdateContainerInstancesStateRequest(
            container_instances=(instance.container_instance_arn or "",), status="DRAINING"
        )
        with pytest.raises(AWSError) as caught:
            world("UpdateContainerInstancesState", request, OTHER)
        assert caught.value.code == "AccessDeniedException"
        assert world("UpdateContainerInstancesState", request, AGENT).failures == ()


class TestDeregister:
    def test_running_tasks_stand_in_the_way(self, world: World) -> None:
        instance = world.register()
        task = world.add_task(instance)
        arn = instance.container_instance_arn or ""
        with pytest.raises(AWSError, match="Found running tasks on the instance") as caught:
            world("DeregisterContainerInstance", ecs.DeregisterContainerInstanceRequest(container_instance=arn))
        assert caught.value.code == "InvalidParameterException"
        assert world.record(arn).status == "ACTIVE"
        forced = ecs.DeregisterContainerInstanceRequest(container_instance=arn, force=True)
        reply = world("DeregisterContainerInstance", forced)
        assert reply.container_instance.status == "INACTIVE"
        gone = world.state.tasks.get(task.arn)
        assert gone is not None
        assert (gone.last_status, gone.stopped_reason) == (
            "STOPPED",
            "Container instance deregistration forced by user",
        )
        with pytest.raises(AWSError, match="not found"):
            world("DeregisterContainerInstance", forced)
        with pytest.raises(AWSError, match="not registered"):
            world.register(container_instance_arn=arn)


@pytest.mark.parametrize("connected", [False, True])
def test_the_last_instance_of_a_lost_machine_gives_up_its_fargate_tasks(world: World, *, connected: bool) -> None:
    instance = world.register()
    node = msgspec.structs.replace(world.node(instance), fargate_pool=True, agent_connected=connected)
    with world.state.transaction() as tx:
        tx.put(node)
    task = world.add_task(instance, launch_type="FARGATE", container_instance_arn=None)
    arn = instance.container_instance_arn or ""
    world("DeregisterContainerInstance", ecs.DeregisterContainerInstanceRequest(container_instance=arn, force=True))
    after = world.state.tasks.get(task.arn)
    assert after is not None
    assert after.last_status == ("RUNNING" if connected else "STOPPED")
    assert world.node(instance).fargate_pool is connected


def test_agents_are_not_updated(world: World) -> None:
    instance = world.register()
    with pytest.raises(AWSError, match="not supported by OpenECS") as caught:
        world(
            "UpdateContainerAgent",
            ecs.UpdateContainerAgentRequest(container_instance=instance.container_instance_arn or ""),
        )
    assert caught.value.code == "ClientException"


_texts = st.text(max_size=8)
_registrations = st.builds(
    ecs.RegisterContainerInstanceRequest,
    cluster=st.sampled_from([None, "default", "x", "arn:aws:ecs:x"]),
    container_instance_arn=st.none() | _texts,
    instance_identity_document=st.none() | _texts,
    attributes=st.lists(st.builds(ecs.Attribute, name=_texts, value=_texts | st.none()), max_size=3).map(tuple),
    total_resources=st.lists(
        st.builds(
            ecs.Resource,
            name=st.sampled_from(["CPU", "MEMORY", "PORTS", "", None]),
            integer_value=st.integers(-5, 2**40) | st.none(),
            string_set_value=st.lists(_texts).map(tuple) | st.none(),
        ),
        max_size=4,
    ).map(tuple),
)


@given(_registrations)
def test_registration_is_refused_or_done(request: ecs.RegisterContainerInstanceRequest) -> None:
    world = World()
    revision = world.state.store.revision
    try:
        world("RegisterContainerInstance", request, AGENT)
    except AWSError:
        assert world.state.store.revision == revision
    else:
        assert len(world.state.container_instances) == 1
