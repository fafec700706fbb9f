"""Reading a metric's rows, wherever its samples are: in chunks, on their way there, in tails."""

from __future__ import annotations

from collections.abc import Iterable

from openecs.metrics.block import Block, join, regroup
from openecs.metrics.chunks import Chunks
from openecs.metrics.retention import TIERS, Tier
from openecs.metrics.row_cache import RowCache
from openecs.metrics.series import Metric, Series


class Reading:
    """Reads of ``chunks``, which belong to the thread that calls; keeps what it has read lately."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        self._cache = RowCache()

    def rows(
        self,
        metric: Metric,
        since: float,
        end: float,
        period: int,
        anchor: int,
        unit: str | None,
        *,
        distributions: bool,
    ) -> Block:
        """The rows of ``period`` seconds, counted from ``anchor``, of what was measured from ``since`` until before
        ``end``; all in seconds since the epoch.  ``unit`` takes the data of that unit only.
        """
        tiers = [tier for tier in TIERS if period % tier.step == 0]
        blocks: list[Block] = []
        steps = set()
        for series in metric.series.values():
            if unit is None or series.new.unit == unit:
                for step, block in self._blocks(series, tiers, since, end, distributions=distributions):
                    part = block.between(since, end)
                    if len(part):
                        blocks.append(part)
                        steps.add(step)
        if steps <= {period} and anchor % period == 0:
            return join(blocks)
        return regroup(blocks, period, anchor, distributions=distributions)

    def _blocks(
        self, series: Series, tiers: list[Tier], start: float, end: float, *, distributions: bool
    ) -> Iterable[tuple[int, Block]]:
        """Everything that there is of a series around a time, as blocks and their steps."""
        resolution = series.new.resolution
        found: list[tuple[int, Block]] = []
        sealed = series.sealed
        if start <= series.stored_until or sealed is not None:
            with self._chunks.reading() as mark:
                self._cache.at(mark.version)
                for tier in tiers:
                    if tier.step >= resolution:
                        stored = self._cache.read(
                            self._chunks, series.id, tier, start, end, distributions=distributions
                        )
                        found += [(tier.step, block) for block in stored]
                if sealed is not None and mark.generation >= sealed.generation:
                    sealed = None  # the chunks have it already
        if any(tier.step == resolution for tier in tiers):
            if sealed is not None:
                found.append((resolution, sealed.tail.rows(start)))
            if series.tail:
                found.append((resolution, series.tail.rows(start)))
        return found
