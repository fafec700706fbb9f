"""Tags of namespaces and services."""

from __future__ import annotations

from openecs.api.servicediscovery import errors, records
from openecs.api.servicediscovery.lookup import identifier
from openecs.errors import AWSError
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs
from openecs.shapes import servicediscovery as sd
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

MAX_TAGS = 50


class Tagging:
    """The tagging operations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"TagResource": self.tag, "UntagResource": self.untag, "ListTagsForResource": self.list_all}

    def tag(self, call: Call, request: sd.TagResourceRequest) -> sd.TagResourceResponse:
        """Add tags or change their values."""
        arn = self._existing(call, request.resource_arn)
        records.check_tags(request.tags)
        merged = {**self._tags(arn), **{tag.key: tag.value for tag in request.tags}}
        if len(merged) > MAX_TAGS:
            raise AWSError(
                "TooManyTagsException",
                f"A resource can have no more than {MAX_TAGS} tags",
                members={"ResourceName": arn},
            )
        self._put(arn, merged)
        return sd.TagResourceResponse()

    def untag(self, call: Call, request: sd.UntagResourceRequest) -> sd.UntagResourceResponse:
        """Take tags off; keys that are not there are no error."""
        arn = self._existing(call, request.resource_arn)
        self._put(arn, {key: value for key, value in self._tags(arn).items() if key not in request.tag_keys})
        return sd.UntagResourceResponse()

    def list_all(self, call: Call, request: sd.ListTagsForResourceRequest) -> sd.ListTagsForResourceResponse:
        """The tags of one resource."""
        tags = self._tags(self._existing(call, request.resource_arn))
        return sd.ListTagsForResourceResponse(tags=tuple(sd.Tag(key=k, value=v) for k, v in tags.items()))

    def _put(self, arn: str, tags: dict[str, str]) -> None:
        with self._state.transaction() as tx:
            tx.put(ResourceTags(arn=arn, tags=tuple(ecs.Tag(key=k, value=v) for k, v in tags.items())))

    def _tags(self, arn: str) -> dict[str, str]:
        found = self._state.tags.get(arn)
        return {tag.key or "": tag.value or "" for tag in found.tags} if found else {}

    def _existing(self, call: Call, arn: str) -> str:
        """The ARN itself when a namespace or service of this region has it."""
        if arn.startswith("arn:"):
            namespace = self._state.namespaces.get(identifier(call, arn, "namespace") or "")
            service = self._state.discovery_services.get(identifier(call, arn, "service") or "")
            if any(found is not None and found.arn == arn for found in (namespace, service)):
                return arn
        raise errors.resource_not_found(arn)
