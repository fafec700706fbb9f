"""Putting catalogue and segment files together at start.

After an orderly stop this only compares sizes.  After a crash it reads the files that grew
beyond what the catalogue says of them: whole frames count (they may have been acknowledged), a torn
end is cut off, files that belong to no stream are removed.  Of a segment that was being sealed
the catalogue says which file counts; the other one is removed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import structlog

from openecs.logs.catalogue import Loaded, Statement, delete_segment, put_segment
from openecs.logs.files import Files
from openecs.logs.frame import scan
from openecs.logs.records import LogStream
from openecs.logs.segment import MOVED, Segment, empty_segment, parse_segment_name, segment_name

log = structlog.get_logger("openecs.logs")


class Recovered(NamedTuple):
    """What the store starts from."""

    streams: dict[int, LogStream]
    #: Catalogue changes that record what was found.
    statements: list[Statement]


def recover(loaded: Loaded, files: Files) -> Recovered:
    """Give every stream its segments; cut torn files; remove those of deleted streams."""
    statements: list[Statement] = []
    known: dict[int, dict[int, Segment]] = defaultdict(dict)
    for segment in loaded.segments:
        known[segment.stream_id][segment.number] = segment
    found: dict[int, dict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    for name, size in files.sizes().items():
        parsed = parse_segment_name(name)
        if parsed is None:
            continue
        stream_id, number, sealed = parsed
        if stream_id in loaded.streams:
            found[stream_id][number][sealed] = size
        else:
            files.remove(name)
    for stream_id, stream in loaded.streams.items():
        # A removal that a crash interrupted, or files that somebody else deleted.
        moved = {number for number, segment in known[stream_id].items() if segment.sealed == MOVED}
        for number in moved:
            stream.adopt(known[stream_id][number])
            for sealed in found[stream_id].pop(number, {}):
                files.remove(segment_name(stream_id, number, sealed))
        gone = known[stream_id].keys() - found[stream_id].keys() - moved
        statements.extend(delete_segment(stream_id, number) for number in gone)
        for number, sizes in sorted(found[stream_id].items()):
            segment = known[stream_id].get(number) or empty_segment(stream_id, number)
            if segment.sealed not in sizes:
                segment = empty_segment(stream_id, number, 1 - segment.sealed)
            if len(sizes) > 1:
                files.remove(segment_name(stream_id, number, 1 - segment.sealed))
            size = sizes[segment.sealed]
            if segment.size != size or size == 0:
                segment = read_segment(files, empty_segment(stream_id, number, segment.sealed), size)
                if segment.event_count == 0:
                    files.remove(segment.name)
                    statements.append(delete_segment(stream_id, number))
                    continue
                statements.append(put_segment(segment))
            stream.adopt(segment)
    return Recovered(loaded.streams, statements)


def read_segment(files: Files, segment: Segment, size: int) -> Segment:
    """What the whole frames of the file of an (empty) segment hold; whatever follows them is cut off."""
    for frame in scan(files.read(segment.name, 0, size), verify=True):
        segment = segment.extended(frame)
    if segment.size < size:
        log.warning(
            "cut the torn end of a segment",
            segment=segment.name,
            kept_bytes=segment.size,
            cut_bytes=size - segment.size,
        )
        files.truncate(segment.name, segment.size)
    return segment
