"""Traffic is shifted by listener rules, and nothing goes on before every host of the load balancer has them."""

from __future__ import annotations

import msgspec
import pytest
from balancer_kit import BALANCER, ELB, HOST, Edge, balanced_loops, group_arn, target_group
from control_kit import World, definition, deployment, new_service

from openecs.acs.host_documents import BalancerDocument, BalancerReport
from openecs.api.ecs import service_records as records
from openecs.control.balancer_documents import BalancerDocuments
from openecs.control.balancer_reports import BalancerReports
from openecs.control.balancer_revision import in_force, routing_revision
from openecs.control.virtual_time import VirtualTime
from openecs.model import balancer_arns
from openecs.model.load_balancer import BalancerHost, Listener
from openecs.model.service_deployment import ServiceDeployment
from openecs.model.traffic_shift import TrafficShift
from openecs.planning import target_slots
from openecs.shapes import ecs, elbv2

LISTENER = f"{ELB}:listener/app/front/50dc6c495c0c9188/blue"
PAIR = (
    ecs.LoadBalancer(
        target_group_arn=group_arn("blue"),
        container_name="web",
        container_port=80,
        advanced_configuration=ecs.AdvancedConfiguration(
            alternate_target_group_arn=group_arn("green"),
            production_listener_rule=balancer_arns.default_rule(LISTENER),
        ),
    ),
)
PAUSE = ecs.DeploymentLifecycleHook(target_type="PAUSE", lifecycle_stages=("POST_PRODUCTION_TRAFFIC_SHIFT",))


class Shifting:
    """A service with two tasks of its first revision behind the load balancer, complete."""

    def __init__(self, world: World, edge: Edge, time: VirtualTime) -> None:
        self.world, self.edge, self.time = world, edge, time
        #: Whether the host has what it is told.
        self.hears = True

    def settings(self, **more: object) -> ecs.DeploymentConfiguration:
        return ecs.DeploymentConfiguration(
            strategy="BLUE_GREEN", maximum_percent=200, minimum_healthy_percent=100, bake_time_in_minutes=0, **more
        )

    def start(self, **more: object) -> None:
        done = deployment(1, self.world.clock.now(), load_balancers=PAIR, rollout_state="COMPLETED")
        configuration = self.settings(**more)
        self.world.put(
            new_service(self.world, 2, deployments=(done,), last_completed=done, deployment_configuration=configuration)
        )

    def update(self, number: int) -> str:
        """A new deployment, as UpdateService makes it; its ARN."""
        service = self.world.service()
        arn = f"{service.arn.replace(':service/', ':service-deployment/')}/{number}"
        base = target_slots.base(service)
        assert base is not None
        begun = deployment(
            number,
            self.world.clock.now(),
            load_balancers=PAIR,
            alternate=not base.alternate,
            revision_arn=f"r/{number}",
        )
        attempt = records.service_deployment(service, begun, arn, ("r/1",))
        older = tuple(msgspec.structs.replace(d, status="ACTIVE") for d in service.deployments)
        self.world.put(
            records.revision(service, begun),
            attempt,
            msgspec.structs.replace(
                service, deployments=(begun, *older), service_deployment_arn=arn, production_id=base.id
            ),
        )
        return arn

    def attempt(self, arn: str) -> ServiceDeployment:
        found = self.world.state.service_deployments.get(arn)
        assert found is not None
        return found

    def shift(self, arn: str) -> TrafficShift:
        found = self.attempt(arn).shift
        assert found is not None
        return found

    def weights(self) -> dict[str, int | None]:
        (action,) = self.listener().default_actions
        groups = action.forward_config.target_groups if action.forward_config is not None else None
        return {(g.target_group_arn or "").split("/")[1]: g.weight for g in groups or ()}

    def listener(self) -> Listener:
        found = self.world.state.listeners.get(LISTENER)
        assert found is not None
        return found

    def goes_well(self) -> bool:
        changed = self.edge.all_goes_well()
        host = self.world.state.balancer_hosts.get(f"{BALANCER}|{HOST}")
        assert isinstance(host, BalancerHost)
        now = routing_revision(self.world.state, BALANCER)
        if self.hears and host.applied != now:
            self.world.put(msgspec.structs.replace(host, applied=now))
            return True
        return changed

    async def until(self, what: object) -> None:
        def done() -> bool:
            quiet = not self.goes_well()
            return quiet and what()  # type: ignore[operator]

        await self.time.run_until(done, within=3600)

    async def quiet(self) -> None:
        """Nothing is left to do for those who do as they are told."""
        for _ in range(20):
            await self.until(lambda: True)
            await self.time.advance(1)


