"""What came through load balancers and Service Connect, published as AWS's metrics as agents tell it.

Every host publishes its own part at the minute's beginning, as the nodes of AWS's load balancers
do: sums over hosts come of asking for the statistic Sum.  Nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from openecs.acs.traffic_messages import PublishTrafficRequest
from openecs.clock import Clock
from openecs.control.balancer_metrics import balancer_metrics, group_metrics, health_metrics
from openecs.control.connect_lookup import owned_service
from openecs.control.connect_metrics import call_metrics
from openecs.control.target_lookup import TargetLookup
from openecs.control.usage import AHEAD, MINUTE, OLDEST
from openecs.metrics.metric import Datum
from openecs.model.load_balancer import LoadBalancer
from openecs.state.state import State


class TrafficMetrics:
    """Takes messages, publishes metrics."""

    def __init__(self, state: State, clock: Clock, publish: Callable[[Iterable[Datum]], None]) -> None:
        self._state = state
        self._clock = clock
        self._publish = publish
        self._lookup = TargetLookup(state)

    def take(self, node_id: str, message: PublishTrafficRequest) -> None:
        """What came through a node in the minute before the message's time.

        A node is heard about the load balancers that it runs, and about its own tasks.
        """
        now = self._clock.now()
        if now - OLDEST <= message.timestamp <= now + AHEAD:
            minute = (message.timestamp - 1.0) // MINUTE * MINUTE
            self._publish(list(self._data(node_id, message, minute)))

    def _data(self, node_id: str, message: PublishTrafficRequest, at: float) -> Iterator[Datum]:
        state = self._state
        for said in message.balancers:
            record = state.load_balancers.get(said.load_balancer_arn)
            if record is not None and node_id in self._lookup.hosts_of(record.arn):
                yield from balancer_metrics(record, said, at)
        for sent in message.groups:
            balancer = self._heard(node_id, sent.target_group_arn)
            group = state.target_groups.get(sent.target_group_arn)
            if balancer is not None and group is not None:
                yield from group_metrics(balancer, group, sent, self._targets(group.arn), at)
        for health in message.health:
            balancer = self._heard(node_id, health.target_group_arn)
            if balancer is not None:
                yield from health_metrics(balancer, health, at)
        for call in message.calls:
            task = state.tasks.get(call.task_arn)
            if task is not None and task.node_id == node_id:
                namespace, _, name = call.endpoint.partition("/")
                endpoint = owned_service(state, namespace, name)
                server = state.services.get(endpoint.owner_arn or "") if endpoint is not None else None
                yield from call_metrics(task, server, name, call, at)

    def _heard(self, node_id: str, target_group_arn: str) -> LoadBalancer | None:
        """The load balancer of a target group, if the node runs it."""
        balancer = self._lookup.load_balancer(target_group_arn)
        return balancer if balancer is not None and node_id in self._lookup.hosts_of(balancer.arn) else None

    def _targets(self, target_group_arn: str) -> int:
        """How many get requests; at least one, as some target got what was sent."""
        targets = self._state.targets.by("target_group", target_group_arn)
        states = [self._lookup.condition(target).state for target in targets]
        return max(states.count("healthy") + states.count("unavailable"), 1)
