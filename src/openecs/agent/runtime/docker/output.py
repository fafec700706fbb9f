"""The newest output of a container out of the engine's answer to a request for its logs.  Pure.

Without a terminal the two streams come in frames: one byte that names the stream, three zeros,
four bytes of length, then that much text.  With one they come as they are.
"""

from __future__ import annotations

_HEADER = 8
#: Of an answer, this much is read: more than ``tail`` lines of ordinary programs, and an end.
LIMIT = 1 << 20


def text_of(answer: bytes, *, terminal: bool) -> str:
    """The output as text; half a frame at the end is left out, broken characters are replaced."""
    return (answer if terminal else _unframed(answer)).decode("utf-8", "replace").replace("\r\n", "\n")


def newest(text: str, lines: int) -> str:
    """The last lines of a text."""
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def _unframed(answer: bytes) -> bytes:
    found = []
    at = 0
    while at + _HEADER <= len(answer):
        length = int.from_bytes(answer[at + 4 : at + _HEADER], "big")
        at += _HEADER
        found.append(answer[at : at + length])
        at += length
    return b"".join(found)
