"""Who observed a target and when: whose word counts, and until when."""

from __future__ import annotations

import pytest
from elb_kit import World
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openecs.acs import messages as m
from openecs.acs.host_documents import BalancerReport, HostReport, TargetsReport, TargetView
from openecs.control.balancer_endpoints import balancer_endpoints
from openecs.control.balancer_hosts import AWAY_LIMIT
from openecs.control.hosts import HostReports
from openecs.model.target_group import HostView, target_key

ADDRESS = "10.208.0.9"


def target(world: World, group: str) -> dict[str, object]:
    world("RegisterTargets", TargetGroupArn=group, Targets=[{"Id": ADDRESS}])
    return {"TargetGroupArn": group, "Targets": [{"Id": ADDRESS}]}


def views(world: World, group: str) -> dict[str, HostView]:
    health = world.state.target_health.get(target_key(group, ADDRESS, 80))
    return health.views if health is not None else {}


@pytest.fixture
def world() -> World:
    """Two hosts, one in each of two zones."""
    world = World()
    world.host("n1", "a")
    world.host("n2", "b")
    return world


def test_only_hosts_of_the_load_balancer_are_heard(world: World) -> None:
    balancer, _, group = world.serving(Subnets=None, SubnetMappings=[{"SubnetId": s} for s in world.subnets[:2]])
    other = world.balancer("other", Subnets=world.subnets[:1], Type="network")
    for arn in (balancer, other):
        world.balancers.reconcile(arn)
    (seat,) = world.state.interfaces.by("owner", other)
    stranger = "n2" if seat.node_id == "n1" else "n1"
    before = world.state.store.revision
    world.report(other, stranger)
    target(world, group)
    world.reports.take_targets("n3", group, TargetsReport(targets=(TargetView(id=ADDRESS, port=80, state="healthy"),)))
    assert len(world.state.balancer_hosts) == 0
    assert views(world, group) == {}
    assert world.state.store.revision == before + 1, "only the registration was written"
    for node in ("n1", "n2"):
        world.report(balancer, node)
        world.sees(group, "healthy", node)
    assert world.health(group) == [("healthy", None)]


def test_a_host_is_heard_when_the_interface_comes_to_it(world: World) -> None:
    """It has said what there is to say and will not say it again."""
    arn = world.balancer("one", Subnets=world.subnets[:1], Type="network")
    group = world.group("stream", Protocol="TCP")
    target(world, group)
    world.balancers.reconcile(arn)
    (seat,) = world.state.interfaces.by("owner", arn)
    first, second = ("n1", "n2") if seat.node_id == "n1" else ("n2", "n1")
    world.report(arn, second)
    world.sees(group, "healthy", second)
    world.listener(arn, group, Protocol="TCP")
    world.host(first, "a", problem="Envoy is missing")
    world.balancers.reconcile(arn)
    assert world.status(arn) == {"Code": "active"}
    world.sees(group, "healthy", second)
    assert world.health(group) == [("healthy", None)]
    assert set(views(world, group)) == {second}


def test_a_withdrawn_report_is_not_heard_later(world: World) -> None:
    arn = world.balancer("one", Subnets=world.subnets[:1], Type="network")
    world.balancers.reconcile(arn)
    (seat,) = world.state.interfaces.by("owner", arn)
    first, second = ("n1", "n2") if seat.node_id == "n1" else ("n2", "n1")
    world.report(arn, second)
    world.reports.take_balancer(second, arn, None)
    world.host(first, "a", problem="Envoy is missing")
    world.balancers.reconcile(arn)
    assert len(world.state.balancer_hosts) == 0


def test_nobody_knows_how_targets_are_when_the_only_host_stays_away(world: World) -> None:
    world.host("n2", "b", problem="it does not run as root")
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    target(world, group)
    world.report(balancer, "n1")
    world.sees(group, "healthy", "n1")
    world.host("n1", "a", connected=False)
    world.balancers.reconcile(balancer)
    world.clock.advance(AWAY_LIMIT - 1)
    world.balancers.reconcile(balancer)
    assert world.health(group) == [("healthy", None)], "its Envoy goes on while the agent is restarted"
    world.clock.advance(1)
    world.balancers.reconcile(balancer)
    assert world.health(group) == [("unavailable", "Elb.InternalError")]
    assert balancer_endpoints(world.state, balancer) == []
    world.host("n1", "a")
    world.report(balancer, "n1")
    assert world.health(group) == [("initial", "Elb.RegistrationInProgress")], "it has not said how targets are"
    world.sees(group, "healthy", "n1")
    assert world.health(group) == [("healthy", None)]


def test_what_has_drained_stays_drained_when_the_host_stays_away(world: World) -> None:
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    request = target(world, group)
    for node in ("n1", "n2"):
        world.report(balancer, node)
    world("DeregisterTargets", **request)
    world.sees(group, "draining", "n1", drained=True)
    world.sees(group, "draining", "n2")
    for node in ("n1", "n2"):
        world.host(node, connected=False)
    world.balancers.reconcile(balancer)
    world.clock.advance(AWAY_LIMIT)
    world.balancers.reconcile(balancer)
    assert set(views(world, group)) == {"n1"}


