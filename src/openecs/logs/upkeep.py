"""What becomes of stored events with time: they are compressed, given to a log engine, and deleted.

Segments change here one after the other, in the order in which the writer carries it out.  Belongs
to the event loop's thread, like the store that it works for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from openecs.logs import frame as frames
from openecs.logs.engine import EngineError, Home, LogEngine, move
from openecs.logs.files import Files
from openecs.logs.frame import DamagedFrameError
from openecs.logs.records import LogStream
from openecs.logs.sealing import seal_segment, worth_sealing
from openecs.logs.segment import MOVED, Segment
from openecs.logs.writer import Discard, Finish, Remove, Rest, Seal, Work

#: A stream that got nothing for so long is noted in the catalogue, so that a start need not read it, and sealed.
QUIET_MILLISECONDS = 10 * 60 * 1000

log = structlog.get_logger("openecs.logs")


class Upkeep:
    """Keeps the segments of ``streams``; ``submit`` gives work to the writer and returns when it will be done."""

    def __init__(
        self,
        streams: Mapping[int, LogStream],
        files: Files,
        engine: LogEngine | None,
        submit: Callable[[Work], asyncio.Future[None]],
    ) -> None:
        self._streams = streams
        self._files = files
        self._engine = engine
        self._submit = submit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="logs-sealer")
        self._removing: set[tuple[int, int]] = set()
        #: Segments that could not be sealed; they are good as they are.
        self._unsealable: set[tuple[int, int]] = set()

    def close(self) -> None:
        """Wait until the segment that is compressed or moved just now is."""
        self._thread.shutdown()

    async def expire(self, milliseconds: int) -> None:
        """Delete segments in which everything is older than the group's retention; note quiet streams."""
        self._submit(Rest(0, milliseconds - QUIET_MILLISECONDS))
        old = [
            self._remove(stream.id, segment.number, cutoff)
            for stream in self._streams.values()
            if (cutoff := stream.group.cutoff(milliseconds))
            for segment in stream.segments.values()
            if segment.max_timestamp < cutoff and (stream.id, segment.number) not in self._removing
        ]
        if old:
            await asyncio.gather(*map(asyncio.shield, old))

    def _remove(self, stream_id: int, number: int, cutoff: int) -> asyncio.Future[None]:
        self._removing.add((stream_id, number))
        removed = self._submit(Remove(0, stream_id, number, cutoff))
        removed.add_done_callback(lambda _: self._removing.discard((stream_id, number)))
        return removed

    async def seal(self, milliseconds: int) -> None:
        """Compress what lies in small batches: the complete segments and those of quiet streams."""
        quiet_since = milliseconds - QUIET_MILLISECONDS
        for stream, segment in self._segments():
            growing = segment.number == stream.tail_number
            if not worth_sealing(segment) or (growing and segment.last_ingestion > quiet_since):
                continue
            if growing:
                await asyncio.shield(self._submit(Finish(0, stream.id, segment.number)))
            first = stream.segments.get(segment.number)  # none when it expired meanwhile
            if first is not None and (stream.id, segment.number) not in self._unsealable:
                await self._seal(first)

    async def _seal(self, first: Segment) -> None:
        try:
            packed = await self._beside(seal_segment, self._files, first)
        except FileNotFoundError:
            return  # deleted meanwhile
        except (OSError, DamagedFrameError) as error:
            log.warning("a segment of log events stays uncompressed", segment=first.name, error=str(error))
            self._unsealable.add((first.stream_id, first.number))
            await asyncio.shield(self._submit(Discard(0, first._replace(sealed=1).name)))
            return
        await self._replace(first, packed)

    async def move(self, milliseconds: int) -> None:
        """Give the complete segments in which nothing is young to the log engine, if there is one."""
        if self._engine is None:
            return
        quiet_since = milliseconds - QUIET_MILLISECONDS
        for stream, segment in self._segments():
            if segment.sealed == MOVED or segment.last_ingestion > quiet_since:
                continue
            if segment.number == stream.tail_number:
                await asyncio.shield(self._submit(Finish(0, stream.id, segment.number)))
            home = Home(stream.group.region, stream.group.name, stream.name)
            try:
                moved = await self._beside(_moved, self._engine, self._files, segment, home)
            except FileNotFoundError:
                continue  # deleted meanwhile
            except (OSError, DamagedFrameError, EngineError) as error:
                log.warning("log events stay on this machine", segment=segment.name, error=str(error))
                continue
            await self._replace(segment, moved)

    def _segments(self) -> Iterator[tuple[LogStream, Segment]]:
        """Those that there are now, while streams and segments come and go."""
        for stream in list(self._streams.values()):
            for segment in list(stream.segments.values()):
                yield stream, segment

    async def _replace(self, before: Segment, after: Segment) -> None:
        await asyncio.shield(self._submit(Seal(0, after)))
        # Only now does nobody begin to read the first file any more; whoever reads it still begins anew.
        await asyncio.shield(self._submit(Discard(0, before.name)))

    async def _beside(self, work: Callable[..., Segment], *arguments: object) -> Segment:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)


def _moved(engine: LogEngine, files: Files, segment: Segment, home: Home) -> Segment:
    events = frames.decode(files.read(segment.name, 0, segment.size), segment.stream_id)
    if len(events) != segment.event_count:
        raise DamagedFrameError(f"{segment.name} holds {len(events)} events, not {segment.event_count}")
    return move(engine, segment, home, events)
