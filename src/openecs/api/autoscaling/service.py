"""All operations of EC2 Auto Scaling that are served."""

from __future__ import annotations

from openecs.api.autoscaling.groups import AutoScalingGroups
from openecs.api.autoscaling.instances import GroupInstances
from openecs.api.autoscaling.tags import GroupTags
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class AutoScaling:
    """EC2 Auto Scaling over the installation's state."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._parts = (
            AutoScalingGroups(state, pagination),
            GroupInstances(state, pagination),
            GroupTags(state, pagination),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
