"""What to do next for a service with the DAEMON scheduling strategy.  Pure.

The deployments go as those of other services do (``rollout``); which tasks start and stop is
decided instance by instance (``daemon_step``).  Nobody gives such a service a desired count:
it is the number of container instances that are to have a task, and written as they come and go.
"""

from __future__ import annotations

import msgspec

from openecs.planning import rollout
from openecs.planning.daemon_step import step
from openecs.planning.service_actions import Plan
from openecs.planning.service_snapshot import Census, ServiceSnapshot


def plan_daemon(snapshot: ServiceSnapshot, census: Census, now: float) -> Plan:
    """The next step for the service of ``snapshot``, whose ``daemon_instances`` are filled in."""
    service = snapshot.service
    instances = snapshot.daemon_instances
    newest = service.primary
    # How many tasks the deployment is about, for the thresholds that are shares of it.
    expected = sum(newest is not None and place.active and newest.id in place.matches for place in instances)
    begun = rollout.begin(snapshot, census, expected, now)
    primary = begun.census.primary
    if primary is None:
        raise ValueError(f"{service.arn} has no PRIMARY deployment")
    todo = step(begun.service, begun.census, instances, now, barred=begun.barred)
    if begun.service.desired_count != todo.desired:
        begun = begun._replace(service=msgspec.structs.replace(begun.service, desired_count=todo.desired))
    return rollout.conclude(begun, todo, todo.desired, now)
