"""``@ptr``: how a result names the event that it came from.  Opaque to callers, secret to nobody."""

from __future__ import annotations

import base64
import binascii

import msgspec

from openecs.logs.event import Key

_decode = msgspec.json.Decoder(tuple[str, int, int, int]).decode


def pointer(group: str, key: Key) -> str:
    """The pointer to an event of a group."""
    return base64.urlsafe_b64encode(msgspec.json.encode((group, *key))).decode()


def read(text: str) -> tuple[str, Key] | None:
    """The group and key of a pointer; ``None`` for what is none."""
    try:
        group, *key = _decode(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    return group, (key[0], key[1], key[2])
