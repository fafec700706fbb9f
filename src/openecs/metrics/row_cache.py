"""Blocks of chunks that were read lately, within a bounded number of rows.

Entries are what one ``version`` of the chunks says; another version empties the cache.
"""

from __future__ import annotations

from collections.abc import Iterator

from openecs.metrics.block import Block
from openecs.metrics.chunks import Chunks
from openecs.metrics.retention import Tier

#: 40 bytes a row at most: 12 MB.
MOST_ROWS = 300_000

_Key = tuple[int, int, int, int]


class RowCache:
    """Which chunks touch a span of time, decoded; without distributions, which would fill it."""

    def __init__(self) -> None:
        self._version = -1
        self._rows = 0
        self._spans: dict[_Key, list[Block]] = {}

    def at(self, version: int) -> None:
        """Say which version of the chunks is read now."""
        if version != self._version:
            self._version = version
            self._spans.clear()
            self._rows = 0

    def read(
        self, chunks: Chunks, series: int, tier: Tier, start: float, end: float, *, distributions: bool
    ) -> Iterator[Block]:
        """The blocks of the chunks that touch the time from ``start`` until before ``end``."""
        if distributions:
            yield from chunks.read(series, tier, start, end, distributions=True)
            return
        # Spans of whole windows, so that a caller's moving range finds them again.
        first, last = int(start // tier.window), int(-(-end // tier.window))
        key = (series, tier.step, first, last)
        blocks = self._spans.get(key)
        if blocks is None:
            found = chunks.read(series, tier, first * tier.window, last * tier.window, distributions=False)
            blocks = list(found)
            self._rows += sum(map(len, blocks)) + 1
            if self._rows > MOST_ROWS:
                self._spans.clear()
                self._rows = sum(map(len, blocks)) + 1
            self._spans[key] = blocks
        yield from blocks
