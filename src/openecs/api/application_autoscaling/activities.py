"""DescribeScalingActivities: what scaling did, newest first."""

from __future__ import annotations

from openecs.api.application_autoscaling.lookup import check_scope, page
from openecs.model.scaling import DIMENSION, NAMESPACE, ScalingActivity
from openecs.shapes import application_autoscaling as aas
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination


class ScalingActivities:
    """The operation that shows activities."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DescribeScalingActivities": self.describe}

    def describe(
        self, call: Call, request: aas.DescribeScalingActivitiesRequest
    ) -> aas.DescribeScalingActivitiesResponse:
        """The activities of the region or of one resource; those that scaled nothing only on request."""
        check_scope(request, request.resource_id)
        everything = bool(request.include_not_scaled_activities)
        found = sorted(
            (
                activity
                for activity in self._state.scaling_activities.by("region", call.region)
                if request.resource_id in (None, activity.resource_id) and (everything or not activity.reasons)
            ),
            key=_age,
            reverse=True,
        )
        scope = f"activities:{call.region}:{request.resource_id}:{everything}"
        shown, token = page(self._pagination, found, request, scope=scope, key=_age, descending=True)
        return aas.DescribeScalingActivitiesResponse(
            scaling_activities=tuple(_view(activity, everything=everything) for activity in shown), next_token=token
        )


def _age(activity: ScalingActivity) -> tuple[float, str]:
    return activity.started_at, activity.id


def _view(activity: ScalingActivity, *, everything: bool) -> aas.ScalingActivity:
    return aas.ScalingActivity(
        activity_id=activity.id,
        service_namespace=NAMESPACE,
        resource_id=activity.resource_id,
        scalable_dimension=DIMENSION,
        description=activity.description,
        cause=activity.cause,
        start_time=activity.started_at,
        end_time=activity.ended_at,
        status_code=activity.status,
        status_message=activity.status_message,
        not_scaled_reasons=(activity.reasons or None) if everything else None,
    )
