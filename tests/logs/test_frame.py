from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
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


class Containing:
    """Messages with some text in them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.needles = ((text,),)

    def matches(self, message: str) -> bool:
        return self.text in message


class Every:
    """Every message whose length is even: nothing to look for in the bytes."""

    needles = ()

    def matches(self, message: str) -> bool:
        return len(message) % 2 == 0


def write(
    batches: list[tuple[int, list[tuple[int, str]]]], *, gaps: bool = False
) -> tuple[bytes, list[list[Event]], list[int]]:
    """The file of some batches, their events, and the offset behind each."""
    data, events, ends, sequence = b"", [], [], 1
    for ingestion, rows in batches:
        rows = sorted(rows, key=lambda row: row[0])
        data += frames.encode(sequence, ingestion, [t for t, _ in rows], [m for _, m in rows])
        events.append([Event(t, 9, sequence + i, m, ingestion) for i, (t, m) in enumerate(rows)])
        ends.append(len(data))
        sequence += len(rows) + gaps
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


@pytest.fixture(params=[10**9, 20, 0], ids=["loose", "mixed", "packed"])
def packing(request, monkeypatch) -> int:
    """From which size on batches are packed at once."""
    monkeypatch.setattr(frames, "PACK_CHARACTERS", request.param)
    return request.param


several = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@several
@given(batches=batches, gaps=st.booleans(), room=st.sampled_from([0, 10, 10**6]))
def test_sealing_changes_nothing_but_the_frames(packing, batches, gaps, room):
    data, events, _ = write(batches, gaps=gaps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "SEALED_CHARACTERS", room)
        sealed = b"".join(frames.seal(data))
    assert frames.decode(sealed, 9) == sorted(event for batch in events for event in batch)
    assert all(frame.packed for frame in frames.scan(sealed, verify=True))
    assert b"".join(frames.seal(sealed)) == sealed


@several
@given(batches=batches, window=st.sampled_from([45, 64, 1000]))
def test_headers_tell_the_same_frames_as_the_whole_file(packing, batches, window):
    data, _, _ = write(batches)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "WINDOW_BYTES", window)
        found = list(frames.headers(lambda offset, length: data[offset : offset + length], len(data)))
        assert found == list(frames.scan(data, verify=True))
        assert {frame.packed for frame in found} <= {packing == 0, packing < 10**9}
        with pytest.raises(frames.DamagedFrameError):
            list(frames.headers(lambda offset, length: data[:-1][offset : offset + length], len(data) - 1))


@several
@given(batches=batches, text=st.text(min_size=1, max_size=2))
def test_a_matcher_leaves_exactly_what_matches(packing, batches, text):
    data, events, _ = write(batches)
    for matcher in (Containing(text), Every()):
        expected = sorted(event for batch in events for event in batch if matcher.matches(event.message))
        assert frames.decode(data, 9, matcher) == expected
        assert frames.decode(b"".join(frames.seal(data)), 9, matcher) == expected


def test_a_packed_frame_whose_checksum_holds_but_not_its_content_is_damage(monkeypatch):
    monkeypatch.setattr(frames, "PACK_CHARACTERS", 0)
    monkeypatch.setattr(frames.cramjam.zstd, "compress", lambda raw, level: raw)
    data, _, _ = write([(1, [(5, "a")])])
    with pytest.raises(frames.DamagedFrameError, match="does not decompress"):
        frames.decode(data, 9)


def test_text_logs_shrink_below_a_quarter():
    lines = [
        f'10.0.0.{i % 200} - - "GET /api/orders/{i * 7919 % 5000} HTTP/1.1" 200 {i * 31 % 997}' for i in range(2000)
    ]
    raw = sum(map(len, lines))
    one = frames.encode(1, 0, list(range(2000)), lines)
    assert len(one) < raw / 4
    small = b"".join(frames.encode(1 + i, i, [i], [line]) for i, line in enumerate(lines))
    assert len(small) > raw
    assert sum(map(len, frames.seal(small))) < raw / 4


def test_zeros_behind_the_last_frame_are_not_frames():
    data, _, ends = write([(1, [(5, "a")])])
    found = list(frames.scan(data + bytes(4096), verify=True))
    assert [frame.offset + frame.length for frame in found] == ends
