"""A load balancer of the simulation: one host that probes targets and lets them drain, as it likes.

It lives outside of every process: traffic flows while the control plane is down, and what its host
sees is told to every new incarnation.  A target is healthy while the container behind it runs on
its engine; now and then one is unhealthy until it is replaced, and now and then one never drains.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
from simulated_control_plane import ACCOUNT, REGION, ControlPlane

from openecs.model.load_balancer import BalancerHost, Listener, LoadBalancer
from openecs.model.network_interface import Interface
from openecs.model.target_group import HealthCheck, HostView, Target, TargetGroup, TargetHealth
from openecs.shapes import ecs, elbv2
from openecs.state.store import Notice

if TYPE_CHECKING:
    from simulation import World

HOST = "edge"
_ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
BALANCER = f"{_ELB}:loadbalancer/app/front/50dc6c495c0c9188"
#: Families of tasks that may be behind the load balancer → their target group's type.
BALANCED = {"dynamic": "instance", "vpc": "ip", "fargate": "ip"}
#: Seconds after which a target is taken out that never drains.
DELAY = 15.0
#: Seconds between two looks at a target.
_INTERVAL = 10.0


def load_balancers(family: str, *, wanted: bool) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of a service or task set of a family."""
    if family not in BALANCED or not wanted:
        return ()
    return (ecs.LoadBalancer(target_group_arn=_group_arn(family), container_name="app", container_port=80),)


class Balancer:
    """What the load balancer's host knows and says."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{world.seed}/balancer")
        #: Whether all targets get well, and every one drains.
        self.calm = False
        #: Registrations (key and time) that are ill until somebody replaces them.
        self._ill: set[tuple[str, float]] = set()
        self._never_drain: set[tuple[str, float]] = set()

    def serve(self, plane: ControlPlane) -> None:
        """Be there for a new incarnation of the control plane."""
        if BALANCER not in plane.state.load_balancers:
            with plane.state.transaction() as tx:
                for record in _records():
                    tx.put(record)
        plane.state.store.subscribe("target", self._changed)
        for target in plane.state.targets:
            self._look_soon(target.key)

    def _changed(self, notice: Notice) -> None:
        if notice.new is not None:
            self._look_soon(notice.key)

    def _look_soon(self, key: str) -> None:
        self._world.loop.call_later(self._rng.uniform(0.05, 3.0), self._look, key)

    def _look(self, key: str) -> None:
        plane = self._world.control_plane
        if plane is None or not plane.process.alive or self._world.ended or plane.state.store._failure is not None:
            return
        target = plane.state.targets.get(key)
        if target is None:
            return
        self._say(plane, target, self._view(plane, target))
        self._world.loop.call_later(_INTERVAL, self._look, key)

    def _view(self, plane: ControlPlane, target: Target) -> HostView:
        this = (target.key, target.registered_at)
        if target.draining_since is not None:
            if not self.calm and self._rng.random() < 0.1:
                self._never_drain.add(this)
            return HostView(state="draining", drained=self.calm or this not in self._never_drain)
        if not self._world.checker.running.get((target.task_arn or "", "app")):
            return HostView(state="unhealthy", description="Request timed out")
        if not self.calm and self._rng.random() < 0.02:
            self._ill.add(this)
        if this in self._ill and not self.calm:
            return HostView(state="unhealthy", description="Health checks failed with these codes: [503]")
        return HostView(state="healthy")

    def _say(self, plane: ControlPlane, target: Target, view: HostView) -> None:
        now = self._world.clock.now()
        known = plane.state.target_health.get(target.key) or TargetHealth(
            target_group_arn=target.target_group_arn, id=target.id, port=target.port
        )
        before = known.views.get(HOST)
        if before is not None and msgspec.structs.replace(before, at=0.0) == view:
            return
        healthy_at = now if view.state == "healthy" and known.healthy_at is None else known.healthy_at
        views = {HOST: msgspec.structs.replace(view, at=now)}
        with plane.state.transaction() as tx:
            tx.put(msgspec.structs.replace(known, views=views, healthy_at=healthy_at))


def _group_arn(family: str) -> str:
    return f"{_ELB}:targetgroup/{family}/73e2d6bc24d8a067"


def _records() -> list[object]:
    balancer = LoadBalancer(
        arn=BALANCER,
        region=REGION,
        name="front",
        type="application",
        scheme="internal",
        vpc_id="vpc-1",
        dns_name="front.elb.openecs.internal",
        created_at=1.0,
        state="active",
    )
    interface = Interface(
        id="eni-0123456789abcdef0",
        region=REGION,
        owner=ACCOUNT,
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        availability_zone=f"{REGION}a",
        private_ip="192.0.2.1",
        mac_address="",
        owner_arn=BALANCER,
        node_id=HOST,
    )
    records: list[object] = [balancer, interface, BalancerHost(load_balancer_arn=BALANCER, node_id=HOST, ready=True)]
    for number, (family, kind) in enumerate(BALANCED.items()):
        records += [
            TargetGroup(
                arn=_group_arn(family),
                region=REGION,
                name=family,
                target_type=kind,
                protocol="HTTP",
                port=80,
                vpc_id="vpc-1",
                health_check=HealthCheck(protocol="HTTP", interval=5, unhealthy_threshold=2),
                created_at=1.0,
                attributes={"deregistration_delay.timeout_seconds": str(int(DELAY))},
            ),
            Listener(
                arn=f"{_ELB}:listener/app/front/50dc6c495c0c9188/{number}",
                region=REGION,
                load_balancer_arn=BALANCER,
                port=80 + number,
                protocol="HTTP",
                default_actions=(elbv2.Action(type="forward", target_group_arn=_group_arn(family)),),
            ),
        ]
    return records
