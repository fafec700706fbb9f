"""The tokens of GetLogEvents and FilterLogEvents: positions between events.  Pure functions.

A token says where reading goes on (a key that need not exist) and in which direction.  As it
names no page and no file, it stays true whatever is written or deleted meanwhile.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from openecs.api.logs.errors import invalid_token
from openecs.logs.event import Key
from openecs.logs.records import LogGroup, LogStream

_LAST_TIMESTAMP = 10**16 - 1
_STREAM_TOKEN = re.compile(r"([fb])/([0-9]{16})([0-9]{18})([0-9]{22})/s")
_GROUP_TOKEN = re.compile(r"([0-9]{1,19})\.([fb])\.([0-9]{16})([0-9]{18})([0-9]{22})")


class Position(NamedTuple):
    """Where to read on: events with a larger key, or with a smaller one when ``descending``."""

    key: Key
    descending: bool


def digits(key: Key) -> str:
    """A key as 56 decimal digits, the form of AWS's event ids; they sort as the keys do."""
    return f"{key[0]:016d}{key[1]:018d}{key[2]:022d}"


def sequence_token(stream: LogStream) -> str:
    """The sequence token that older writers hand back; nothing depends on it."""
    return digits((0, stream.id, stream.next_sequence))


def start_of(stream: LogStream, timestamp: int) -> Key:
    """The position before every event of a stream at or after a time."""
    return min(timestamp, _LAST_TIMESTAMP), stream.id, 0


def stream_token(position: Position) -> str:
    """A token of GetLogEvents."""
    return f"{'b' if position.descending else 'f'}/{digits(position.key)}/s"


def parse_stream_token(token: str, stream: LogStream) -> Position:
    """The position of a token that GetLogEvents gave out for ``stream``."""
    match = _STREAM_TOKEN.fullmatch(token)
    if match is None or int(match[3]) != stream.id:
        raise invalid_token()
    return Position((int(match[2]), int(match[3]), int(match[4])), match[1] == "b")


def group_token(group: LogGroup, position: Position) -> str:
    """A token of FilterLogEvents."""
    text = f"{group.id}.{'b' if position.descending else 'f'}.{digits(position.key)}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_group_token(token: str, group: LogGroup) -> Position:
    """The position of a token that FilterLogEvents gave out for ``group``."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise invalid_token() from None
    match = _GROUP_TOKEN.fullmatch(text)
    if match is None or int(match[1]) != group.id:
        raise invalid_token()
    return Position((int(match[3]), int(match[4]), int(match[5])), match[2] == "b")
