"""What this host reports: the newest report of each key, sent when it changed.

Nothing is stored: whoever reports says it again after a restart.  Everything is told anew at
the beginning of every connection.
"""

from __future__ import annotations

import asyncio

import msgspec

from openecs.acs import messages as m
from openecs.acs.host_documents import Document

Key = tuple[str, str]


class HostReports:
    """All reports, and which of them the control plane has not been sent."""

    def __init__(self) -> None:
        self._bodies: dict[Key, bytes] = {}
        self._unsent: dict[Key, None] = {}
        self._all_unsent = True
        self._news = asyncio.Event()
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def put(self, kind: str, key: str, report: Document) -> None:
        """Report something, in place of what was reported of that key before."""
        body = self._encode(report)
        if self._bodies.get((kind, key)) != body:
            self._bodies[kind, key] = body
            self._note((kind, key))

    def remove(self, kind: str, key: str) -> None:
        """It does not hold any more."""
        if self._bodies.pop((kind, key), None) is not None:
            self._note((kind, key))

    def connected(self) -> None:
        """A connection has begun: everything is to be sent."""
        self._all_unsent = True
        self._news.set()

    async def next(self) -> m.HostReportsMessage:
        """Wait for something to send, and take it."""
        await self._news.wait()
        self._news.clear()
        unsent, self._unsent = self._unsent, {}
        if self._all_unsent:
            self._all_unsent = False
            entries = tuple(_entry(key, body) for key, body in self._bodies.items())
            return m.HostReportsMessage(entries=entries, all=True)
        return m.HostReportsMessage(
            entries=tuple(_entry(key, self._bodies[key]) for key in unsent if key in self._bodies),
            removed=tuple(m.HostKey(*key) for key in unsent if key not in self._bodies),
        )

    def _note(self, key: Key) -> None:
        self._unsent[key] = None
        self._news.set()


def _entry(key: Key, body: bytes) -> m.HostEntry:
    return m.HostEntry(key[0], key[1], msgspec.Raw(body))
