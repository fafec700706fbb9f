"""The load balancer of the simulation: its records, and how its targets fare when hosts look at them.

Which hosts run it, and what they are told, is the product's own doing; what the agents there make
of it is in ``simulated_edge``.  A target is healthy while the container behind it runs on its
engine; now and then one is unhealthy until it is replaced, and now and then one never drains.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TYPE_CHECKING

from workload import ACCOUNT, REGION

from openecs.acs.host_documents import TargetEntry, TargetView
from openecs.model import balancer_arns
from openecs.model.load_balancer import Listener, ListenerRule, LoadBalancer
from openecs.model.network_interface import Interface
from openecs.model.service import Service
from openecs.model.target_group import HealthCheck, TargetGroup, target_key
from openecs.shapes import ecs, elbv2

if TYPE_CHECKING:
    from simulated_control_plane import ControlPlane
    from simulation import World

BALANCER = balancer_arns.load_balancer(REGION, ACCOUNT, "application", "front", "50dc6c495c0c9188")
#: Families of tasks that may be behind the load balancer → their target group's type.
BALANCED = {"dynamic": "instance", "crashport": "instance", "vpc": "ip", "fargate": "ip"}
#: Families of the services that shift their traffic between a pair of target groups: one service for each pair.
PAIRS = ("dynamic", "vpc", "dynamic", "fargate")
#: Seconds after which a target is taken out that never drains.
DELAY = 15.0
#: Of the zones of the load balancer's addresses.
_ZONES = "ab"


def load_balancers(family: str, *, wanted: bool) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of a service or task set of a family, while its traffic is not shifted."""
    if family not in BALANCED or not wanted:
        return ()
    return (ecs.LoadBalancer(target_group_arn=group_arn(family), container_name="app", container_port=80),)


def shifting(number: int) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of a service that shifts its traffic between the target groups of a pair."""
    first, second = pair(number)
    advanced = ecs.AdvancedConfiguration(
        alternate_target_group_arn=second,
        production_listener_rule=production_rule(number),
        # Odd ones have no rule for test traffic.
        test_listener_rule=test_rule(number) if number % 2 == 0 else None,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/shift",
    )
    return (
        ecs.LoadBalancer(
            target_group_arn=first, container_name="app", container_port=80, advanced_configuration=advanced
        ),
    )


def group_arn(name: str) -> str:
    """The ARN of a target group."""
    return balancer_arns.target_group(REGION, ACCOUNT, name, "73e2d6bc24d8a067")


@cache
def pair(number: int) -> tuple[str, str]:
    """The target groups of a pair."""
    return group_arn(f"pair-{number}-one"), group_arn(f"pair-{number}-two")


@cache
def production_rule(number: int) -> str:
    """The rule that decides which target group of a pair serves: the default one of its listener."""
    return balancer_arns.default_rule(_listener_arn(8000 + number))


def test_rule(number: int) -> str:
    """The rule for the test traffic of a pair, which is no default one."""
    return balancer_arns.rule(_listener_arn(9000 + number), f"{number:016x}")


def pair_of(service: Service) -> int | None:
    """The pair of target groups between which a service shifts its traffic."""
    for deployment in service.deployments:
        for one in deployment.load_balancers:
            for number in range(len(PAIRS)):
                if one.advanced_configuration is not None and one.target_group_arn in pair(number):
                    return number
    return None


class Balancer:
    """How the targets fare; all hosts see the same."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = random.Random(f"{world.seed}/balancer")
        #: Whether all targets get well, every one drains, and hosts do at once what they are told.
        self.calm = False
        #: Registrations (key and time) that are ill until somebody replaces them.
        self._ill: set[tuple[str, float]] = set()
        self._never_drain: set[tuple[str, float]] = set()

    def serve(self, plane: ControlPlane) -> None:
        """Be there for the first incarnation of the control plane."""
        if BALANCER not in plane.state.load_balancers:
            with plane.state.transaction() as tx:
                for record in _records(plane):
                    tx.put(record)

    def view(self, group: str, target: TargetEntry) -> TargetView:
        """A target as a host sees it now."""
        key = target_key(group, target.id, target.port)
        this = (key, target.registered_at)
        if target.draining_since is not None:
            if not self.calm and self._rng.random() < 0.1:
                self._never_drain.add(this)
            drained = self.calm or this not in self._never_drain
            return TargetView(id=target.id, port=target.port, state="draining", drained=drained)
        if not self._runs(key):
            said = "Request timed out"
            return TargetView(id=target.id, port=target.port, state="unhealthy", description=said)
        if not self.calm and self._rng.random() < 0.01:
            self._ill.add(this)
        if this in self._ill and not self.calm:
            said = "Health checks failed with these codes: [503]"
            return TargetView(id=target.id, port=target.port, state="unhealthy", description=said)
        return TargetView(id=target.id, port=target.port, state="healthy")

    def delay(self) -> float:
        """Seconds until a host does what it was told."""
        return self._rng.uniform(0.05, 3.0)

    def fails(self) -> bool:
        """Whether a host cannot do now what it was told; it tries again."""
        return not self.calm and self._rng.random() < 0.05

    def _runs(self, key: str) -> bool:
        task_arn = self._world.checker.target_rules.task_of(key)
        return bool(self._world.checker.running.get((task_arn or "", "app")))


