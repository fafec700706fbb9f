"""Where archived events are: in the log store, in regions of their own that no API shows.

That gives archives what logs have: append-only compressed files, durable before they are
acknowledged, with retention.
"""

from __future__ import annotations

from openecs.events.outcome import InvocationError
from openecs.logs.event import Key, Range
from openecs.logs.reader import Page
from openecs.logs.records import LogGroup
from openecs.logs.store import LogStore, StoreFailedError
from openecs.model.event_archive import EventArchive

_STREAM = "events"


class ArchiveStore:
    """Appends events to archives and reads them in the order of their times."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    async def append(self, archive: EventArchive, event: str, time: float) -> None:
        """Keep one event (JSON) under its time; returns when it is durable.  Raises ``InvocationError``."""
        group = self._group(archive) or self._store.create_group(_region(archive), archive.name, {})
        self.keep_for(archive)
        stream = group.streams.get(_STREAM) or self._store.create_stream(group, _STREAM)
        try:
            await self._store.append(stream, [round(time * 1000)], [event])
            await self._store.durable()
        except (OSError, StoreFailedError) as error:
            raise InvocationError("INTERNAL_ERROR", f"The archive refused the event: {error}", retry=True) from error

    async def read(self, archive: EventArchive, start: float, end: float, after: Key | None, limit: int) -> Page:
        """Events from ``start`` until before ``end`` (seconds since the epoch) behind the key ``after``."""
        group = self._group(archive)
        if group is None:
            return Page([], more=False)
        wanted = Range(round(start * 1000), round(end * 1000) - 1, after=after)
        return await self._store.read(group.streams.values(), wanted, limit)

    def keep_for(self, archive: EventArchive) -> None:
        """Give what is kept the archive's retention."""
        group = self._group(archive)
        days = archive.retention_days or None
        if group is not None and group.retention_days != days:
            self._store.set_retention(group, days)

    def forget(self, archive: EventArchive) -> None:
        """Delete everything that is kept."""
        group = self._group(archive)
        if group is not None:
            self._store.delete_group(group)

    def size(self, archive: EventArchive) -> tuple[int, int]:
        """Events that were kept, those past their retention included, and their size on disk in bytes."""
        group = self._group(archive)
        if group is None:
            return 0, 0
        return sum(stream.next_sequence - 1 for stream in group.streams.values()), group.stored_bytes

    def _group(self, archive: EventArchive) -> LogGroup | None:
        return self._store.groups(_region(archive)).get(archive.name)


def _region(archive: EventArchive) -> str:
    """No region of AWS's API has a slash."""
    return f"{archive.region}/event-archives"
