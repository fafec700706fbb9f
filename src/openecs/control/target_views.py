"""What is known of the targets of a target group: its load balancers, their hosts, what these see.

Reads state only.  How the views of several hosts become one state is decided in
``openecs.planning.target_state``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from openecs.model.load_balancer import LoadBalancer
from openecs.model.service import Deployment
from openecs.model.target_group import HostView, Target
from openecs.model.task import Task
from openecs.planning.target_verdict import NOT_REGISTERED, SeenTarget, TargetVerdict, judge
from openecs.planning.target_views import merge
from openecs.shapes import ecs, elbv2
from openecs.state.state import State


class TargetViews:
    """Looks up what load balancers make of targets."""

    def __init__(self, state: State) -> None:
        self._state = state

    def balancers(self, target_group_arn: str) -> tuple[LoadBalancer, ...]:
        """The load balancers that send requests to a target group."""
        group = self._state.target_groups.get(target_group_arn)
        if group is None:
            return ()
        found: dict[str, LoadBalancer] = {}
        for listener in self._state.listeners.by("region", group.region):
            if listener.load_balancer_arn in found:
                continue
            rules = self._state.listener_rules.by("listener", listener.arn)
            actions = (*listener.default_actions, *(action for rule in rules for action in rule.actions))
            if target_group_arn in _forwarded_to(actions):
                balancer = self._state.load_balancers.get(listener.load_balancer_arn)
                if balancer is not None:
                    found[balancer.arn] = balancer
        return tuple(found.values())

    def hosts(self, target_group_arn: str) -> frozenset[str]:
        """The nodes that run a part of a target group's load balancers."""
        return frozenset(
            interface.node_id
            for balancer in self.balancers(target_group_arn)
            for interface in self._state.interfaces.by("owner", balancer.arn)
            if interface.node_id is not None
        )

    def views(self, target: Target) -> Mapping[str, HostView]:
        """Node id → what that host says of a target."""
        health = self._state.target_health.get(target.key)
        return health.views if health is not None else {}

    def verdict(self, task: Task, load_balancers: tuple[ecs.LoadBalancer, ...], hosts: Hosts) -> TargetVerdict:
        """What all load balancers of a task say together."""
        seen = []
        for target in self._state.targets.by("task", task.arn):
            group = self._state.target_groups.get(target.target_group_arn)
            if group is None:
                return NOT_REGISTERED
            health = self._state.target_health.get(target.key)
            seen.append(
                SeenTarget(
                    target,
                    merge(health.views if health is not None else {}, hosts.of(group.arn)),
                    health.healthy_at if health is not None else None,
                    group.health_check,
                    group.target_type == "instance",
                )
            )
        return judge(len(load_balancers), seen)


class Hosts:
    """The hosts of target groups, each looked up once for as long as this lives."""

    def __init__(self, views: TargetViews) -> None:
        self._views = views
        self._known: dict[str, frozenset[str]] = {}

    def of(self, target_group_arn: str) -> frozenset[str]:
        """The nodes that run a part of the target group's load balancers."""
        known = self._known.get(target_group_arn)
        if known is None:
            known = self._known[target_group_arn] = self._views.hosts(target_group_arn)
        return known


def load_balancers_of(deployments: Iterable[Deployment], task: Task) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of the deployment that started a task; none when that is gone."""
    return next((d.load_balancers for d in deployments if d.id == task.deployment_id), ())


def _forwarded_to(actions: Iterable[elbv2.Action]) -> Iterator[str]:
    for action in actions:
        if action.target_group_arn is not None:
            yield action.target_group_arn
        if action.forward_config is not None:
            for part in action.forward_config.target_groups or ():
                if part.target_group_arn is not None:
                    yield part.target_group_arn