def _listener_arn(port: int) -> str:
    return balancer_arns.listener(BALANCER, f"{port:016x}")


def _forward(arn: str) -> tuple[elbv2.Action, ...]:
    return (elbv2.Action(type="forward", target_group_arn=arn),)


def _records(plane: ControlPlane) -> list[object]:
    network = plane.networks.plan(REGION)
    records: list[object] = [
        LoadBalancer(
            arn=BALANCER,
            region=REGION,
            name="front",
            type="application",
            scheme="internal",
            vpc_id=network.vpc_id,
            dns_name="front.elb.openecs.internal",
            created_at=1.0,
        )
    ]
    for number, subnet in enumerate(network.subnets[: len(_ZONES)]):
        first = subnet.cidr.split(".")
        records.append(
            Interface(
                id=f"eni-0123456789abcdef{number}",
                region=REGION,
                owner=ACCOUNT,
                vpc_id=network.vpc_id,
                subnet_id=subnet.id,
                availability_zone=subnet.availability_zone,
                private_ip=f"{first[0]}.{first[1]}.{first[2]}.250",
                mac_address=f"02:00:00:00:00:0{number}",
                owner_arn=BALANCER,
            )
        )
    for number, (family, kind) in enumerate(BALANCED.items()):
        records += [_group(group_arn(family), kind, network.vpc_id), _listener(80 + number, group_arn(family))]
    for number, family in enumerate(PAIRS):
        groups = pair(number)
        records += [_group(arn, BALANCED[family], network.vpc_id) for arn in groups]
        records += [_listener(8000 + number, groups[0]), _listener(9000 + number, None)]
        records.append(
            ListenerRule(
                arn=test_rule(number),
                region=REGION,
                listener_arn=_listener_arn(9000 + number),
                priority=1,
                conditions=(elbv2.RuleCondition(field="path-pattern", values=("/*",)),),
                actions=_forward(groups[0]),
            )
        )
    return records


def _group(arn: str, kind: str, vpc_id: str) -> TargetGroup:
    return TargetGroup(
        arn=arn,
        region=REGION,
        name=arn.split("/")[1],
        target_type="ip" if kind == "ip" else "instance",
        protocol="HTTP",
        port=80,
        vpc_id=vpc_id,
        health_check=HealthCheck(protocol="HTTP", interval=5, unhealthy_threshold=2),
        created_at=1.0,
        attributes={"deregistration_delay.timeout_seconds": str(int(DELAY))},
    )


def _listener(port: int, group: str | None) -> Listener:
    nothing = elbv2.FixedResponseActionConfig(status_code="503")
    return Listener(
        arn=_listener_arn(port),
        region=REGION,
        load_balancer_arn=BALANCER,
        port=port,
        protocol="HTTP",
        default_actions=_forward(group)
        if group is not None
        else (elbv2.Action(type="fixed-response", fixed_response_config=nothing),),
    )
