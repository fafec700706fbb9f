"""Sealing: a complete segment of many small batches is written anew in packed frames.

The second file is durable before anybody hears of it; the catalogue then says in one
transaction that it counts, and only after that the first file goes.  So a crash at any point
leaves one of the two, and a start removes the other.
"""

from __future__ import annotations

from openecs.logs import frame as frames
from openecs.logs.files import Files
from openecs.logs.segment import SEAL_BYTES, Segment


def worth_sealing(segment: Segment) -> bool:
    """Whether a second file would be smaller than the first."""
    return not segment.sealed and segment.loose >= SEAL_BYTES


def seal_segment(files: Files, segment: Segment) -> Segment:
    """Write the packed file of a segment that gets nothing more; the first one stays.

    Raises ``FileNotFoundError`` when the segment has been removed, ``DamagedFrameError``, ``OSError``.
    """
    data = files.read(segment.name, 0, segment.size)
    if len(data) != segment.size:
        raise frames.DamagedFrameError(f"{segment.name} has {len(data)} bytes, not {segment.size}")
    packed = segment._replace(sealed=1, loose=0)
    return packed._replace(size=files.create(packed.name, frames.seal(data)))
