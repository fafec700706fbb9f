"""A load balancer in memory for tests of services: target groups, and one host that sees what it is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from itertools import count

import msgspec
from control_kit import REGION, World, controlled, deployment, new_service, running_loop

from openecs.control.draining_targets import DrainingTargets
from openecs.control.targets import TargetController
from openecs.control.virtual_time import VirtualTime
from openecs.model.load_balancer import BalancerHost, Listener, LoadBalancer
from openecs.model.network_interface import Interface
from openecs.model.service import Service
from openecs.model.target_group import HealthCheck, HostView, Target, TargetGroup, TargetHealth
from openecs.model.task import Task
from openecs.shapes import ecs, elbv2

ELB = f"arn:aws:elasticloadbalancing:{REGION}:123456789012"
BALANCER = f"{ELB}:loadbalancer/app/front/50dc6c495c0c9188"
HOST = "edge"


def group_arn(name: str = "blue") -> str:
    return f"{ELB}:targetgroup/{name}/73e2d6bc24d8a067"


def target_group(name: str = "blue", **attributes: str) -> TargetGroup:
    return TargetGroup(
        arn=group_arn(name),
        region=REGION,
        name=name,
        target_type="instance",
        protocol="HTTP",
        port=80,
        vpc_id="vpc-1",
        health_check=HealthCheck(protocol="HTTP"),
        created_at=1.0,
        attributes=attributes,
    )


class Edge:
    """A load balancer on one host, with a target group of every name; agents that give tasks ports."""

    def __init__(self, world: World, *groups: str, state: str = "active") -> None:
        self.world = world
        self._ports = count(32768)
        world.put(
            LoadBalancer(
                arn=BALANCER,
                region=REGION,
                name="front",
                type="application",
                scheme="internal",
                vpc_id="vpc-1",
                dns_name="front.elb.openecs.internal",
                created_at=1.0,
                state=state,
            ),
            BalancerHost(load_balancer_arn=BALANCER, node_id=HOST, ready=True),
            Interface(
                id="eni-1",
                region=REGION,
                owner="123456789012",
                vpc_id="vpc-1",
                subnet_id="subnet-1",
                availability_zone=f"{REGION}a",
                private_ip="10.208.0.9",
                mac_address="",
                owner_arn=BALANCER,
                node_id=HOST,
            ),
        )
        for name in groups or ("blue",):
            world.put(target_group(name), self._listener(name))

    def _listener(self, name: str) -> Listener:
        return Listener(
            arn=f"{ELB}:listener/app/front/50dc6c495c0c9188/{name}",
            region=REGION,
            load_balancer_arn=BALANCER,
            port=80,
            protocol="HTTP",
            default_actions=(elbv2.Action(type="forward", target_group_arn=group_arn(name)),),
        )

    def targets(self, task: Task | None = None) -> list[Target]:
        return [t for t in self.world.state.targets if task is None or t.task_arn == task.arn]

    def says(self, target: Target, state: str, description: str | None = None, *, drained: bool = False) -> None:
        """The host's view of a target, as its report brings it."""
        now = self.world.clock.now()
        known = self.world.state.target_health.get(target.key) or TargetHealth(
            target_group_arn=target.target_group_arn, id=target.id, port=target.port
        )
        view = HostView(state=state, description=description, drained=drained, at=now)
        healthy_at = now if state == "healthy" and known.healthy_at is None else known.healthy_at
        self.world.put(msgspec.structs.replace(known, views={HOST: view}, healthy_at=healthy_at))

    def view(self, target: Target) -> HostView | None:
        known = self.world.state.target_health.get(target.key)
        return known.views.get(HOST) if known is not None else None

    def all_goes_well(self, *, drains: bool = True, healthy: Callable[[Target], bool] = lambda _: True) -> bool:
        """One change per task and target towards what is wanted; whether there was any."""
        changed = self.world.agents_obey()
        for task in list(self.world.state.tasks):
            if task.last_status == "RUNNING" and not task.containers[0].network_bindings:
                binding = ecs.NetworkBinding(container_port=80, host_port=next(self._ports), protocol="tcp")
                containers = (msgspec.structs.replace(task.containers[0], network_bindings=(binding,)),)
                self.world.put(msgspec.structs.replace(task, containers=containers))
                changed = True
        for target in self.targets():
            view = self.view(target)
            if target.draining_since is not None:
                if drains and (view is None or not view.drained):
                    self.says(target, "draining", drained=True)
                    changed = True
            elif healthy(target) and (view is None or view.state != "healthy"):
                self.says(target, "healthy")
                changed = True
        return changed


def balanced(world: World, desired: int, *groups: str, **changes: object) -> Service:
    """A service whose first deployment has a load balancer with these target groups."""
    return new_service(world, desired, **{"deployments": (revision(world, 1, *groups),), **changes})


def revision(world: World, number: int, *groups: str, **changes: object):
    balancers = tuple(
        ecs.LoadBalancer(target_group_arn=group_arn(name), container_name="web", container_port=80)
        for name in groups or ("blue",)
    )
    return deployment(number, world.clock.now(), load_balancers=balancers, **changes)


@asynccontextmanager
async def balanced_loops(world: World, time: VirtualTime):
    """Services, targets and draining are reconciled; none of it may have been a bug."""
    timing = time.timing()
    targets = TargetController(world.state, time, world.ids).loop(timing)
    draining = DrainingTargets(world.state, time).loop(timing)
    async with controlled(world, time), running_loop(targets), running_loop(draining):
        yield
    assert targets.bugs == draining.bugs == 0
