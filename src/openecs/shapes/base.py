"""The base class of every generated shape."""

from __future__ import annotations

from typing import Annotated

import msgspec


class Shape(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    gc=False,
):
    """An immutable AWS shape.

    A member that is absent on the wire is ``None`` here and is left out again when encoded:
    AWS clients treat an explicit ``null`` or a member they do not know as data, so replies
    carry exactly what was set.  Instances are never part of reference cycles, so the garbage
    collector does not track them (``gc=False``), which keeps collections short when a hundred
    thousand tasks are in memory.
    """


#: Seconds since the epoch.  JSON writes it as a number; XML and CBOR have forms of their own.
Timestamp = Annotated[float, msgspec.Meta(extra={"timestamp": True})]
