"""Chunks: the rows of one series, tier and window of time as bytes, kept in SQLite.

SQLite gives what a store of many small pieces needs: replacing one together with a note of what
has been taken in, readers that see one state while the next is written, and space used again.
Knows bytes only of what ``block_codec`` makes; holds no samples that are not yet rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from openecs.metrics.block import Block, join, regroup
from openecs.metrics.block_codec import decode_bags, decode_rows, encode_bags, encode_rows
from openecs.metrics.retention import BY_STEP, NEXT, Tier
from openecs.metrics.sample_log import NewSeries

#: Chunks that one transaction of a roll-up takes, so that none holds up others for long.
BATCH = 200

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    dimensions TEXT NOT NULL, unit TEXT NOT NULL, resolution INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS chunks (
    series INTEGER NOT NULL, tier INTEGER NOT NULL, start INTEGER NOT NULL,
    bags BLOB NOT NULL, rows BLOB NOT NULL,
    UNIQUE (series, tier, start)
);
CREATE INDEX IF NOT EXISTS by_age ON chunks (tier, start);
CREATE TABLE IF NOT EXISTS mark (generation INTEGER NOT NULL, version INTEGER NOT NULL, next_series INTEGER NOT NULL);
INSERT INTO mark SELECT 0, 0, 1 WHERE NOT EXISTS (SELECT 1 FROM mark);
"""


class Mark(NamedTuple):
    """Where a state of the chunks stands."""

    #: The last generation of samples that the chunks have.
    generation: int
    #: Grows with every change of a chunk.
    version: int
    #: The lowest number that no series had yet.
    next_series: int


class StoredSeries(NamedTuple):
    """A series, and the time of its latest row in seconds."""

    series: NewSeries
    last: int


class Chunks:
    """One connection to the chunks; ``path`` ``None`` keeps them in the memory of this connection."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=60)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            # What a commit says must be there after a crash of the machine, for the samples' log forgets it.
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def mark(self) -> Mark:
        """Where the chunks stand."""
        return Mark(*self._db.execute("SELECT generation, version, next_series FROM mark").fetchone())

    def series(self) -> list[StoredSeries]:
        """All series that have or had chunks."""
        return [
            StoredSeries(NewSeries(number, region, namespace, name, _dimensions(text), unit, resolution), last)
            for number, region, namespace, name, text, unit, resolution, last in self._db.execute(
                "SELECT * FROM series"
            )
        ]

    @contextmanager
    def reading(self) -> Iterator[Mark]:
        """Reads within see one state, of which this is the mark."""
        self._db.execute("BEGIN")
        try:
            yield self.mark()
        finally:
            self._db.execute("COMMIT")

    def read(self, series: int, tier: Tier, start: float, end: float, *, distributions: bool) -> Iterator[Block]:
        """The chunks that touch the time from ``start`` until before ``end``, in order."""
        bags = "bags" if distributions else "x''"
        rows = self._db.execute(
            f"SELECT rows, {bags} FROM chunks WHERE series = ? AND tier = ? AND start > ? AND start < ?"  # noqa: S608
            " ORDER BY start",
            (series, tier.step, start - tier.window, end),
        )
        for data, packed in rows:
            yield _decoded(data, packed)

    def store(
        self, generation: int, blocks: Mapping[int, Block], series: Sequence[StoredSeries], next_series: int
    ) -> None:
        """Take in the rows of a generation's samples: number of the series → rows of its resolution."""
        steps = {one.series.id: one.series.resolution for one in series}
        with self._writing():
            self._db.execute("UPDATE mark SET generation = ?, next_series = ?", (generation, next_series))
            self._db.executemany(
                "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET last = excluded.last",
                [(new.id, *new.key[:3], _text(new.dimensions), new.unit, new.resolution, last) for new, last in series],
            )
            for number, block in blocks.items():
                self._add(number, BY_STEP[steps[number]], block)

    def roll_up(self, tier: Tier, now: float) -> bool:
        """Add rows that are too old for a tier to the next, or delete them; false when none was left."""
        rows = self._db.execute(
            "SELECT rowid, series, rows, bags FROM chunks WHERE tier = ? AND start <= ? LIMIT ?",
            (tier.step, now - tier.keep - tier.window, BATCH),
        ).fetchall()
        if not rows:
            return False
        with self._writing():
            for rowid, number, data, packed in rows:
                self._db.execute("DELETE FROM chunks WHERE rowid = ?", (rowid,))
                above = NEXT.get(tier)
                if above is not None:
                    self._add(number, above, regroup([_decoded(data, packed)], above.step))
        return True

    def forget_series(self, numbers: Iterable[int]) -> None:
        """Forget series that have no chunks any more."""
        with self._writing():
            self._db.executemany("DELETE FROM series WHERE id = ?", [(number,) for number in numbers])

    def wipe(self, generation: int) -> None:
        """Forget everything, samples up to this generation included."""
        with self._writing():
            self._db.execute("DELETE FROM chunks")
            self._db.execute("DELETE FROM series")
            self._db.execute("UPDATE mark SET generation = ?", (generation,))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("UPDATE mark SET version = version + 1")
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _add(self, number: int, tier: Tier, block: Block) -> None:
        """Rows of a tier's step, of any time, into the chunks that they belong to."""
        first = 0
        while first < len(block):
            start = block.times[first] - block.times[first] % tier.window
            piece = block.between(block.times[first], start + tier.window)
            first += len(piece)
            there = list(self.read(number, tier, start, start + 1, distributions=True))
            whole = join([*there, piece])
            self._db.execute(
                "INSERT OR REPLACE INTO chunks (series, tier, start, rows, bags) VALUES (?, ?, ?, ?, ?)",
                (number, tier.step, start, encode_rows(whole), encode_bags(whole)),
            )


def _decoded(rows: bytes, bags: bytes) -> Block:
    block = decode_rows(rows)
    block.bags = decode_bags(bags)
    return block


def _text(dimensions: Iterable[tuple[str, str]]) -> str:
    return msgspec.json.encode(dimensions).decode()


def _dimensions(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in msgspec.json.decode(text))