def test_a_target_is_healthy_from_when_its_hosts_serve(world: World) -> None:
    """Hosts probe before Envoy serves."""
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    target(world, group)
    world.sees(group, "healthy", "n1")
    key = target_key(group, ADDRESS, 80)
    assert world.state.target_health.get(key).healthy_at is None
    world.clock.advance(3)
    world.report(balancer, "n1")
    world.balancers.reconcile(balancer)
    assert world.health(group) == [("healthy", None)]
    assert world.state.target_health.get(key).healthy_at == world.clock.now()


def test_an_agent_that_starts_anew_has_not_taken_anything_back(world: World) -> None:
    """Its parts have not said anything yet when it connects."""
    balancer, _, group = world.serving()
    world.balancers.reconcile(balancer)
    target(world, group)
    for node in ("n1", "n2"):
        world.report(balancer, node)
        world.sees(group, "healthy", node)
    world.host("n1", "a", connected=False)
    world.host("n1", "a")
    world.board.open("n1", lambda: None).take(m.HostReportsMessage(all=True))
    world.balancers.reconcile(balancer)
    assert world.health(group) == [("healthy", None)]
    assert world.status(balancer) == {"Code": "active"}


def test_what_was_not_heard_is_not_kept_beyond_the_connection(world: World) -> None:
    arn = world.balancer("one", Subnets=world.subnets[:1], Type="network")
    world.balancers.reconcile(arn)
    (seat,) = world.state.interfaces.by("owner", arn)
    first, second = ("n1", "n2") if seat.node_id == "n1" else ("n2", "n1")
    world.report(arn, second)
    world.host(second, connected=False)
    world.host(second)
    world.host(first, "a", problem="Envoy is missing")
    world.balancers.reconcile(arn)
    assert len(world.state.balancer_hosts) == 0


def test_a_host_of_a_forgotten_node_is_not_kept(world: World) -> None:
    hosts = HostReports(world.state)
    hosts.take("n9", "", HostReport(address="192.0.2.9"))
    assert world.state.hosts.get("n9") is None


NODES = st.sampled_from(["n1", "n2", "n3"])


class Observed(RuleBasedStateMachine):
    """A load balancer whose hosts come and go, beside a model of who said what when."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        for node, zone in (("n1", "a"), ("n2", "b"), ("n3", "c")):
            self.world.host(node, zone)
        self.balancer, _, self.group = self.world.serving()
        target(self.world, self.group)
        self.away: dict[str, float] = {}
        self.ready: set[str] = set()
        self.seen: dict[str, str] = {}
        self.was_healthy = False
        self.settle()

    def holders(self) -> set[str]:
        return {i.node_id for i in self.world.state.interfaces.by("owner", self.balancer) if i.node_id}

    def settle(self) -> None:
        self.world.balancers.reconcile(self.balancer)
        holders, now = self.holders(), self.world.clock.now()
        for node, since in self.away.items():
            if node not in holders or now - since >= AWAY_LIMIT:
                self.ready.discard(node)
                self.seen.pop(node, None)
        # A host that hears that it runs nothing withdraws what it said.
        for node in {"n1", "n2", "n3"} - holders - set(self.away):
            self.world.reports.take_balancer(node, self.balancer, None)
            self.world.reports.take_targets(node, self.group, None)
            self.ready.discard(node)
            self.seen.pop(node, None)

    @rule(node=NODES)
    def leaves(self, node: str) -> None:
        self.world.host(node, "abc"[int(node[1]) - 1], connected=False)
        self.away.setdefault(node, self.world.clock.now())
        self.settle()

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def comes_back(self, data: st.DataObject) -> None:
        node = data.draw(st.sampled_from(sorted(self.away)))
        self.world.host(node, "abc"[int(node[1]) - 1])
        del self.away[node]
        self.settle()

    @rule(seconds=st.sampled_from([1.0, AWAY_LIMIT / 2, AWAY_LIMIT]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.settle()

    @rule(node=NODES, ready=st.booleans())
    def serves(self, node: str, ready: bool) -> None:
        if node in self.away:
            return
        self.world.reports.take_balancer(node, self.balancer, BalancerReport(ready=ready))
        if node in self.holders():
            (self.ready.add if ready else self.ready.discard)(node)
        self.settle()

    @rule(node=NODES, state=st.sampled_from(["healthy", "unhealthy", "initial"]))
    def looks(self, node: str, state: str) -> None:
        if node in self.away:
            return
        self.world.sees(self.group, state, node)
        if node in self.holders():
            self.seen[node] = state
        self.settle()

    @invariant()
    def the_state_is_what_those_say_who_can_know(self) -> None:
        serving = self.ready & self.holders()
        said = [self.seen[node] for node in serving if node in self.seen]
        complete = len(said) == len(serving)
        if not said:
            expected = "unavailable" if self.was_healthy and not serving else "initial"
        elif set(said) == {"healthy"}:
            self.was_healthy = self.was_healthy or complete
            expected = "healthy" if self.was_healthy else "initial"
        else:
            expected = "unhealthy" if "unhealthy" in said else "initial"
        ((found, _),) = self.world.health(self.group)
        assert found == expected
        assert set(views(self.world, self.group)) == set(self.seen)
        assert {host.node_id for host in self.world.state.balancer_hosts if host.ready} == self.ready


Observed.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_who_observed_what = Observed.TestCase
