"""How many tasks a rolling update may run at once and must keep healthy.  Pure arithmetic.

AWS rounds the floor up and the ceiling down, so that neither percentage is ever broken by
rounding.  That can leave no room to move at all (one task with 50 % and 150 %), which the
planner then says in a service event.
"""

from __future__ import annotations

from typing import NamedTuple

from openecs.model.service import Service

DEFAULT_MINIMUM_HEALTHY_PERCENT = 100
DEFAULT_MAXIMUM_PERCENT = 200


class Bounds(NamedTuple):
    """The two limits of a service, in tasks."""

    #: Healthy tasks that must remain: ``ceil(desired * minimumHealthyPercent / 100)``.
    lower: int
    #: Tasks that may exist before they are STOPPED: ``floor(desired * maximumPercent / 100)``.
    upper: int


def bounds(service: Service, desired: int) -> Bounds:
    """The limits of ``service`` when it is to run ``desired`` tasks."""
    configuration = service.deployment_configuration
    minimum = configuration.minimum_healthy_percent
    maximum = configuration.maximum_percent
    minimum = DEFAULT_MINIMUM_HEALTHY_PERCENT if minimum is None else minimum
    maximum = DEFAULT_MAXIMUM_PERCENT if maximum is None else maximum
    return Bounds(lower=-(-desired * minimum // 100), upper=desired * maximum // 100)
