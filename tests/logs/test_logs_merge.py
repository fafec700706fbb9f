from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from openecs.logs import frame as frames
from openecs.logs.event import Event, Range
from openecs.logs.files import MemoryFiles
from openecs.logs.merge import Merger
from openecs.logs.reader import Reader
from openecs.logs.segment import Segment, SegmentView, empty_segment, index

times = st.integers(0, 30)
batch = st.lists(times, min_size=1, max_size=6).map(sorted)
#: stream id, batches of one segment
segments = st.lists(st.tuples(st.integers(1, 3), st.lists(batch, min_size=1, max_size=5)), max_size=6)


def write(
    segments: list[tuple[int, list[list[int]]]], block_bytes: int
) -> tuple[list[SegmentView], Reader, list[Event]]:
    """Segments in memory files, half of them with their index at hand."""
    files = MemoryFiles()
    views: list[SegmentView] = []
    events: list[Event] = []
    numbers: dict[int, int] = defaultdict(int)
    sequences: dict[int, int] = defaultdict(lambda: 1)
    for stream_id, batches in segments:
        numbers[stream_id] += 1
        segment: Segment = empty_segment(stream_id, numbers[stream_id])
        for timestamps in batches:
            first = sequences[stream_id]
            sequences[stream_id] += len(timestamps)
            messages = [f"{stream_id}.{first + i}" for i in range(len(timestamps))]
            data = frames.encode(first, 7, timestamps, messages)
            files.append(segment.name, data, segment.size)
            (frame,) = frames.scan(data, verify=True)
            segment = segment.extended(frame._replace(offset=segment.size))
            events += [Event(t, stream_id, first + i, messages[i], 7) for i, t in enumerate(timestamps)]
        content = files.read(segment.name, 0, segment.size)
        blocks = tuple(index(frames.scan(content, verify=False), block_bytes))
        views.append(SegmentView(segment, blocks if len(views) % 2 else None))
    return views, Reader(files), sorted(events)


@settings(max_examples=300)
@given(segments, st.sampled_from([1, 150, 100_000]), times, times, st.booleans())
def test_merging_gives_every_wanted_event_once_in_order(segments, block_bytes, first, last, descending):
    views, reader, events = write(segments, block_bytes)
    merger = Merger(views, Range(first, last), Everything(reader), descending=descending)
    got = [event for run in merger.runs() for event in run]
    expected = [event for event in events if first <= event.timestamp <= last]
    assert got == (expected[::-1] if descending else expected)


@settings(max_examples=200)
@given(segments, st.integers(1, 4), st.booleans())
def test_pages_that_go_on_behind_their_last_event_give_every_event_once(segments, limit, descending):
    views, reader, events = write(segments, 150)
    got: list[Event] = []
    wanted = Range()
    while True:
        page = reader.page(views, wanted, limit, descending=descending)
        got += page.events
        if not page.more:
            break
        assert len(page.events) == limit
        wanted = Range(before=got[-1].key) if descending else Range(after=got[-1].key)
    assert got == (events[::-1] if descending else events)


class Everything:
    """A source that remembers which blocks were opened."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.opened: list[tuple[int, int]] = []

    def blocks(self, segment):
        return self.reader.blocks(segment)

    def events(self, segment, block):
        self.opened.append((segment.stream_id, block.offset))
        return frames.decode(self.reader.read(segment, block.offset, block.length), segment.stream_id)


def test_a_page_opens_only_the_blocks_at_its_end():
    views, reader, events = write([(1, [[10 * i, 10 * i + 1] for i in range(500)])], 150)
    source = Everything(reader)
    newest = next(Merger(views, Range(), source, descending=True).runs())
    assert newest[0] == events[-1]
    assert len(source.opened) == 1


def test_a_page_is_at_most_one_mebibyte_but_never_empty():
    files = MemoryFiles()
    big = "é" * 300_000  # 600,000 bytes
    data = frames.encode(1, 0, [1, 2, 3], [big, big, big * 2])
    files.append("01/1-1.seg", data, 0)
    (frame,) = frames.scan(data, verify=True)
    view = SegmentView(empty_segment(1, 1).extended(frame), None)
    reader = Reader(files)
    first = reader.page([view], Range(), 10, descending=False)
    assert ([e.sequence for e in first.events], first.more) == ([1], True)
    last = reader.page([view], Range(), 10, descending=True)
    assert ([e.sequence for e in last.events], last.more) == ([3], True)


class Even:
    """Messages of even sequence numbers."""

    needles = ()

    def matches(self, message: str) -> bool:
        return int(message.partition(".")[2]) % 2 == 0


class Nothing:
    """No message, and no block that would have to be looked into."""

    needles = (("nowhere",),)

    def matches(self, message: str) -> bool:
        raise AssertionError(f"{message} does not contain the needle")


@settings(max_examples=300)
@given(segments, st.sampled_from([1, 100_000]), st.integers(1, 4), st.integers(0, 200), times, times, st.booleans())
def test_pages_of_a_matcher_that_stops_early_give_every_match_once(
    segments, block_bytes, limit, scan_bytes, first, last, descending
):
    views, reader, events = write(segments, block_bytes)
    reader = Reader(reader._files, scan_bytes=scan_bytes)
    for matcher in (Even(), Nothing()):
        expected = [] if isinstance(matcher, Nothing) else [e for e in events if e.sequence % 2 == 0]
        expected = [event for event in expected if first <= event.timestamp <= last]
        got: list[Event] = []
        wanted = Range(first, last)
        while True:
            page = reader.page(views, wanted, limit, descending=descending, matcher=matcher)
            got += page.events
            if not page.more:
                break
            assert page.position is not None
            further = Range(first, last, before=page.position) if descending else Range(first, last, page.position)
            assert further != wanted  # every page gets on
            wanted = further
        assert got == (expected[::-1] if descending else expected)


def test_a_page_without_matches_ends_after_so_many_bytes():
    views, reader, _ = write([(1, [[10 * i] for i in range(500)])], 150)
    reader = Reader(reader._files, scan_bytes=1000)
    page = reader.page(views, Range(), 10, descending=False, matcher=Nothing())
    assert (page.events, page.more) == ([], True)
    assert page.position is not None
    assert page.position[0] in range(1, 4991)
    last = reader.page(views, Range(after=(4950, 0, 0)), 10, descending=False, matcher=Nothing())
    assert (last.events, last.more) == ([], False)
