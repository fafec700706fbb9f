"""From agents' messages of traffic to AWS's metrics: names, dimensions, units, and who is heard."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from balancer_kit import BALANCER, ELB, HOST, Edge, group_arn, target_group
from control_kit import CLUSTER, PREFIX, REGION, World, new_service

from openecs.acs.telemetry_messages import PublishTrafficRequest, decode
from openecs.acs.traffic_messages import (
    BalancerTraffic,
    CallTraffic,
    FlowTraffic,
    GroupHealth,
    GroupTraffic,
    TargetTraffic,
)
from openecs.control.traffic import TrafficMetrics
from openecs.control.virtual_time import VirtualTime
from openecs.metrics.metric import Datum
from openecs.model.discovery import DiscoveryService
from openecs.model.resources import Resources
from openecs.model.target_group import HostView, Target, TargetHealth
from openecs.model.task import Task

NAME, GROUP = "app/front/50dc6c495c0c9188", "targetgroup/blue/73e2d6bc24d8a067"
MINUTE = 1_700_000_040.0
Shown = dict[tuple[str, tuple[tuple[str, str], ...]], list[Datum]]


class Told:
    """A load balancer on one host, whose messages go through the agent's frame."""

    def __init__(self, world: World, time: VirtualTime) -> None:
        self.world, self.time = world, time
        self.edge = Edge(world)
        self.published: list[Datum] = []
        self.metrics = TrafficMetrics(world.state, time, self.published.extend)

    def say(self, node: str = HOST, at: float = MINUTE + 60, **members: Any) -> Shown:
        """What a message is published as, by name and dimensions."""
        self.published.clear()
        said = PublishTrafficRequest(timestamp=at, **members)
        frame = b"Signed: x\r\n\r\n" + msgspec.json.encode({"type": "PublishTrafficRequest", "message": said})
        message = decode(frame)
        assert message == said
        self.metrics.take(node, message)
        found: Shown = {}
        for datum in self.published:
            found.setdefault((datum.key.name, datum.key.dimensions), []).append(datum)
        return found

    def targets(self, *states: Any) -> None:
        for number, state in enumerate(states):
            members = {"target_group_arn": group_arn(), "id": f"10.0.0.{number}", "port": 80}
            view = HostView(state=state, at=1.0)
            self.world.put(
                msgspec.structs.replace(target_group(), target_type="ip"),
                Target(registered_at=1.0, **members),
                TargetHealth(views={HOST: view}, healthy_at=1.0, **members),
            )


@pytest.fixture
def told(world: World, time: VirtualTime) -> Told:
    return Told(world, time)


def total(shown: Shown, name: str, **dimensions: str) -> float | None:
    """The sum of a metric; ``None`` when it is not there."""
    data = shown.get((name, tuple(sorted(dimensions.items()))))
    if data is None:
        return None
    return sum(one.sum + sum(v * n for v, n in zip(one.values, one.counts, strict=True)) for one in data)


def group(zone: str = "", **members: Any) -> dict[str, Any]:
    return {"groups": (GroupTraffic(target_group_arn=group_arn(), zone=zone, sent=TargetTraffic(**members)),)}


def test_requests_by_load_balancer_group_and_zone(told: Told) -> None:
    told.targets("healthy", "healthy", "unhealthy")
    shown = told.say(**group("a", requests=10, answered={2: 7, 5: 3}, failed={502: 1}, connect_errors=4))
    whole = {"LoadBalancer": NAME}
    for dims in (whole, whole | {"TargetGroup": GROUP}):
        for each in (dims, dims | {"AvailabilityZone": "a"}):
            assert total(shown, "RequestCount", **each) == 10
            assert total(shown, "HTTPCode_Target_2XX_Count", **each) == 7
            assert total(shown, "HTTPCode_Target_5XX_Count", **each) == 3
            assert total(shown, "HTTPCode_Target_4XX_Count", **each) is None
            assert total(shown, "TargetConnectionErrorCount", **each) == 4
    assert total(shown, "HTTPCode_ELB_502_Count", **whole) == 1
    # Two of the three targets get requests.
    assert total(shown, "RequestCountPerTarget", TargetGroup=GROUP) == 5
    assert total(shown, "RequestCountPerTarget", TargetGroup=GROUP, LoadBalancer=NAME) == 5
    (datum,) = shown["RequestCount", (("LoadBalancer", NAME),)]
    assert datum.key[:3] == (REGION, "AWS/ApplicationELB", "RequestCount")
    # Every request is a sample of 1.
    assert (datum.timestamp, datum.sample_count, datum.minimum, datum.maximum) == (MINUTE, 10, 1, 1)


