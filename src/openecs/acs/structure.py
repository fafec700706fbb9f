"""The base of everything that is said on the agents' websockets."""

from __future__ import annotations

import msgspec


class Structure(msgspec.Struct, frozen=True, rename="camel"):
    """A message or a part of one.

    Defaults are sent, not left out: other agents take an absent ``essential`` for false.
    """
