"""The end of what a container printed, out of an engine's framed answer, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.agent.runtime.docker.output import LIMIT, End, newest


def framed(text: bytes, stream: int = 1) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@given(
    texts=st.lists(st.binary(max_size=50), max_size=20),
    cuts=st.lists(st.integers(1, 30), min_size=1, max_size=50),
    limit=st.integers(1, 200),
)
def test_pieces_and_frames_need_not_agree(texts: list[bytes], cuts: list[int], limit: int) -> None:
    answer = b"".join(framed(text, 1 + number % 2) for number, text in enumerate(texts))
    end = End(terminal=False, limit=limit)
    at = number = 0
    while at < len(answer):
        size = cuts[number % len(cuts)]
        end.feed(answer[at : at + size])
        at, number = at + size, number + 1
    whole = b"".join(texts)
    assert end.text() == whole[-limit:].decode("utf-8", "replace").replace("\r\n", "\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_of_long_lines_the_newest_stay(terminal: bool) -> None:
    end = End(terminal=terminal)
    for text in (b"x" * LIMIT + b"\n", b"y" * LIMIT + b"\n", b"the last words\n"):
        end.feed(text if terminal else framed(text))
    assert newest(end.text(), 1) == "the last words\n"
    assert len(end.text()) == LIMIT


def test_half_a_frame_is_text_and_half_a_header_is_not() -> None:
    end = End(terminal=False)
    end.feed(framed(b"one\n") + framed(b"two\n")[:-2])
    assert end.text() == "one\ntw"
    end = End(terminal=False)
    end.feed(framed(b"one\n") + framed(b"two\n")[:5])
    assert end.text() == "one\n"