def test_no_requests_are_told_too_and_other_zeros_are_not(told: Told) -> None:
    shown = told.say(**group())
    assert {name for name, _ in shown} == {"RequestCount", "RequestCountPerTarget"}
    assert total(shown, "RequestCount", LoadBalancer=NAME) == 0
    assert total(shown, "RequestCountPerTarget", LoadBalancer=NAME, TargetGroup=GROUP) == 0


def test_response_times_keep_their_percentiles(told: Told) -> None:
    shown = told.say(**group(requests=4, times=((345.0, 3), (2_000_000.0, 1))))
    (datum,) = shown["TargetResponseTime", (("LoadBalancer", NAME), ("TargetGroup", GROUP))]
    assert datum.values == pytest.approx((0.000345, 2.0))
    assert (datum.counts, datum.unit) == ((3, 1), "Seconds")


def test_what_clients_had(told: Told) -> None:
    flows = (
        FlowTraffic(protocol="HTTP", active=1.5, connections=4, processed_bytes=100),
        FlowTraffic(protocol="HTTPS", active=1.0, connections=1, processed_bytes=11),
    )
    said = BalancerTraffic(
        load_balancer_arn=BALANCER, zone="a", flows=flows, tls_errors=2, answered={3: 2, 4: 1, 5: 6}, direct=3
    )
    sent = group(active=0.5, connections=2)
    shown = told.say(balancers=(said,), **sent)
    whole = {"LoadBalancer": NAME}
    # Connections to targets are connections of the load balancer.
    assert total(shown, "ActiveConnectionCount", **whole) == 3.0
    assert total(shown, "NewConnectionCount", **whole) == 7
    assert total(shown, "ProcessedBytes", **whole) == 111
    for each in (whole, whole | {"AvailabilityZone": "a"}):
        assert [total(shown, f"HTTPCode_ELB_{digit}XX_Count", **each) for digit in (3, 4, 5)] == [2, 1, 6]
        assert total(shown, "HTTP_Redirect_Count", **each) == 2
        assert total(shown, "HTTP_Fixed_Response_Count", **each) == 1
        assert total(shown, "ClientTLSNegotiationErrorCount", **each) == 2


def test_grpc_requests_are_counted_apart(told: Told) -> None:
    told.world.put(msgspec.structs.replace(target_group(), protocol_version="GRPC"))
    assert total(told.say(**group(requests=3)), "GrpcRequestCount", LoadBalancer=NAME) == 3


def network(told: Told, *flows: FlowTraffic) -> Shown:
    balancer: Any = told.world.state.load_balancers.get(BALANCER)
    told.world.put(msgspec.structs.replace(balancer, type="network"))
    return told.say(balancers=(BalancerTraffic(load_balancer_arn=BALANCER, flows=flows),))


def test_flows_by_protocol_and_zone(told: Told) -> None:
    shown = network(
        told,
        FlowTraffic(protocol="TCP", zone="a", active=2, connections=5, processed_bytes=10),
        FlowTraffic(protocol="TCP", zone="b", active=1, connections=1, processed_bytes=20),
        FlowTraffic(protocol="TLS", zone="b", active=4, connections=2, processed_bytes=30),
    )
    assert {datum.key.namespace for datum in told.published} == {"AWS/NetworkELB"}
    whole = {"LoadBalancer": NAME}
    found = [total(shown, f"{name}_TCP", **whole) for name in ("ActiveFlowCount", "NewFlowCount", "ProcessedBytes")]
    assert found == [3, 6, 30]
    assert total(shown, "NewFlowCount_TLS", **whole) == 2
    assert total(shown, "NewFlowCount", **whole) == 8
    assert total(shown, "ActiveFlowCount", **whole, AvailabilityZone="b") == 5
    # One sample of a host for each: AWS's Average is over nodes.
    assert all(len(data) == 1 for data in shown.values())


def test_there_is_no_total_where_some_is_not_counted(told: Told) -> None:
    shown = network(told, FlowTraffic(protocol="TCP_UDP", connections=5), FlowTraffic(protocol="UDP", connections=1))
    assert {name for name, _ in shown} == {"NewFlowCount_TCP"}


