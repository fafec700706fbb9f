"""All operations of Application Auto Scaling."""

from __future__ import annotations

from openecs.api.application_autoscaling.activities import ScalingActivities
from openecs.api.application_autoscaling.policies import ScalingPolicies
from openecs.api.application_autoscaling.scheduled_actions import ScheduledActions
from openecs.api.application_autoscaling.tags import TargetTags
from openecs.api.application_autoscaling.targets import ScalableTargets
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class ApplicationAutoScaling:
    """Application Auto Scaling over the installation's state."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._parts = (
            ScalableTargets(state, pagination),
            ScalingPolicies(state, pagination),
            ScheduledActions(state, pagination),
            ScalingActivities(state, pagination),
            TargetTags(state),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
