"""The base class of every record in state."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An immutable record; a change is a new record (``msgspec.structs.replace``).

    Every table record has a ``key``: the string that is unique in its table, for most of
    them the ARN.
    """
