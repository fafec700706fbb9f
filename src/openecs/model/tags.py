"""Tags of any resource, kept apart from it so that tagging never touches the resource."""

from __future__ import annotations

from openecs.model.record import Record
from openecs.shapes import ecs


class ResourceTags(Record, frozen=True, kw_only=True):
    """The tags of one resource, in the order in which they were set."""

    arn: str
    tags: tuple[ecs.Tag, ...] = ()

    @property
    def key(self) -> str:
        return self.arn
