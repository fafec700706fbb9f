from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.logs import frame as frames
from openecs.logs.event import Event

batches = st.lists(
    st.tuples(
        st.integers(0, 10**13), st.lists(st.tuples(st.integers(0, 5000), st.text(min_size=1)), min_size=1, max_size=5)
    ),
    min_size=1,
    max_size=6,
)


def write(batches: list[tuple[int, list[tuple[int, str]]]]) -> tuple[bytes, list[list[Event]], list[int]]:
    """The file of some batches, their events, and the offset behind each."""
    data, events, ends, sequence = b"", [], [], 1
    for ingestion, rows in batches:
        rows = sorted(rows, key=lambda row: row[0])
        data += frames.encode(sequence, ingestion, [t for t, _ in rows], [m for _, m in rows])
        events.append([Event(t, 9, sequence + i, m, ingestion) for i, (t, m) in enumerate(rows)])
        ends.append(len(data))
        sequence += len(rows)
    return data, events, ends


@given(batches)
def test_what_was_written_is_read_back_in_the_order_of_keys(batches):
    data, events, _ = write(batches)
    assert frames.decode(data, 9) == sorted(event for batch in events for event in batch)


@given(batches, st.data())
def test_a_file_that_ends_anywhere_gives_exactly_its_whole_batches(batches, data):
    content, _, ends = write(batches)
    cut = data.draw(st.integers(0, len(content)))
    found = [frame.offset + frame.length for frame in frames.scan(content[:cut], verify=True)]
    assert found == [end for end in ends if end <= cut]


@given(batches, st.data())
def test_a_flipped_bit_hides_its_batch_and_all_behind_it(batches, data):
    content, _, ends = write(batches)
    at = data.draw(st.integers(0, len(content) - 1))
    broken = bytearray(content)
    broken[at] ^= 1 << data.draw(st.integers(0, 7))
    found = [frame.offset + frame.length for frame in frames.scan(bytes(broken), verify=True)]
    assert found == [end for end in ends if end <= at]
    with pytest.raises(frames.DamagedFrameError):
        frames.decode(bytes(broken), 9)


def test_zeros_behind_the_last_frame_are_not_frames():
    data, _, ends = write([(1, [(5, "a")])])
    found = list(frames.scan(data + bytes(4096), verify=True))
    assert [frame.offset + frame.length for frame in found] == ends
