"""The writer: one thread through which every change of the log store goes to disk.

Whatever waits when a round begins is written in that round: first the catalogue's changes in
one transaction, then all batches, then one flush of the touched files, then removals.  Only
then the round's outcomes are published.  So many streams share the cost of a flush, and
nothing is visible or acknowledged before it would survive a crash.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from openecs.logs import frame as frames
from openecs.logs.catalogue import Catalogue, Statement, delete_segment, note_stream, put_segment
from openecs.logs.files import Files
from openecs.logs.frame import Frame
from openecs.logs.records import MILLISECONDS_PER_DAY
from openecs.logs.segment import LOOSE_BYTES, SEGMENT_BYTES, Segment, empty_segment, segment_name


class Append(NamedTuple):
    """Store one batch; ``ticket`` comes back in its outcome."""

    ticket: int
    stream_id: int
    first_sequence: int
    ingestion_time: int
    timestamps: Sequence[int]
    messages: Sequence[str]


class Change(NamedTuple):
    """Change the catalogue, then delete all files of ``dropped`` streams."""

    ticket: int
    statements: list[Statement]
    dropped: tuple[int, ...] = ()


class Remove(NamedTuple):
    """Delete one segment, provided that everything in it is older than ``cutoff``."""

    ticket: int
    stream_id: int
    number: int
    cutoff: int


class Finish(NamedTuple):
    """Append nothing more to one segment."""

    ticket: int
    stream_id: int
    number: int


class Seal(NamedTuple):
    """Let the packed file of a finished segment, which is durable, take the place of its first."""

    ticket: int
    segment: Segment


class Discard(NamedTuple):
    """Delete a file that nothing refers to any more."""

    ticket: int
    name: str


class Rest(NamedTuple):
    """Note in the catalogue what the streams hold that got nothing since ``quiet_since``."""

    ticket: int
    quiet_since: int


Work = Append | Change | Remove | Finish | Seal | Discard | Rest


class Outcome(NamedTuple):
    """What became of one piece of work: ``error``, or what it stored, and whether it removed or sealed something."""

    work: Work
    segment: Segment | None = None
    frame: Frame | None = None
    done: bool = False
    error: OSError | None = None


@dataclass(slots=True)
class Tail:
    """The end of a stream: the segment that grows and the numbers of all that exist."""

    segment: Segment
    numbers: set[int] = field(default_factory=set)


class Writer:
    """Owns the files' ends and the catalogue's connection."""

    def __init__(
        self,
        catalogue: Catalogue,
        files: Files,
        tails: dict[int, Tail],
        *,
        publish: Callable[[list[Outcome]], None],
        failed: Callable[[BaseException], None],
        segment_bytes: int = SEGMENT_BYTES,
        loose_bytes: int = LOOSE_BYTES,
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._tails = tails
        self._publish = publish
        self._failed = failed
        self._segment_bytes = segment_bytes
        self._loose_bytes = loose_bytes
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        #: Streams whose last segment is not in the catalogue as it is.
        self._unnoted: set[int] = set()
        #: Segments that became complete, to be noted with the next round's changes.
        self._complete: dict[tuple[int, int], Segment] = {}
        self._thread = threading.Thread(target=self._run, name="logs-writer", daemon=True)
        self._log = structlog.get_logger("openecs.logs")

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Queue one piece of work; its outcome is published once it is durable."""
        self._queue.put(work)

    def stop(self) -> None:
        """Finish what is queued, note in the catalogue what every stream holds, end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (work := self._next_round()) is not None:
                self._publish(self._round(work))
            self._round([Rest(0, 2**63)])
        except BaseException as error:  # noqa: BLE001 -- the thread's last word; the store refuses everything from here
            self._log.critical("the log store can no longer write", error=str(error))
            self._failed(error)

    def _next_round(self) -> list[Work] | None:
        """All work that waits, at least one piece; ``None`` at the end."""
        first = self._queue.get()
        if first is None:
            return None
        work = [first]
        while not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)
                break
            work.append(more)
        return work

    def _round(self, work: list[Work]) -> list[Outcome]:
        self._change_catalogue(work)
        outcomes = self._append(work)
        for piece in work:
            if isinstance(piece, Remove):
                outcomes.append(Outcome(piece, done=self._remove(piece)))
            elif isinstance(piece, Seal):
                outcomes.append(Outcome(piece, done=self._seal(piece.segment)))
            elif not isinstance(piece, Append):
                if isinstance(piece, Change):
                    self._drop(piece.dropped)
                elif isinstance(piece, Finish):
                    self._finish(piece)
                elif isinstance(piece, Discard):
                    self._files.remove(piece.name)
                outcomes.append(Outcome(piece))
        return outcomes

    def _change_catalogue(self, work: list[Work]) -> None:
        statements = [put_segment(segment) for segment in self._complete.values()]
        for piece in work:
            if isinstance(piece, Rest):
                statements.extend(self._rest(piece.quiet_since))
        for piece in work:
            if isinstance(piece, Change):
                statements.extend(piece.statements)
        if statements:
            self._catalogue.apply(statements)
        self._complete.clear()

    def _append(self, work: list[Work]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        by_stream: dict[int, list[Append]] = {}
        for piece in work:
            if isinstance(piece, Append):
                by_stream.setdefault(piece.stream_id, []).append(piece)
        touched: set[str] = set()
        for stream_id, batches in by_stream.items():
            while batches:
                batches = self._append_to_segment(stream_id, batches, touched, outcomes)
        self._files.flush(touched)
        return outcomes

    def _append_to_segment(
        self, stream_id: int, batches: list[Append], touched: set[str], outcomes: list[Outcome]
    ) -> list[Append]:
        """Write as many batches as the stream's segment takes, in one piece; returns the others."""
        tail = self._tail_for(stream_id, batches[0].ingestion_time)
        segment = tail.segment
        chunks: list[bytes] = []
        stored: list[Outcome] = []
        offset = segment.size
        for batch in batches:
            data = frames.encode(batch.first_sequence, batch.ingestion_time, batch.timestamps, batch.messages)
            frame = Frame(
                offset,
                len(data),
                batch.first_sequence,
                batch.timestamps[0],
                batch.timestamps[-1],
                batch.ingestion_time,
                len(batch.timestamps),
                frames.is_packed(data),
            )
            segment = segment.extended(frame)
            offset += len(data)
            chunks.append(data)
            stored.append(Outcome(batch, segment, frame))
            if offset >= self._segment_bytes:
                break
        try:
            self._files.append(segment.name, b"".join(chunks), tail.segment.size)
        except OSError as error:
            # The old end stands (a full disk): these batches are refused, nothing else is lost.
            self._log.error("log events could not be written", segment=segment.name, error=str(error))
            outcomes.extend(Outcome(outcome.work, error=error) for outcome in stored)
        else:
            tail.segment = segment
            tail.numbers.add(segment.number)
            self._unnoted.add(stream_id)
            touched.add(segment.name)
            outcomes.extend(stored)
        return batches[len(stored) :]

    def _tail_for(self, stream_id: int, now: int) -> Tail:
        """The stream's growing segment: a new one when the last is full, due to be sealed, or older than a day.

        A day, because retention deletes whole segments.
        """
        tail = self._tails.get(stream_id)
        if tail is None:
            tail = self._tails[stream_id] = Tail(empty_segment(stream_id, 1))
        segment = tail.segment
        old = segment.event_count > 0 and now - segment.first_ingestion > MILLISECONDS_PER_DAY
        if segment.size >= self._segment_bytes or segment.loose >= self._loose_bytes or old:
            self._next_segment(tail)
        return tail

    def _next_segment(self, tail: Tail) -> None:
        segment = tail.segment
        self._complete[segment.stream_id, segment.number] = segment
        tail.segment = empty_segment(segment.stream_id, segment.number + 1)

    def _finish(self, piece: Finish) -> None:
        tail = self._tails.get(piece.stream_id)
        if tail is not None and tail.segment.number == piece.number and tail.segment.event_count:
            self._next_segment(tail)

    def _seal(self, segment: Segment) -> bool:
        tail = self._tails.get(segment.stream_id)
        if tail is None or segment.number not in tail.numbers:
            self._files.remove(segment.name)  # the segment went while its second file was written
            return False
        self._complete.pop((segment.stream_id, segment.number), None)
        self._catalogue.apply([put_segment(segment)])
        return True

    def _rest(self, quiet_since: int) -> Iterable[Statement]:
        for stream_id in list(self._unnoted):
            tail = self._tails.get(stream_id)
            if tail is not None and tail.segment.event_count and tail.segment.last_ingestion <= quiet_since:
                yield put_segment(tail.segment)
                yield note_stream(stream_id, tail.segment.last_sequence + 1, tail.segment.last_ingestion)
                self._unnoted.discard(stream_id)

    def _remove(self, piece: Remove) -> bool:
        tail = self._tails.get(piece.stream_id)
        if tail is None or piece.number not in tail.numbers:
            return True
        if tail.segment.number == piece.number:
            if tail.segment.max_timestamp >= piece.cutoff:
                return False  # it got younger events after the removal was decided
            tail.segment = empty_segment(piece.stream_id, piece.number + 1)
        self._complete.pop((piece.stream_id, piece.number), None)
        tail.numbers.discard(piece.number)
        # The file first: a start copes with a catalogue that knows more than there is.
        self._remove_files(piece.stream_id, piece.number)
        self._catalogue.apply([delete_segment(piece.stream_id, piece.number)])
        return True

    def _drop(self, stream_ids: Iterable[int]) -> None:
        for stream_id in stream_ids:
            tail = self._tails.pop(stream_id, None)
            self._unnoted.discard(stream_id)
            for number in tail.numbers if tail is not None else ():
                self._complete.pop((stream_id, number), None)
                self._remove_files(stream_id, number)

    def _remove_files(self, stream_id: int, number: int) -> None:
        for sealed in (0, 1):
            self._files.remove(segment_name(stream_id, number, sealed))
