"""Tags of log groups, through the present operations and the older ones of the same effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from openecs.api.logs.answering import handlers
from openecs.api.logs.errors import invalid_parameter
from openecs.api.logs.lookup import find_group, group_of_resource
from openecs.errors import AWSError
from openecs.logs.records import LogGroup
from openecs.logs.store import LogStore
from openecs.shapes import logs as shapes
from openecs.wire.call import Call, Handlers

MAX_TAGS = 50


class LogGroupTags:
    """The tagging operations."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return handlers(
            self._store,
            {
                "ListTagsForResource": self.list_tags_for_resource,
                "TagResource": self.tag_resource,
                "UntagResource": self.untag_resource,
                "ListTagsLogGroup": self.list_tags_log_group,
                "TagLogGroup": self.tag_log_group,
                "UntagLogGroup": self.untag_log_group,
            },
        )

    def list_tags_for_resource(
        self, call: Call, request: shapes.ListTagsForResourceRequest
    ) -> shapes.ListTagsForResourceResponse:
        """The tags of the group with that ARN."""
        group = group_of_resource(self._store, call, request.resource_arn)
        return shapes.ListTagsForResourceResponse(tags=dict(group.tags))

    def tag_resource(self, call: Call, request: shapes.TagResourceRequest) -> None:
        """Add or replace tags of the group with that ARN."""
        group = group_of_resource(self._store, call, request.resource_arn)
        check_tags(request.tags)
        tags = {**group.tags, **request.tags}
        if len(tags) > MAX_TAGS:
            raise AWSError(
                "TooManyTagsException",
                f"A resource can have no more than {MAX_TAGS} tags.",
                members={"resourceName": request.resource_arn},
            )
        self._store.set_tags(group, tags)

    def untag_resource(self, call: Call, request: shapes.UntagResourceRequest) -> None:
        """Remove tags of the group with that ARN."""
        self._remove(group_of_resource(self._store, call, request.resource_arn), request.tag_keys)

    def list_tags_log_group(
        self, call: Call, request: shapes.ListTagsLogGroupRequest
    ) -> shapes.ListTagsLogGroupResponse:
        """The tags of the group with that name."""
        group = find_group(self._store, call, request.log_group_name)
        return shapes.ListTagsLogGroupResponse(tags=dict(group.tags))

    def tag_log_group(self, call: Call, request: shapes.TagLogGroupRequest) -> None:
        """Add or replace tags of the group with that name."""
        group = find_group(self._store, call, request.log_group_name)
        check_tags(request.tags)
        tags = {**group.tags, **request.tags}
        if len(tags) > MAX_TAGS:
            raise invalid_parameter(f"A log group can have no more than {MAX_TAGS} tags.")
        self._store.set_tags(group, tags)

    def untag_log_group(self, call: Call, request: shapes.UntagLogGroupRequest) -> None:
        """Remove tags of the group with that name."""
        self._remove(find_group(self._store, call, request.log_group_name), request.tags)

    def _remove(self, group: LogGroup, keys: Iterable[str]) -> None:
        gone = set(keys)
        self._store.set_tags(group, {key: value for key, value in group.tags.items() if key not in gone})


def check_tags(tags: Mapping[str, str]) -> None:
    """Refuse keys that are AWS's own; lengths and characters were checked with the request."""
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid_parameter(f"Tag keys that start with aws: are reserved for AWS: {key}")
