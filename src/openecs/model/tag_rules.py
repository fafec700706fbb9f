"""What tags may look like, and how new tags merge with those that are there."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.errors import invalid_parameter
from openecs.shapes import ecs

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256
RESERVED_PREFIX = "aws:"


def check(tags: Iterable[ecs.Tag]) -> None:
    """Raise ``InvalidParameterException`` for tags that ECS would not take."""
    seen: set[str] = set()
    for tag in tags:
        if not tag.key:
            raise invalid_parameter("Tag key can not be null or empty.")
        if len(tag.key) > MAX_KEY:
            raise invalid_parameter(f"Tag key exceeds the maximum length of {MAX_KEY} characters.")
        if len(tag.value or "") > MAX_VALUE:
            raise invalid_parameter(f"Tag value exceeds the maximum length of {MAX_VALUE} characters.")
        if tag.key.lower().startswith(RESERVED_PREFIX):
            raise invalid_parameter("Tag keys that start with 'aws:' are reserved for system use.")
        if tag.key in seen:
            raise invalid_parameter(f"Duplicate tag keys found: {tag.key}.")
        seen.add(tag.key)


def merge(old: Iterable[ecs.Tag], new: Iterable[ecs.Tag]) -> tuple[ecs.Tag, ...]:
    """The old tags with new values laid over them, new keys at the end."""
    merged = {tag.key: tag for tag in old}
    merged.update({tag.key: ecs.Tag(key=tag.key, value=tag.value or "") for tag in new})
    if sum(not (key or "").startswith(RESERVED_PREFIX) for key in merged) > MAX_TAGS:
        raise invalid_parameter(f"The number of tags exceeds the limit of {MAX_TAGS}.")
    return tuple(merged.values())
