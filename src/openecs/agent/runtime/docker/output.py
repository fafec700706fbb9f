"""The newest output of a container out of the engine's answer to a request for its logs.  Pure.

Without a terminal the two streams come in frames: one byte that names the stream, three zeros,
four bytes of length, then that much text.  With one they come as they are.
"""

from __future__ import annotations

from collections import deque

_HEADER = 8
#: Bytes that are kept of an answer, the newest: more than the last lines of ordinary programs.
LIMIT = 1 << 18


class End:
    """Takes an answer in pieces as they come and keeps the end of what was printed."""

    def __init__(self, *, terminal: bool, limit: int = LIMIT) -> None:
        self._terminal = terminal
        self._limit = limit
        self._kept: deque[bytes] = deque()
        self._size = 0
        #: The beginning of a frame's header, and what is still to come of the frame's text.
        self._header = b""
        self._left = 0

    def feed(self, chunk: bytes) -> None:
        """The next piece; frames may begin and end anywhere in it."""
        if self._terminal:
            self._keep(chunk)
            return
        at = 0
        while at < len(chunk):
            if self._left:
                text = chunk[at : at + self._left]
                self._keep(text)
                self._left -= len(text)
                at += len(text)
                continue
            missing = _HEADER - len(self._header)
            self._header += chunk[at : at + missing]
            at += missing
            if len(self._header) == _HEADER:
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""

    def text(self) -> str:
        """The end as text; broken characters are replaced."""
        newest = b"".join(self._kept)[-self._limit :]
        return newest.decode("utf-8", "replace").replace("\r\n", "\n")

    def _keep(self, piece: bytes) -> None:
        self._kept.append(piece)
        self._size += len(piece)
        while self._size - len(self._kept[0]) >= self._limit:
            self._size -= len(self._kept.popleft())


def newest(text: str, lines: int) -> str:
    """The last lines of a text."""
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""
