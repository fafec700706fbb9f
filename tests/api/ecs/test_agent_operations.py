from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.api.ecs.agent_operations import AgentOperations
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.node import Node
from openecs.model.resources import Resources
from openecs.model.task import NetworkInterface, Task, TaskContainer
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal

BASE = "arn:aws:ecs:us-east-1:111122223333:"
ARN = f"{BASE}task/lent/0123456789abcdef0123456789abcdef"
OWNER = Principal(arn="arn:aws:iam::111122223333:user/agent-1", kind="agent", access_key_id="AKIA1")
OTHER = Principal(arn="arn:aws:iam::111122223333:user/agent-2", kind="agent", access_key_id="AKIA2")
ROOT = Principal(arn="arn:aws:iam::111122223333:root", kind="root", access_key_id="AKIA0")


class World:
    """One PENDING task in the cluster ``lent``, on a node that registered in ``default``."""

    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.api = AgentOperations(self.state)
        eni = NetworkInterface(
            attachment_id="a-1",
            eni_id="eni-1",
            mac_address="0a:00:00:00:00:01",
            private_ipv4_address="10.0.0.9",
            private_dns_name="ip-10-0-0-9",
            subnet_id="subnet-1",
        )
        task = Task(
            arn=ARN,
            region="us-east-1",
            cluster_arn=f"{BASE}cluster/lent",
            task_definition_arn=f"{BASE}task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="PENDING",
            created_at=1.0,
            group="family:web",
            containers=(TaskContainer(arn="c", name="app", image="busybox"),),
            reservation=Resources(),
            node_id="n1",
            eni=eni,
        )
        with self.state.transaction() as tx:
            for name in ("default", "lent"):
                arn = f"{BASE}cluster/{name}"
                tx.put(Cluster(arn=arn, name=name, region="us-east-1", status="ACTIVE", created_at=1.0))
            tx.put(Node(id="n1", capacity=Resources(), owner=OWNER.arn))
            tx.put(task)

    def __call__(self, operation: str, request: Any, principal: Principal = OWNER) -> Any:
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account="111122223333",
            region="us-east-1",
            principal=principal,
            now=100.0,
            ids=SeededIds(),
            endpoint="http://10.0.0.1:4566",
        )
        return self.api.handlers()[operation](call, request)

    @property
    def task(self) -> Task:
        found = self.state.tasks.get(ARN)
        assert found is not None
        return found


@pytest.fixture
def world() -> World:
    return World()


def running(**members: Any) -> ecs.SubmitTaskStateChangeRequest:
    container = ecs.ContainerStateChange(container_name="app", status="RUNNING", runtime_id="c1")
    return ecs.SubmitTaskStateChangeRequest(
        **({"cluster": "default", "task": ARN, "status": "RUNNING", "containers": (container,)} | members)
    )


def test_endpoints_are_where_the_agent_reached_us(world: World) -> None:
    reply = world("DiscoverPollEndpoint", ecs.DiscoverPollEndpointRequest(cluster="default", container_instance="x"))
    assert reply.endpoint == "http://10.0.0.1:4566/_openecs/acs"
    assert reply.telemetry_endpoint == "http://10.0.0.1:4566/_openecs/tcs"


def test_a_report_changes_the_task_even_in_a_cluster_to_which_the_node_is_lent(world: World) -> None:
    assert world("SubmitTaskStateChange", running()).acknowledgment
    assert (world.task.last_status, world.task.started_at) == ("RUNNING", 100.0)
    assert world.task.containers[0].runtime_id == "c1"
    revision = world.state.store.revision
    world("SubmitTaskStateChange", running())
    assert world.state.store.revision == revision


def test_a_task_is_found_by_its_id_too(world: World) -> None:
    world("SubmitTaskStateChange", running(task="0123456789abcdef0123456789abcdef", cluster="lent"))
    assert world.task.last_status == "RUNNING"


def test_pulling_is_activating(world: World) -> None:
    world("SubmitTaskStateChange", running(status="MANIFEST_PULLED", containers=None))
    assert world.task.last_status == "ACTIVATING"


