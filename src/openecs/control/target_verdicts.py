"""What the load balancers of a task make of it: reads state for ``planning.target_verdict``."""

from __future__ import annotations

from openecs.control.target_lookup import TargetLookup
from openecs.model.service import Service
from openecs.model.task import Task
from openecs.planning import target_slots
from openecs.planning.target_state import condition
from openecs.planning.target_verdict import NOT_REGISTERED, SeenTarget, TargetVerdict, judge
from openecs.shapes import ecs
from openecs.state.state import State


class TargetVerdicts:
    """Judges tasks as of one moment: what target groups have in common is looked up once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lookup = TargetLookup(state)
        #: Target group → whether a load balancer uses it, and its hosts that are ready.
        self._hosts: dict[str, tuple[bool, frozenset[str]]] = {}

    def of(self, task: Task, load_balancers: tuple[ecs.LoadBalancer, ...]) -> TargetVerdict:
        """What all of ``load_balancers``, those of the task's deployment, say together."""
        seen = []
        for target in self._state.targets.by("task", task.arn):
            group = self._state.target_groups.get(target.target_group_arn)
            if group is None:
                return NOT_REGISTERED
            health = self._state.target_health.get(target.key)
            in_use, hosts = self._hosts_of(group.arn)
            seen.append(
                SeenTarget(
                    target,
                    condition(target, health, in_use=in_use, hosts=hosts),
                    health.healthy_at if health is not None else None,
                    group.health_check,
                    group.target_type == "instance",
                )
            )
        return judge(len(load_balancers), seen)

    def _hosts_of(self, target_group_arn: str) -> tuple[bool, frozenset[str]]:
        known = self._hosts.get(target_group_arn)
        if known is None:
            in_use = self._lookup.load_balancer(target_group_arn) is not None
            known = self._hosts[target_group_arn] = (in_use, self._lookup.ready_hosts(target_group_arn))
        return known


def load_balancers_of(service: Service, task: Task) -> tuple[ecs.LoadBalancer, ...]:
    """The load balancers of the deployment that started a task; none when that is gone.

    They name the target groups that its tasks are in.
    """
    deployment = service.deployment(task.deployment_id)
    return target_slots.of(deployment) if deployment is not None else ()
