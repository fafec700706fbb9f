"""From counters that only grow to the messages of a minute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerInterface,
    BalancerListener,
    ConnectDocument,
    ConnectTarget,
    HealthCheckDocument,
    TargetEntry,
    TargetGroupDocument,
    TargetView,
)
from openecs.acs.task_payload import ConnectAlias, ConnectPayload
from openecs.acs.traffic_messages import GroupHealth, PublishTrafficRequest, TargetTraffic
from openecs.agent.edge.connect_render import ConnectPart, short
from openecs.agent.edge.edge_stats import ClusterCounters, EdgeCounters, ListenerCounters
from openecs.agent.edge.proxy import Part, Serving
from openecs.agent.edge.traffic import ENTRIES, Tally
from openecs.agent.edge.traffic_owners import owners

ELB = "arn:aws:elasticloadbalancing:eu-west-1:1"
WEB, NET = f"{ELB}:loadbalancer/app/web/1", f"{ELB}:loadbalancer/net/nlb/2"
GROUP, FLOWS = f"{ELB}:targetgroup/web/3", f"{ELB}:targetgroup/nlb/4"
TASK = "arn:task/1"
NOTHING = EdgeCounters({}, {})


def balancer(kind: Any, listener: str, protocol: Any, zones: str) -> BalancerDocument:
    interfaces = tuple(
        BalancerInterface(interface_id=zone, subnet_id=zone, availability_zone=zone, address=zone) for zone in zones
    )
    return BalancerDocument(
        name="x",
        type=kind,
        scheme="internal",
        vpc_id="vpc",
        dns_name="x",
        interfaces=interfaces,
        addresses=(),
        listeners=(BalancerListener(arn=f"{ELB}:listener/{listener}", port=80, protocol=protocol, rules=()),),
    )


def group(owner: str, **members: Any) -> TargetGroupDocument:
    return TargetGroupDocument(
        name="g",
        protocol="HTTP",
        port=80,
        target_type="ip",
        load_balancer_arn=owner,
        health_check=HealthCheckDocument(protocol="HTTP"),
        **members,
    )


def serving(zones: str = "a") -> Serving:
    call = ConnectPayload((ConnectAlias("api", "127.255.0.1", 80, "ns-1/api", "http"),), ())
    return Serving(
        parts=(
            Part(WEB, balancer("application", "app/web/1/9", "HTTP", zones), Path("/x"), {}),
            Part(NET, balancer("network", "net/nlb/2/8", "TLS", zones), Path("/x"), {}),
        ),
        groups={GROUP: group(WEB), FLOWS: group(NET)},
        certificates={},
        routes={},
        edge_address="127.0.0.1",
        connect=(ConnectPart(TASK, Path("/x"), call),),
        connect_endpoints={
            "ns-1/api": ConnectDocument(
                targets=(ConnectTarget(address="a", port=1), ConnectTarget(address="b", port=1, draining=True))
            )
        },
    )


def told(
    *looks: EdgeCounters, zones: str = "a", tally: Tally | None = None, views: Mapping[str, Any] | None = None
) -> PublishTrafficRequest:
    tally = tally or Tally()
    for look in looks:
        tally.look(look)
    (message,) = tally.cut(owners(serving(zones)), serving(zones), views or {}, 60.0)
    return message


def clusters(**members: Any) -> EdgeCounters:
    return EdgeCounters({}, {"web/3": ClusterCounters(**members)})


def sent(message: PublishTrafficRequest) -> TargetTraffic:
    (one,) = message.groups
    assert one.target_group_arn == GROUP
    return one.sent


def test_what_had_been_counted_before_is_not_told() -> None:
    before = clusters(requests=100, answered={2: 100}, times={5.0: 100})
    now = clusters(requests=103, answered={2: 101, 4: 2}, times={5.0: 101, 7.5: 2})
    assert sent(told(before, now)) == TargetTraffic(requests=3, answered={2: 1, 4: 2}, times=((5.0, 1), (7.5, 2)))


def test_a_smaller_number_is_a_new_beginning() -> None:
    assert sent(told(NOTHING, clusters(requests=100), clusters(requests=130), clusters(requests=4))).requests == 134


def test_connections_are_a_mean_over_looks() -> None:
    message = told(NOTHING, clusters(active=2), clusters(active=4), clusters(active=0))
    assert sent(message).active == 2


def test_answers_in_a_targets_place_are_not_the_targets() -> None:
    found = sent(told(NOTHING, clusters(answered={2: 4, 5: 3}, failed={502: 1, 504: 1})))
    assert found.answered == {2: 4, 5: 1}
    assert found.failed == {502: 1, 504: 1}


def test_requests_without_a_target_are_not_counted() -> None:
    assert sent(told(NOTHING, clusters(requests=5, unserved=2))).requests == 3


def test_what_the_load_balancer_answered_itself() -> None:
    listeners = {
        "app/web/1/9@all": ListenerCounters(connections=3, answered={2: 4, 3: 1, 5: 2}, direct=1),
        "app/web/1/9@outside": ListenerCounters(connections=2, answered={2: 1}),
    }
    cluster = ClusterCounters(answered={2: 5, 5: 2}, failed={503: 1})
    (found,) = told(NOTHING, EdgeCounters(listeners, {"web/3": cluster})).balancers
    assert (found.load_balancer_arn, found.zone, found.direct) == (WEB, "a", 1)
    assert found.answered == {3: 1, 5: 1}
    (flow,) = found.flows
    assert (flow.protocol, flow.zone, flow.connections) == ("HTTP", "a", 5)


def test_an_answer_that_clients_have_not_had_yet_is_nobodys_own() -> None:
    tally = Tally()

    def counted(of_listener: int, of_targets: int) -> EdgeCounters:
        listener = {"app/web/1/9@all": ListenerCounters(answered={5: of_listener})}
        return EdgeCounters(listener, {"web/3": ClusterCounters(answered={5: of_targets})})

    (first,) = told(NOTHING, counted(3, 4), tally=tally).balancers
    (second,) = told(counted(5, 5), tally=tally).balancers
    assert (first.answered, second.answered) == ({}, {})


@pytest.mark.parametrize(("zones", "label", "zone"), [("a", "all", "a"), ("ab", "all", ""), ("ab", "b", "b")])
def test_flows_are_of_a_zone_where_one_is_known(zones: str, label: str, zone: str) -> None:
    listener = {f"net/nlb/2/8@{label}": ListenerCounters(connections=1, processed_bytes=9, tls_errors=2)}
    (found,) = told(NOTHING, EdgeCounters(listener, {}), zones=zones).balancers
    assert found.tls_errors == 2
    assert [(flow.protocol, flow.zone, flow.processed_bytes) for flow in found.flows] == [("TLS", zone, 9)]


def test_a_cluster_of_a_zone_belongs_to_its_group() -> None:
    message = told(NOTHING, EdgeCounters({}, {"nlb/4@b": ClusterCounters(connections=1)}), zones="ab")
    assert [(one.target_group_arn, one.zone) for one in message.groups] == [(FLOWS, "b")]


def test_calls_are_the_tasks_that_made_them() -> None:
    names = [f"connect/ns-1/api@{short(TASK)}", f"connect/ns-1/api/alternate@{short(TASK)}", "connect/ns-1/api@gone"]
    message = told(NOTHING, EdgeCounters({}, {name: ClusterCounters(requests=2) for name in names}))
    assert [(one.task_arn, one.endpoint, one.protocol, one.sent.requests) for one in message.calls] == [
        (TASK, "ns-1/api", "http", 2)
    ] * 2
    # One of the two targets is draining.
    assert {one.targets for one in message.calls} == {1}


def test_health_is_told_by_zone_and_only_where_somebody_looks() -> None:
    targets = tuple(
        TargetEntry(id=f"{zone}{n}", port=1, address="x", availability_zone=zone) for zone in "ab" for n in "12"
    )
    states = {"a1": "healthy", "a2": "unhealthy", "b1": "draining", "b2": "healthy"}
    views = {(key, 1): TargetView(id=key, port=1, state=state) for key, state in states.items()}  # type: ignore[arg-type]
    probed = group(WEB, targets=targets)
    unprobed = TargetGroupDocument(
        name="g",
        protocol="HTTP",
        port=80,
        target_type="ip",
        load_balancer_arn=WEB,
        health_check=HealthCheckDocument(protocol="HTTP", enabled=False),
        targets=targets,
    )
    known = serving()._replace(groups={GROUP: probed, FLOWS: unprobed})
    (message,) = Tally().cut({}, known, {GROUP: views, FLOWS: views}, 60.0)
    assert message.health == (
        GroupHealth(target_group_arn=GROUP, zone="a", healthy=1, unhealthy=1),
        GroupHealth(target_group_arn=GROUP, zone="b", healthy=1, unhealthy=0),
    )


def test_much_is_told_in_several_messages() -> None:
    known = serving()._replace(groups={f"{ELB}:targetgroup/web/{n}": group(WEB) for n in range(ENTRIES + 1)})
    tally = Tally()
    tally.look(NOTHING)
    tally.look(EdgeCounters({}, {f"web/{n}": ClusterCounters(requests=n) for n in range(ENTRIES + 1)}))
    messages = list(tally.cut(owners(known), known, {}, 60.0))
    assert [len(message.groups) for message in messages] == [ENTRIES, 1]
    assert [one.sent.requests for message in messages for one in message.groups] == list(range(ENTRIES + 1))
