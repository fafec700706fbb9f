"""Tags of groups.  They say of themselves whether machines get them, so they are part of the group."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from openecs.api.autoscaling.lookup import group_named, page, validation
from openecs.errors import AWSError
from openecs.shapes import autoscaling
from openecs.state.state import State
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

MAX_TAGS = 50
KIND = "auto-scaling-group"
Described = tuple[autoscaling.TagDescription, ...]


def described(group: str, tags: Iterable[autoscaling.Tag], old: Described) -> Described:
    """``old`` with ``tags`` laid over it."""
    merged = {tag.key: tag for tag in old}
    for tag in tags:
        if tag.key.lower().startswith("aws:"):
            raise validation("Tag keys that start with 'aws:' are reserved for system use.")
        merged[tag.key] = autoscaling.TagDescription(
            resource_id=group,
            resource_type=KIND,
            key=tag.key,
            value=tag.value or "",
            propagate_at_launch=tag.propagate_at_launch is not False,
        )
    if len(merged) > MAX_TAGS:
        raise AWSError("LimitExceeded", f"A group can have {MAX_TAGS} tags.")
    return tuple(merged.values())


def matches(tags: Described, chosen: autoscaling.Filter) -> bool:
    """Whether a group with these tags passes a filter."""
    values = chosen.values or ()
    name = chosen.name or ""
    if name == "tag-key":
        return any(tag.key in values for tag in tags)
    if name == "tag-value":
        return any(tag.value in values for tag in tags)
    if name.startswith("tag:"):
        return any(tag.key == name[4:] and tag.value in values for tag in tags)
    raise validation(f"Filter type {name} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>.")


class GroupTags:
    """CreateOrUpdateTags, DeleteTags and DescribeTags."""

    def __init__(self, state: State, pagination: Pagination) -> None:
        self._state = state
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"CreateOrUpdateTags": self.put, "DeleteTags": self.delete, "DescribeTags": self.describe}

    def put(self, call: Call, request: autoscaling.CreateOrUpdateTagsType) -> None:
        """Add tags or change their values."""
        with self._state.transaction() as tx:
            for tag in request.tags:
                group = group_named(self._state, call, self._owner(tag))
                tx.put(msgspec.structs.replace(group, tags=described(group.name, (tag,), group.tags)))

    def delete(self, call: Call, request: autoscaling.DeleteTagsType) -> None:
        """Take tags off; one that is not there is no error."""
        with self._state.transaction() as tx:
            for tag in request.tags:
                group = group_named(self._state, call, self._owner(tag))
                kept = tuple(
                    one
                    for one in group.tags
                    if one.key != tag.key or (tag.value is not None and one.value != tag.value)
                )
                tx.put(msgspec.structs.replace(group, tags=kept))

    def describe(self, call: Call, request: autoscaling.DescribeTagsType) -> autoscaling.TagsType:
        """The tags of all groups, or some of them."""
        found = [
            tag
            for group in sorted(self._state.auto_scaling_groups.by("region", call.region), key=lambda g: g.name)
            for tag in sorted(group.tags, key=lambda t: t.key or "")
            if all(_shown(tag, chosen) for chosen in request.filters or ())
        ]
        shown, token = page(
            self._pagination,
            found,
            max_records=request.max_records,
            next_token=request.next_token,
            scope=f"tags:{call.region}:{request.filters}",
            key=lambda tag: (tag.resource_id, tag.key),
        )
        return autoscaling.TagsType(tags=shown, next_token=token)

    @staticmethod
    def _owner(tag: autoscaling.Tag) -> str:
        if tag.resource_type not in (None, KIND) or not tag.resource_id:
            raise validation(f"The only supported resource type is {KIND}, named by ResourceId.")
        return tag.resource_id


def _shown(tag: autoscaling.TagDescription, chosen: autoscaling.Filter) -> bool:
    told = {
        "auto-scaling-group": tag.resource_id,
        "key": tag.key,
        "value": tag.value,
        "propagate-at-launch": str(tag.propagate_at_launch).lower(),
    }
    if chosen.name not in told:
        raise validation(f"Filter type {chosen.name} is not correct. Allowed Filter types are: {', '.join(told)}.")
    return told[chosen.name] in (chosen.values or ())
