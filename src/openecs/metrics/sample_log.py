"""The log of samples: frames appended to a file, each whole or not there.

A frame holds what was added between two writes, as columns, with the series that are new in it.
A file belongs to one generation: everything between two checkpoints of the store.  The torn frame
of a crash ends a file; it was never acknowledged.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cramjam
import msgspec

from openecs.metrics.block import StatisticSet
from openecs.metrics.metric import Dimensions, MetricKey

#: Mark, length of the payload, its CRC-32.
_HEADER = struct.Struct("<4sII")
_MARK = b"OEM1"
_PREFIX, _SUFFIX = "samples-", ".log"


class NewSeries(NamedTuple):
    """A series and the number that samples name it by."""

    id: int
    region: str
    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    resolution: int

    @property
    def key(self) -> MetricKey:
        """The metric that the series belongs to."""
        return MetricKey(self.region, self.namespace, self.name, self.dimensions)


class Samples:
    """Columns of samples on their way to the log; times are starts of rows, in seconds."""

    __slots__ = ("counts", "ids", "series", "sets", "times", "values")

    def __init__(self) -> None:
        self.series: list[NewSeries] = []
        self.ids = array("I")
        self.times = array("q")
        self.values = array("d")
        self.counts = array("d")
        #: Number of the series and its statistic set.
        self.sets: list[tuple[int, StatisticSet]] = []

    def __bool__(self) -> bool:
        return bool(self.ids) or bool(self.sets) or bool(self.series)


class _Frame(msgspec.Struct, array_like=True):
    series: list[NewSeries]
    ids: bytes
    times: bytes
    values: bytes
    counts: bytes
    sets: list[tuple[int, StatisticSet]]


_decoder = msgspec.msgpack.Decoder(_Frame)


def encode(samples: Samples) -> bytes:
    """One frame."""
    frame = _Frame(
        samples.series,
        samples.ids.tobytes(),
        samples.times.tobytes(),
        samples.values.tobytes(),
        samples.counts.tobytes(),
        samples.sets,
    )
    payload = bytes(cramjam.zstd.compress(msgspec.msgpack.encode(frame), level=1))
    return _HEADER.pack(_MARK, len(payload), zlib.crc32(payload)) + payload


def decode(data: bytes) -> Iterator[Samples]:
    """The whole frames of a file's bytes, up to the first that is not whole."""
    at = 0
    while at + _HEADER.size <= len(data):
        mark, length, checksum = _HEADER.unpack_from(data, at)
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        if mark != _MARK or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        frame = _decoder.decode(bytes(cramjam.zstd.decompress(payload)))
        samples = Samples()
        samples.series = frame.series
        samples.ids.frombytes(frame.ids)
        samples.times.frombytes(frame.times)
        samples.values.frombytes(frame.values)
        samples.counts.frombytes(frame.counts)
        samples.sets = frame.sets
        yield samples
        at += _HEADER.size + length


class SampleLog:
    """The files of one folder; one thread at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file: int | None = None
        self._generation = 0

    def generations(self) -> list[int]:
        """The generations of which there are files, oldest first."""
        names = [path.name for path in self._folder.glob(f"{_PREFIX}*{_SUFFIX}")]
        return sorted(int(name.removeprefix(_PREFIX).removesuffix(_SUFFIX)) for name in names)

    def read(self, generation: int) -> Iterator[Samples]:
        """What a file holds."""
        return decode(self._path(generation).read_bytes())

    def append(self, generation: int, samples: Samples) -> int:
        """Write a frame and make it durable; returns its bytes.  Raises ``OSError``.

        A generation that was not there yet begins a file.
        """
        if self._file is None or generation != self._generation:
            self.close()
            self._file = os.open(self._path(generation), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._generation = generation
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        data = encode(samples)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fdatasync(self._file)
        return len(data)

    def remove(self, up_to: int) -> None:
        """Delete the files of all generations up to this one, which is not written to any more."""
        for generation in self.generations():
            if generation <= up_to:
                if generation == self._generation:
                    self.close()
                self._path(generation).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file that is written to."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self, generation: int) -> Path:
        return self._folder / f"{_PREFIX}{generation:012d}{_SUFFIX}"
