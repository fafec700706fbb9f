"""The base class of every record in state."""

from __future__ import annotations

from typing import TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record; a change is a new record (``msgspec.structs.replace``).

    Every table record has a ``key``: the string that is unique in its table, for most of
    them the ARN.
    """


def changed(record: R, **changes: object) -> R:
    """``record`` with ``changes``; the same object when nothing differs, so that it is not written again."""
    if all(getattr(record, name) == value for name, value in changes.items()):
        return record
    return msgspec.structs.replace(record, **changes)