@pytest.fixture
def shifting(time: VirtualTime) -> Shifting:
    world = World(time)
    world.put(definition(1, network_mode="bridge"), definition(2, network_mode="bridge"))
    for name in "abc":
        world.add_node(name)
    edge = Edge(world)
    world.put(target_group("green"))
    return Shifting(world, edge, time)


async def test_traffic_moves_by_weights_and_the_hosts_are_waited_for(shifting: Shifting, time: VirtualTime) -> None:
    async with balanced_loops(shifting.world, time):
        shifting.start()
        await shifting.until(lambda: shifting.world.service().steady)
        arn = shifting.update(2)
        await time.run_until(lambda: shifting.shift(arn).stage == "SCALE_UP")
        shifting.hears = False
        await shifting.quiet()
        assert shifting.weights() == {"blue": 0, "green": 100}
        assert shifting.shift(arn).stage == "PRODUCTION_TRAFFIC_SHIFT"
        assert len(shifting.world.running(1)) == 2
        shifting.hears = True
        await shifting.until(lambda: shifting.attempt(arn).status == "SUCCESSFUL")
    assert not shifting.world.running(1)
    assert len(shifting.world.running(2)) == 2
    assert [d.id for d in shifting.world.service().deployments] == ["ecs-svc/2"]


async def test_the_new_target_group_is_named_before_it_gets_anything(shifting: Shifting, time: VirtualTime) -> None:
    async with balanced_loops(shifting.world, time):
        shifting.start()
        await shifting.until(lambda: shifting.world.service().steady)
        shifting.hears = False
        shifting.update(2)
        await time.run_until(lambda: "green" in shifting.weights())
        assert shifting.weights() == {"blue": 100, "green": 0}


async def test_a_rollback_and_what_others_do_to_the_rule(shifting: Shifting, time: VirtualTime) -> None:
    async with balanced_loops(shifting.world, time):
        shifting.start(lifecycle_hooks=(PAUSE,))
        await shifting.until(lambda: shifting.world.service().steady)
        arn = shifting.update(2)
        await shifting.until(lambda: bool(shifting.shift(arn).hooks))
        assert shifting.weights() == {"blue": 0, "green": 100}
        other = (elbv2.Action(type="forward", target_group_arn=group_arn("blue")),)
        shifting.world.put(msgspec.structs.replace(shifting.listener(), default_actions=other))
        await shifting.until(lambda: shifting.weights() == {"blue": 0, "green": 100})
        shifting.world.put(msgspec.structs.replace(shifting.attempt(arn), stop_requested="ROLLBACK"))
        await shifting.until(lambda: shifting.attempt(arn).status == "ROLLBACK_SUCCESSFUL")
        assert shifting.weights() == {"blue": 100, "green": 0}
        await shifting.quiet()
    assert len(shifting.world.running(1)) == 2
    assert not shifting.world.running(2)


async def test_a_rule_that_forwards_no_more_is_told(shifting: Shifting, time: VirtualTime) -> None:
    async with balanced_loops(shifting.world, time):
        shifting.start()
        await shifting.until(lambda: shifting.world.service().steady)
        shifting.world.put(
            msgspec.structs.replace(shifting.listener(), default_actions=(elbv2.Action(type="redirect"),))
        )
        shifting.update(2)
        await shifting.quiet()
    assert any("was unable to shift traffic in (listener-rule " in event for event in shifting.world.events())


def test_a_routing_revision_is_in_force_when_every_host_says_so(shifting: Shifting) -> None:
    state = shifting.world.state
    before = routing_revision(state, BALANCER)
    assert not in_force(state, BALANCER)
    shifting.goes_well()
    assert in_force(state, BALANCER)
    shifting.world.put(msgspec.structs.replace(shifting.listener(), port=81))
    assert routing_revision(state, BALANCER) != before
    assert not in_force(state, BALANCER)


def test_hosts_are_told_the_routing_revision_and_say_which_is_in_force(shifting: Shifting, time: VirtualTime) -> None:
    state = shifting.world.state
    placed = BalancerDocuments(state, str).render("balancer", BALANCER)
    assert placed is not None
    assert isinstance(placed.document, BalancerDocument)
    assert placed.document.revision == routing_revision(state, BALANCER)
    report = BalancerReport(ready=True, applied=placed.document.revision)
    BalancerReports(state, time).take_balancer(HOST, BALANCER, report)
    assert in_force(state, BALANCER)
