"""Tags of scalable targets."""

from __future__ import annotations

from collections.abc import Mapping

from openecs.api.application_autoscaling.lookup import validation
from openecs.errors import AWSError
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.shapes import application_autoscaling as aas
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers


def checked_tags(tags: Mapping[str, str] | None) -> tuple[ecs.Tag, ...]:
    """The tags of a request, as state keeps them."""
    found = tuple(ecs.Tag(key=key, value=value) for key, value in (tags or {}).items())
    try:
        tag_rules.check(found)
        return tag_rules.merge((), found)
    except AWSError as error:
        raise validation(error.message) from None


class TargetTags:
    """TagResource, UntagResource and ListTagsForResource."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags_for_resource,
        }

    def tag_resource(self, call: Call, request: aas.TagResourceRequest) -> aas.TagResourceResponse:
        """Add tags or change their values."""
        old = self._tags(call, request.resource_arn)
        try:
            merged = tag_rules.merge(old, checked_tags(request.tags))
        except AWSError as error:
            if error.code == "ValidationException":
                raise
            raise AWSError("TooManyTagsException", error.message) from None
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=request.resource_arn, tags=merged))
        return aas.TagResourceResponse()

    def untag_resource(self, call: Call, request: aas.UntagResourceRequest) -> aas.UntagResourceResponse:
        """Take tags off; keys that are not there are no error."""
        kept = tuple(tag for tag in self._tags(call, request.resource_arn) if tag.key not in request.tag_keys)
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=request.resource_arn, tags=kept))
        return aas.UntagResourceResponse()

    def list_tags_for_resource(
        self, call: Call, request: aas.ListTagsForResourceRequest
    ) -> aas.ListTagsForResourceResponse:
        """The tags of one target."""
        tags = self._tags(call, request.resource_arn)
        return aas.ListTagsForResourceResponse(tags={tag.key or "": tag.value or "" for tag in tags})

    def _tags(self, call: Call, arn: str) -> tuple[ecs.Tag, ...]:
        if not any(target.arn == arn for target in self._state.scalable_targets.by("region", call.region)):
            raise AWSError("ResourceNotFoundException", f"Requested resource not found: {arn}")
        found = self._state.tags.get(arn)
        return found.tags if found else ()
