"""Tags of rules and event buses."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.events import errors
from openecs.model.event_rule import bus_arn
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs, events
from openecs.state.state import State
from openecs.state.store import Transaction
from openecs.wire.call import Call, Handlers

MAX_TAGS = 50


class Tagging:
    """The tagging operations."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"TagResource": self.tag, "UntagResource": self.untag, "ListTagsForResource": self.list_all}

    def tag(self, call: Call, request: events.TagResourceRequest) -> events.TagResourceResponse:
        """Add tags or change their values."""
        arn = self._existing(call, request.resource_arn)
        with self._state.transaction() as tx:
            put_tags(self._state, tx, arn, request.tags)
        return events.TagResourceResponse()

    def untag(self, call: Call, request: events.UntagResourceRequest) -> events.UntagResourceResponse:
        """Take tags off; keys that are not there are no error."""
        arn = self._existing(call, request.resource_arn)
        found = self._state.tags.get(arn)
        if found is not None:
            kept = tuple(tag for tag in found.tags if tag.key not in request.tag_keys)
            with self._state.transaction() as tx:
                tx.put(ResourceTags(arn=arn, tags=kept))
        return events.UntagResourceResponse()

    def list_all(self, call: Call, request: events.ListTagsForResourceRequest) -> events.ListTagsForResourceResponse:
        """The tags of one resource."""
        found = self._state.tags.get(self._existing(call, request.resource_arn))
        tags = tuple(events.Tag(key=tag.key or "", value=tag.value or "") for tag in found.tags) if found else ()
        return events.ListTagsForResourceResponse(tags=tags)

    def _existing(self, call: Call, arn: str) -> str:
        state = self._state
        known = (arn in state.event_rules, arn in state.event_buses, arn == bus_arn(call.region, call.account))
        if not any(known) or f":events:{call.region}:" not in arn:
            raise errors.not_found(f"Resource {arn} does not exist.")
        return arn


def put_tags(state: State, tx: Transaction, arn: str, tags: Iterable[events.Tag]) -> None:
    """Lay tags over those of a resource; raises for tags that AWS refuses."""
    found = state.tags.get(arn)
    merged = {tag.key: tag.value for tag in found.tags} if found else {}
    for tag in tags:
        if tag.key.lower().startswith("aws:"):
            raise errors.invalid("Tag keys that start with 'aws:' are reserved for system use.")
        merged[tag.key] = tag.value
    if len(merged) > MAX_TAGS:
        raise errors.invalid(f"A resource can have no more than {MAX_TAGS} tags.")
    tx.put(ResourceTags(arn=arn, tags=tuple(ecs.Tag(key=key, value=value) for key, value in merged.items())))


def forget_tags(state: State, tx: Transaction, arn: str) -> None:
    """The resource is deleted."""
    found = state.tags.get(arn)
    if found is not None:
        tx.delete(found)
