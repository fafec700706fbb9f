"""How much capacity one policy asks for, given a metric's value.  Pure arithmetic.

Step scaling follows the rules of "Step scaling policies" in the Application Auto Scaling User
Guide; target tracking keeps the metric at its target on the assumption that it goes down in
proportion as capacity is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from openecs.shapes import application_autoscaling as aas

#: Smaller than any fraction of a task that means something; hides what binary fractions cannot say.
_EPSILON = 1e-9


def proportional(capacity: int, value: float, target: float) -> int:
    """The least capacity with which a metric that is ``value`` with ``capacity`` is at most ``target``.

    With no capacity at all the metric counts as that of one: a queue that waits for the first
    task says how many tasks it needs.
    """
    return max(math.ceil(max(capacity, 1) * value / target - _EPSILON), 0)


def step_of(steps: Sequence[aas.StepAdjustment], breach: float, *, upwards: bool) -> aas.StepAdjustment | None:
    """The step for a metric that is ``breach`` above its alarm's threshold.

    ``upwards`` tells that the alarm is breached from below: then lower bounds are inclusive and
    upper bounds exclusive, otherwise the other way round.
    """
    for step in steps:
        low = -math.inf if step.metric_interval_lower_bound is None else step.metric_interval_lower_bound
        high = math.inf if step.metric_interval_upper_bound is None else step.metric_interval_upper_bound
        if (low <= breach < high) if upwards else (low < breach <= high):
            return step
    return None


def adjusted(capacity: int, kind: aas.AdjustmentType, adjustment: int, *, least: int | None = None) -> int:
    """``capacity`` after an adjustment; ``least`` is the smallest change that a percentage makes.

    Percentages that make more than one task are rounded towards zero, smaller ones to one task.
    """
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return max(capacity + adjustment, 0)
    change = capacity * adjustment / 100
    whole = math.trunc(change) if abs(change) >= 1 else int(math.copysign(1, change)) if change else 0
    if least and adjustment and abs(whole) < least:
        whole = int(math.copysign(least, adjustment))
    return max(capacity + whole, 0)
