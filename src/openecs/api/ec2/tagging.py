"""CreateTags, DeleteTags and DescribeTags for every EC2 resource."""

from __future__ import annotations

from typing import NamedTuple

from openecs.api.ec2 import tags as tagging
from openecs.api.ec2.describe import Describer
from openecs.api.ec2.errors import bad_value, missing
from openecs.api.ec2.filters import Fields, matching, one
from openecs.api.ec2.resources import INTERFACE, KINDS, Kind, kind_of
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.shapes import ec2, ecs
from openecs.state.state import State
from openecs.wire.call import Call, Handlers

MAX_RESOURCES = 1000


class _Tagged(NamedTuple):
    """One tag of one resource."""

    resource_id: str
    kind: Kind
    tag: ecs.Tag


_FIELDS: Fields[_Tagged] = {
    "key": lambda t: one(t.tag.key),
    "value": lambda t: one(t.tag.value or ""),
    "resource-id": lambda t: one(t.resource_id),
    "resource-type": lambda t: one(t.kind.resource_type),
}


class Ec2Tagging:
    """The operations on tags."""

    def __init__(self, state: State, describer: Describer) -> None:
        self._state = state
        self._describer = describer

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {
            "CreateTags": self.create_tags,
            "DeleteTags": self.delete_tags,
            "DescribeTags": self.describe_tags,
        }

    def create_tags(self, call: Call, request: ec2.CreateTagsRequest) -> None:
        """Give tags to resources, all or none of them."""
        if not request.tags:
            raise missing("Tag")
        tags = tagging.checked(request.tags)
        resources = self._existing(call, request.resources)
        with self._state.transaction() as tx:
            for resource_id in resources:
                tagging.give(tx, self._state, resource_id, tags)

    def delete_tags(self, call: Call, request: ec2.DeleteTagsRequest) -> None:
        """Take tags off: those named, of those with a value only where it is that; without any, all."""
        resources = self._existing(call, request.resources)
        wanted = {tag.key or "": tag.value for tag in request.tags or ()}
        for key in wanted:
            if key.lower().startswith(tag_rules.RESERVED_PREFIX):
                raise bad_value(key, "key", "Tag keys starting with 'aws:' are reserved for internal use")
        with self._state.transaction() as tx:
            for resource_id in resources:
                old = tagging.tags_of(self._state, resource_id)
                kept = tuple(tag for tag in old if not _goes(tag, wanted))
                if kept != old:
                    tx.put(ResourceTags(arn=resource_id, tags=kept))

    def describe_tags(self, call: Call, request: ec2.DescribeTagsRequest) -> ec2.DescribeTagsResult:
        """Every tag of the region's resources, filtered."""
        found = matching(self._all(call.region), request.filters, _FIELDS, lambda t: (t.tag,))
        size = request.max_results
        if size is not None and size < 5:
            raise bad_value(size, "maxResults", "Expecting a value greater than 5.")
        page, token = self._describer.page(
            call,
            found,
            key=lambda t: (t.resource_id, t.tag.key or ""),
            scope=request.filters,
            max_results=size,
            next_token=request.next_token,
        )
        tags = tuple(
            ec2.TagDescription(
                key=t.tag.key, value=t.tag.value or "", resource_id=t.resource_id, resource_type=t.kind.resource_type
            )
            for t in page
        )
        return ec2.DescribeTagsResult(tags=tags, next_token=token)

    def _all(self, region: str) -> list[_Tagged]:
        prefixes = {kind.prefix: kind for kind in KINDS}
        found: list[_Tagged] = []
        for record in self._state.tags:
            kind = prefixes.get(record.arn.partition("-")[0])
            if kind is not None and self._is_there(region, kind, record.arn):
                found += (_Tagged(record.arn, kind, tag) for tag in record.tags)
        return found

    def _existing(self, call: Call, resources: tuple[str, ...]) -> list[str]:
        if not resources:
            raise missing("resourceIdSet")
        if len(resources) > MAX_RESOURCES:
            raise bad_value(
                len(resources), "resourceIdSet", f"At most {MAX_RESOURCES} resources can be tagged at once."
            )
        for resource_id in resources:
            kind = kind_of(resource_id)
            if not self._is_there(call.region, kind, resource_id):
                raise kind.missing(resource_id)
        return list(dict.fromkeys(resources))

    def _is_there(self, region: str, kind: Kind, resource_id: str) -> bool:
        record = kind.table(self._state).get(resource_id)
        if record is None and kind is INTERFACE:
            # The interface of a task is part of the task's record.
            return any(
                t.eni is not None and t.eni.eni_id == resource_id and t.region == region and not t.stopped
                for t in self._state.tasks
            )
        return record is not None and record.region == region


def _goes(tag: ecs.Tag, wanted: dict[str, str | None]) -> bool:
    key = tag.key or ""
    if not wanted:
        return not key.startswith(tag_rules.RESERVED_PREFIX)
    if key not in wanted:
        return False
    value = wanted[key]
    return value is None or value == (tag.value or "")