def test_attachments_come_in_both_operations(world: World) -> None:
    change = ecs.AttachmentStateChange(attachment_arn=f"{BASE}attachment/a-1", status="ATTACHED")
    world("SubmitTaskStateChange", running(status=None, containers=None, attachments=(change,)))
    assert world.task.eni is not None
    assert world.task.eni.status == "ATTACHED"
    other = World()
    other("SubmitAttachmentStateChanges", ecs.SubmitAttachmentStateChangesRequest(attachments=(change,)))
    assert other.task.eni is not None
    assert other.task.eni.status == "ATTACHED"
    unknown = ecs.AttachmentStateChange(attachment_arn=f"{BASE}attachment/b-2", status="ATTACHED")
    with pytest.raises(AWSError, match="Unknown attachments: b-2"):
        world("SubmitAttachmentStateChanges", ecs.SubmitAttachmentStateChangesRequest(attachments=(unknown,)))


def test_old_agents_report_single_containers(world: World) -> None:
    world("SubmitTaskStateChange", running())
    request = ecs.SubmitContainerStateChangeRequest(
        cluster="default", task=ARN, container_name="app", status="STOPPED", exit_code=7
    )
    world("SubmitContainerStateChange", request)
    assert (world.task.containers[0].exit_code, world.task.desired_status) == (7, "STOPPED")
    assert world.task.stop_code == "EssentialContainerExited"


@pytest.mark.parametrize(
    "members",
    [{"task": None}, {"task": ""}, {"task": f"{BASE}task/default/nobody"}, {"status": "FLYING"}],
)
def test_hopeless_reports_are_refused_so_that_agents_drop_them(world: World, members: dict[str, Any]) -> None:
    revision = world.state.store.revision
    with pytest.raises(AWSError) as caught:
        world("SubmitTaskStateChange", running(**members))
    assert caught.value.code == "InvalidParameterException"
    assert world.state.store.revision == revision


def test_only_its_own_agent_speaks_for_a_task(world: World) -> None:
    requests = {
        "SubmitTaskStateChange": running(),
        "SubmitContainerStateChange": ecs.SubmitContainerStateChangeRequest(
            task=ARN, container_name="app", status="STOPPED"
        ),
    }
    for operation, request in requests.items():
        with pytest.raises(AWSError) as caught:
            world(operation, request, OTHER)
        assert caught.value.code == "AccessDeniedException"
    assert world.task.last_status == "PENDING"
    world("SubmitTaskStateChange", running(), ROOT)
    assert world.task.last_status == "RUNNING"


_texts = st.text(max_size=6)
_containers = st.builds(
    ecs.ContainerStateChange,
    container_name=st.sampled_from(["app", "", None, "x"]),
    status=st.sampled_from(["PENDING", "RUNNING", "STOPPED", "odd", None]),
    runtime_id=_texts | st.none(),
    exit_code=st.integers(-(2**31), 2**31) | st.none(),
    reason=_texts | st.none(),
    network_bindings=st.lists(
        st.builds(
            ecs.NetworkBinding, host_port=st.integers(), protocol=st.sampled_from(get_args(ecs.TransportProtocol))
        )
    ).map(tuple)
    | st.none(),
)


@given(
    st.builds(
        ecs.SubmitTaskStateChangeRequest,
        task=st.sampled_from([ARN, "x", None, "arn:aws:ecs"]),
        cluster=st.sampled_from([None, "lent", "arn:x"]),
        status=_texts | st.sampled_from(["PENDING", "RUNNING", "STOPPED"]) | st.none(),
        reason=_texts | st.none(),
        containers=st.lists(_containers, max_size=3).map(tuple) | st.none(),
        pull_started_at=st.floats(allow_nan=False) | st.none(),
    )
)
def test_any_report_is_refused_or_taken(request: ecs.SubmitTaskStateChangeRequest) -> None:
    world = World()
    revision = world.state.store.revision
    try:
        world("SubmitTaskStateChange", request)
    except AWSError:
        assert world.state.store.revision == revision
