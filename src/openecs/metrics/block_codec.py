"""Blocks as bytes: columns of fixed width, byte planes apart, compressed.

The bytes of equal weight of a column stand together, because neighbours differ in few of them;
that halves what compression leaves of measured values.  Distributions are bytes of their own,
because most readers need none.
"""

from __future__ import annotations

import struct
import sys
from array import array
from itertools import accumulate
from operator import sub
from typing import Any

import cramjam

from openecs.metrics.bag import Bag, compact
from openecs.metrics.block import Block

#: Number of rows, time of the first, whether each row is one single observation.
_HEADER = struct.Struct("<Iq?")
_LEVEL = 3


def encode_rows(block: Block) -> bytes:
    """The columns of a block with at least one row."""
    times = block.times
    single = block.minima == block.maxima == block.sums and block.counts == array("d", [1.0]) * len(times)
    steps = array("I", map(sub, times[1:], times))
    columns = (block.sums,) if single else (block.sums, block.counts, block.minima, block.maxima)
    return _HEADER.pack(len(times), times[0], single) + _packed([steps, *columns])


def decode_rows(data: bytes) -> Block:
    """The block without its distributions."""
    size, first, single = _HEADER.unpack_from(data)
    planes = _unpacked(data[_HEADER.size :])
    block = Block()
    block.times = array("q", accumulate(_column(planes, 0, "I", size - 1), initial=first))
    at = (size - 1) * 4
    block.sums = _column(planes, at, "d", size)
    if single:
        block.counts = array("d", [1.0]) * size
        block.minima = block.maxima = block.sums
        return block
    block.counts = _column(planes, at + size * 8, "d", size)
    block.minima = _column(planes, at + size * 16, "d", size)
    block.maxima = _column(planes, at + size * 24, "d", size)
    return block


def encode_bags(block: Block) -> bytes:
    """The distributions of a block, rounded where they are large; empty where it has none."""
    if not block.bags:
        return b""
    bags = [compact(bag) for bag in block.bags.values()]
    sizes = array("I", map(len, bags))
    times = array("q", block.bags)
    values = array("d", [value for bag in bags for value in bag])
    counts = array("d", [count for bag in bags for count in bag.values()])
    return struct.pack("<II", len(bags), len(values)) + _packed([times, sizes, values, counts])


def decode_bags(data: bytes) -> dict[int, Bag]:
    """The distributions by the times of their rows."""
    if not data:
        return {}
    number, size = struct.unpack_from("<II", data)
    planes = _unpacked(data[8:])
    times = _column(planes, 0, "q", number)
    sizes = _column(planes, number * 8, "I", number)
    values = _column(planes, number * 12, "d", size)
    counts = _column(planes, number * 12 + size * 8, "d", size)
    bags: dict[int, Bag] = {}
    at = 0
    for time, length in zip(times, sizes, strict=True):
        bags[time] = dict(zip(values[at : at + length], counts[at : at + length], strict=True))
        at += length
    return bags


def _packed(columns: list[array[Any]]) -> bytes:
    planes = []
    for column in columns:
        raw = _little(column).tobytes()
        planes += [raw[plane :: column.itemsize] for plane in range(column.itemsize)]
    return bytes(cramjam.zstd.compress(b"".join(planes), level=_LEVEL))


def _unpacked(data: bytes) -> bytes:
    return bytes(cramjam.zstd.decompress(data))


def _column(planes: bytes, at: int, code: str, size: int) -> array[Any]:
    column: array[Any] = array(code)
    width = column.itemsize
    raw = bytearray(size * width)
    for plane in range(width):
        raw[plane::width] = planes[at + plane * size : at + (plane + 1) * size]
    column.frombytes(bytes(raw))
    return _little(column)


def _little(column: array[Any]) -> array[Any]:
    """The column in the files' order of bytes, and back."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column
