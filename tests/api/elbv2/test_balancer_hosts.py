"""Load balancers on hosts: places, states, and what hosts are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from elb_kit import REGION, World

from openecs.acs.host_documents import DOCUMENTS, BalancerReport
from openecs.control.balancer_endpoints import balancer_endpoints
from openecs.control.balancer_hosts import AWAY_LIMIT, BLINK
from openecs.control.loop import After, Done


@pytest.fixture
def world() -> World:
    return World()


def told(world: World, node: str) -> dict[tuple[str, str], Any]:
    """The documents that a host has, as its agent reads them."""
    found: dict[tuple[str, str], Any] = {}
    link = world.board.open(node, lambda: None)
    for message in link.news():
        for entry in message.entries:
            found[entry.kind, entry.key] = msgspec.json.decode(bytes(entry.body), type=DOCUMENTS[entry.kind])
    link.close()
    return found


def test_it_waits_for_a_host_and_says_why(world: World) -> None:
    arn = world.balancer()
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "provisioning", "Reason": "No host has joined this installation."}
    world.host(problem="it does not run as root")
    world.balancers.reconcile(arn)
    assert world.status(arn)["Reason"].endswith("can run load balancers: it does not run as root.")
    world.host()
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "provisioning"}
    assert {i.node_id for i in world.state.interfaces.by("owner", arn)} == {"n1"}
    world.report(arn, ready=False, problem="no room for port 80")
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "provisioning", "Reason": "n1: no room for port 80"}
    world.report(arn)
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "active"}


def test_interfaces_move_when_their_host_stays_away(world: World) -> None:
    world.host("n1", "a")
    world.host("n2", "b")
    arn = world.balancer()
    world.balancers.reconcile(arn)
    before = {i.availability_zone: (i.node_id, i.private_ip) for i in world.state.interfaces.by("owner", arn)}
    assert [before[f"{REGION}{zone}"][0] for zone in "ab"] == ["n1", "n2"]
    for node in ("n1", "n2"):
        world.report(arn, node)
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "active"}
    world.host("n1", "a", connected=False)
    # Agents renew their connections: that is not worth telling.
    assert world.balancers.reconcile(arn) == After(BLINK)
    assert world.status(arn) == {"Code": "active"}
    world.clock.advance(BLINK)
    assert world.balancers.reconcile(arn) == After(AWAY_LIMIT - BLINK)
    assert world.status(arn) == {"Code": "active_impaired", "Reason": "The agent of host n1 is not connected."}
    world.clock.advance(AWAY_LIMIT - BLINK)
    assert world.balancers.reconcile(arn) == Done()
    after = {i.availability_zone: (i.node_id, i.private_ip) for i in world.state.interfaces.by("owner", arn)}
    assert after == {zone: ("n2", address) for zone, (_, address) in before.items()}
    assert world.status(arn) == {"Code": "active"}


def test_hosts_are_told_of_what_they_run_and_nobody_else_is(world: World) -> None:
    world.host("n1", "a")
    world.host("n2", "b")
    balancer = world.balancer("one", Subnets=world.subnets[:1], Type="network")
    group = world.group("stream", Protocol="TCP")
    listener = world.listener(balancer, group, Protocol="TCP")
    world("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": "10.208.0.9"}])
    assert {kind for kind, _ in told(world, "n1")} == {"zone", "name"}
    world.balancers.reconcile(balancer)
    (interface,) = world.state.interfaces.by("owner", balancer)
    runs, other = ("n1", "n2") if interface.node_id == "n1" else ("n2", "n1")
    documents = told(world, runs)
    assert {kind for kind, _ in told(world, other)} == {"zone", "name"}
    document = documents["balancer", balancer]
    assert [(each.node_id, each.address) for each in document.interfaces] == [(runs, interface.private_ip)]
    assert [(each.arn, each.port, len(each.rules)) for each in document.listeners] == [(listener, 80, 1)]
    assert document.attributes["deletion_protection.enabled"] == "false"
    told_group = documents["target-group", group]
    assert [(t.id, t.port, t.address) for t in told_group.targets] == [("10.208.0.9", 80, "10.208.0.9")]
    assert told_group.load_balancer_arn == balancer
    assert told_group.attributes["deregistration_delay.timeout_seconds"] == "300"
    name = document.dns_name.lower()
    assert documents["name", f"*/{name}"].a == (interface.private_ip,)
    world("DeleteLoadBalancer", LoadBalancerArn=balancer)
    assert {kind for kind, _ in told(world, runs)} == {"zone"}


def test_every_change_reaches_the_hosts(world: World) -> None:
    world.host()
    balancer, listener, group = world.serving()
    world.balancers.reconcile(balancer)

    def document(kind: str, key: str) -> Any:
        return told(world, "n1")[kind, key]

    rule = world.rule(listener, 7)
    assert [r.priority for r in document("balancer", balancer).listeners[0].rules] == [7, 0]
    world("SetRulePriorities", RulePriorities=[{"RuleArn": rule, "Priority": 9}])
    assert [r.priority for r in document("balancer", balancer).listeners[0].rules] == [9, 0]
    world("ModifyRule", RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": world.group("green")}])
    assert {key for kind, key in told(world, "n1") if kind == "target-group"} == {
        each["TargetGroupArn"] for each in world("DescribeTargetGroups")["TargetGroups"]
    }
    on = [{"Key": "routing.http2.enabled", "Value": "false"}]
    world("ModifyLoadBalancerAttributes", LoadBalancerArn=balancer, Attributes=on)
    assert document("balancer", balancer).attributes["routing.http2.enabled"] == "false"
    world("ModifyTargetGroup", TargetGroupArn=group, HealthCheckPath="/other")
    assert document("target-group", group).health_check.path == "/other"
    target = {"TargetGroupArn": group, "Targets": [{"Id": "10.208.0.9"}]}
    world("RegisterTargets", **target)
    world("DeregisterTargets", **target)
    assert document("target-group", group).targets[0].draining_since == world.clock.now()


def test_names_answer_with_the_addresses_that_serve(world: World) -> None:
    world.host("n1", "a")
    world.host("n2", "b")
    arn = world.balancer()
    world.balancers.reconcile(arn)
    balancer = world.state.load_balancers.get(arn)
    assert balancer is not None
    addresses = {i.node_id: i.private_ip for i in world.state.interfaces.by("owner", arn)}
    key = ("name", f"*/{balancer.dns_name}")
    assert set(told(world, "n1")[key].a) == set(addresses.values())
    world.report(arn, "n2")
    assert told(world, "n1")[key].a == (addresses["n2"],)
    world.report(arn, "n1")
    assert set(told(world, "n1")[key].a) == set(addresses.values())
    # A host whose agent is away may be dead; its address is left out as long as others serve.
    world.host("n2", "b", connected=False)
    world.balancers.reconcile(arn)
    assert set(told(world, "n1")[key].a) == set(addresses.values())
    world.clock.advance(BLINK)
    world.balancers.reconcile(arn)
    assert told(world, "n1")[key].a == (addresses["n1"],)
    world.host("n1", "a", connected=False)
    world.clock.advance(BLINK)
    world.balancers.reconcile(arn)
    assert set(told(world, "n1")[key].a) == set(addresses.values())


def test_late_reports_of_what_is_gone_leave_nothing(world: World) -> None:
    world.host()
    balancer, _, group = world.serving()
    world("DeleteLoadBalancer", LoadBalancerArn=balancer)
    world.report(balancer)
    world.sees(group, "healthy")
    assert len(world.state.balancer_hosts) == len(world.state.target_health) == 0


def test_a_host_that_is_gone_leaves_nothing_behind() -> None:
    world = World()
    for node in ("n1", "n2"):
        world.host(node, "a")
    balancer = world.balancer("one", Subnets=world.subnets[:1], Type="network")
    listener = world.listener(balancer, world.group("s", Protocol="TCP"), Protocol="TCP")
    world.balancers.reconcile(balancer)

    def lives_on() -> str:
        (interface,) = world.state.interfaces.by("owner", balancer)
        assert interface.node_id is not None
        return interface.node_id

    first = lives_on()
    world.reports.take_balancer(first, balancer, BalancerReport(ready=True, endpoints={listener: "127.0.0.1:1"}))
    world.balancers.reconcile(balancer)
    world.host(first, "a", connected=False)
    world.balancers.reconcile(balancer)
    world.clock.advance(AWAY_LIMIT)
    world.balancers.reconcile(balancer)
    assert lives_on() != first
    world.balancers.reconcile(balancer)
    assert [host.node_id for host in world.state.balancer_hosts.by("load_balancer", balancer)] == []
    assert balancer_endpoints(world.state, balancer) == []
