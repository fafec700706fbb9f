"""Tags of alarms and dashboards."""

from __future__ import annotations

from openecs.api.cloudwatch.errors import invalid_value
from openecs.errors import AWSError
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.shapes import cloudwatch as cw
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


class CloudWatchTags:
    """The tagging operations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"TagResource": self.tag, "UntagResource": self.untag, "ListTagsForResource": self.list_all}

    def tag(self, call: Call, request: cw.TagResourceInput) -> cw.TagResourceOutput:
        """Add tags or change their values."""
        self._check_there(call, request.resource_arn)
        new = tuple(ecs.Tag(key=tag.key, value=tag.value) for tag in request.tags)
        try:
            tag_rules.check(new)
            merged = tag_rules.merge(self._tags(request.resource_arn), new)
        except AWSError as error:
            raise invalid_value(error.message) from None
        self._put(request.resource_arn, merged)
        return cw.TagResourceOutput()

    def untag(self, call: Call, request: cw.UntagResourceInput) -> cw.UntagResourceOutput:
        """Take tags off; keys that are not there are no error."""
        self._check_there(call, request.resource_arn)
        rest = tuple(tag for tag in self._tags(request.resource_arn) if tag.key not in request.tag_keys)
        self._put(request.resource_arn, rest)
        return cw.UntagResourceOutput()

    def list_all(self, call: Call, request: cw.ListTagsForResourceInput) -> cw.ListTagsForResourceOutput:
        """The tags of one resource."""
        self._check_there(call, request.resource_arn)
        tags = self._tags(request.resource_arn)
        return cw.ListTagsForResourceOutput(
            tags=tuple(cw.Tag(key=tag.key or "", value=tag.value or "") for tag in tags)
        )

    def _put(self, arn: str, tags: tuple[ecs.Tag, ...]) -> None:
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=arn, tags=tags))

    def _tags(self, arn: str) -> tuple[ecs.Tag, ...]:
        found = self._state.tags.get(arn)
        return found.tags if found is not None else ()

    def _check_there(self, call: Call, arn: str) -> None:
        """Refuse the ARN of anything that is not an alarm of this region or a dashboard."""
        alarm = self._state.metric_alarms.get(arn) or self._state.composite_alarms.get(arn)
        if alarm is not None and alarm.region == call.region:
            return
        dashboard = self._state.dashboards.get(arn.rpartition("/")[2])
        if dashboard is not None and dashboard.arn == arn:
            return
        kind = "dashboard" if ":dashboard/" in arn else "alarm"
        raise AWSError(
            "ResourceNotFoundException",
            f"The resource {arn} does not exist.",
            status=404,
            members={"ResourceType": kind, "ResourceId": arn},
        )
