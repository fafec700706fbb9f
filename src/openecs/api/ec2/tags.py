"""Tags of EC2 resources: their rules, tags at creation, and how replies show them.

Tags of any resource are records of their own (``model.tags``), by the resource's id.
"""

from __future__ import annotations

from collections.abc import Sequence

from openecs.api.ec2.errors import bad_value, invalid_value, missing
from openecs.api.ec2.resources import Kind
from openecs.errors import AWSError
from openecs.model import tag_rules
from openecs.model.tags import ResourceTags
from openecs.shapes import ec2, ecs
from openecs.state.state import State
from openecs.state.store import Transaction

MAX_KEY = 127
MAX_VALUE = 256


def tags_of(state: State, resource_id: str) -> tuple[ecs.Tag, ...]:
    """The tags that a resource has."""
    found = state.tags.get(resource_id)
    return found.tags if found else ()


def shown(state: State, resource_id: str) -> tuple[ec2.Tag, ...]:
    """The tags of a resource as replies show them; an empty tuple is an empty set on the wire."""
    return tuple(ec2.Tag(key=tag.key, value=tag.value or "") for tag in tags_of(state, resource_id))


def at_creation(
    specifications: Sequence[ec2.TagSpecification] | None, kind: Kind, *others: Kind
) -> dict[str, tuple[ecs.Tag, ...]]:
    """The tags that a request gives to what it makes, by resource type.

    ``others`` are further kinds that the operation makes and can tag.  Raises EC2's errors for
    a type that it does not make, and for tags that no resource may have.
    """
    wanted: dict[str, tuple[ecs.Tag, ...]] = {}
    allowed = {kind.resource_type, *(other.resource_type for other in others)}
    for specification in specifications or ():
        name = specification.resource_type
        if name is None:
            raise missing("ResourceType")
        if name not in allowed:
            raise invalid_value(f"'{name}' is not a valid taggable resource type for this operation.")
        if name in wanted:
            raise invalid_value(f"Duplicate resource type '{name}' found in tag specifications.")
        wanted[name] = checked(specification.tags or ())
    return wanted


def checked(tags: Sequence[ec2.Tag]) -> tuple[ecs.Tag, ...]:
    """The tags as they are kept.  Raises EC2's errors for those that no resource may have."""
    seen: set[str] = set()
    for tag in tags:
        key = tag.key or ""
        if not key:
            raise missing("Tag.Key")
        if key.lower().startswith(tag_rules.RESERVED_PREFIX):
            raise bad_value(key, "key", "Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > MAX_KEY:
            raise invalid_value(f"Tag key exceeds the maximum length of {MAX_KEY} characters")
        if len(tag.value or "") > MAX_VALUE:
            raise invalid_value(f"Tag value exceeds the maximum length of {MAX_VALUE} characters")
        if key in seen:
            raise invalid_value(f"Duplicate tag key '{key}' specified.")
        seen.add(key)
    kept = tuple(ecs.Tag(key=tag.key, value=tag.value or "") for tag in tags)
    _check_number(kept)
    return kept


def give(tx: Transaction, state: State, resource_id: str, tags: Sequence[ecs.Tag]) -> None:
    """Add checked tags to a resource, or change their values.  Raises TagLimitExceeded."""
    if not tags:
        return
    merged = {tag.key: tag for tag in tags_of(state, resource_id)}
    merged.update({tag.key: tag for tag in tags})
    _check_number(tuple(merged.values()))
    tx.put(ResourceTags(arn=resource_id, tags=tuple(merged.values())))


def forget(tx: Transaction, state: State, resource_id: str) -> None:
    """Forget the tags of a resource that is being deleted."""
    found = state.tags.get(resource_id)
    if found is not None:
        tx.delete(found)


def _check_number(tags: Sequence[ecs.Tag]) -> None:
    own = [tag for tag in tags if not (tag.key or "").startswith(tag_rules.RESERVED_PREFIX)]
    if len(own) > tag_rules.MAX_TAGS:
        raise AWSError("TagLimitExceeded", f"The maximum number of Tags for a resource is {tag_rules.MAX_TAGS}.")
