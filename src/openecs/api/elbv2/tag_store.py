"""Tags of load balancing resources: the rules of their keys and values, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.api.elbv2.errors import validation_error
from openecs.errors import AWSError
from openecs.model.tags import ResourceTags
from openecs.shapes import ecs, elbv2
from openecs.state.state import State
from openecs.state.store import Transaction

MOST = 50
RESERVED = "aws:"


def checked(tags: Iterable[elbv2.Tag] | None) -> tuple[ecs.Tag, ...]:
    """The tags as they are kept.  Raises AWS's refusals."""
    kept: dict[str, ecs.Tag] = {}
    for tag in tags or ():
        if tag.key.lower().startswith(RESERVED):
            raise validation_error(f"Tag key '{tag.key}' is not valid: keys that begin with 'aws:' are reserved")
        if tag.key in kept:
            raise AWSError("DuplicateTagKeys", f"The tag key '{tag.key}' is specified more than once")
        kept[tag.key] = ecs.Tag(key=tag.key, value=tag.value or "")
    if len(kept) > MOST:
        raise _too_many()
    return tuple(kept.values())


def tags_of(state: State, arn: str) -> tuple[ecs.Tag, ...]:
    """The tags that users gave a resource."""
    found = state.tags.get(arn)
    return found.tags if found is not None else ()


def add(tx: Transaction, state: State, arn: str, tags: tuple[ecs.Tag, ...]) -> None:
    """Lay tags over those that are there."""
    if not tags:
        return
    merged = {tag.key: tag for tag in (*tags_of(state, arn), *tags)}
    if len(merged) > MOST:
        raise _too_many()
    tx.put(ResourceTags(arn=arn, tags=tuple(merged.values())))


def remove(tx: Transaction, state: State, arn: str, keys: Iterable[str]) -> None:
    """Take tags off."""
    gone = set(keys)
    left = tuple(tag for tag in tags_of(state, arn) if tag.key not in gone)
    if left:
        tx.put(ResourceTags(arn=arn, tags=left))
    else:
        forget(tx, state, arn)


def forget(tx: Transaction, state: State, arn: str) -> None:
    """The resource is gone."""
    found = state.tags.get(arn)
    if found is not None:
        tx.delete(found)


def _too_many() -> AWSError:
    return AWSError("TooManyTags", f"A resource can have at most {MOST} tags")