def test_health_is_as_a_host_finds_it(told: Told) -> None:
    shown = told.say(health=(GroupHealth(target_group_arn=group_arn(), zone="a", healthy=2, unhealthy=1),))
    for dims in ({}, {"AvailabilityZone": "a"}):
        assert total(shown, "HealthyHostCount", LoadBalancer=NAME, TargetGroup=GROUP, **dims) == 2
        assert total(shown, "UnHealthyHostCount", LoadBalancer=NAME, TargetGroup=GROUP, **dims) == 1


@pytest.mark.parametrize(
    ("node", "at"),
    [("another", MINUTE + 60), (HOST, MINUTE - 4 * 3600), (HOST, MINUTE + 3600)],
    ids=["a host that does not run it", "too old", "of times to come"],
)
def test_who_is_not_heard(told: Told, node: str, at: float) -> None:
    everything = {
        "balancers": (BalancerTraffic(load_balancer_arn=BALANCER, tls_errors=1),),
        "health": (GroupHealth(target_group_arn=group_arn(), healthy=1),),
        **group(requests=1),
    }
    assert told.say(node, at, **everything) == {}
    gone = GroupTraffic(target_group_arn=f"{ELB}:targetgroup/gone/1", sent=TargetTraffic(requests=1))
    assert told.say(groups=(gone,)) == {}


def call(protocol: str, **members: Any) -> CallTraffic:
    task, sent = f"{PREFIX}:task/default/1", TargetTraffic(**members)
    return CallTraffic(task_arn=task, endpoint="ns-1/api", protocol=protocol, targets=2, sent=sent)


@pytest.fixture
def caller(told: Told) -> Told:
    """A task of the service ``web`` that calls ``api``, which a service of the same name offers."""
    world = told.world
    world.put(new_service(world, 1))
    service = world.service()
    world.put(msgspec.structs.replace(service, arn=f"{PREFIX}:service/default/backend", name="backend"))
    world.put(
        Task(
            arn=f"{PREFIX}:task/default/1",
            region=REGION,
            cluster_arn=CLUSTER,
            task_definition_arn=f"{PREFIX}:task-definition/web:1",
            launch_type="EC2",
            desired_status="RUNNING",
            last_status="RUNNING",
            created_at=1.0,
            group="service:web",
            containers=(),
            reservation=Resources(cpu=1, memory=1),
            service_arn=service.arn,
            node_id="n1",
        ),
        DiscoveryService(
            id="srv-1",
            arn="arn:srv-1",
            creator_request_id="1",
            type="HTTP",
            region=REGION,
            namespace_id="ns-1",
            name="api",
            owner_arn=f"{PREFIX}:service/default/backend",
            created_at=1.0,
        ),
    )
    return told


def test_calls_from_both_ends(caller: Told) -> None:
    sent = {"requests": 6, "connections": 1, "processed_bytes": 70, "answered": {2: 4, 5: 2}, "times": ((1000.0, 6),)}
    shown = caller.say("n1", calls=(call("grpc", **sent),))
    assert {datum.key.namespace for datum in caller.published} == {"AWS/ECS"}
    for serving in ({}, {"ServiceName": "backend", "ClusterName": "default"}):
        for name, value in (("RequestCount", 6), ("GrpcRequestCount", 6), ("ProcessedBytes", 70)):
            assert total(shown, name, DiscoveryName="api", **serving) == value
        assert total(shown, "NewConnectionCount", DiscoveryName="api", **serving) == 1
    for calling in ({}, {"ServiceName": "web", "ClusterName": "default"}):
        for name, value in (
            ("RequestCountPerTarget", 3),
            ("HTTPCode_Target_2XX_Count", 4),
            ("HTTPCode_Target_5XX_Count", 2),
            ("TargetProcessedBytes", 70),
            ("TargetResponseTime", pytest.approx(0.006)),
        ):
            assert total(shown, name, TargetDiscoveryName="api", **calling) == value


def test_tcp_has_no_requests(caller: Told) -> None:
    shown = caller.say("n1", calls=(call("tcp", connections=2, processed_bytes=5),))
    names = {name for name, _ in shown}
    assert names == {"ActiveConnectionCount", "NewConnectionCount", "ProcessedBytes", "TargetProcessedBytes"}


def test_a_node_speaks_for_its_own_tasks_only(caller: Told) -> None:
    assert caller.say("n2", calls=(call("http", requests=1),)) == {}
