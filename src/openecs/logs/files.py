"""Where segment files live: on disk, or in memory for an ephemeral installation.

Both give the same few operations; one writer thread appends and removes, any thread reads and
creates whole files.  Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from openecs.errors import OperatorError

#: Files kept open for appending; thousands of streams share them.
OPEN_FILES = 128
#: Concurrent flushes: file systems merge them into one journal commit.
FLUSH_THREADS = 8


class Files(Protocol):
    """Append-only files by name (``aa/12-1.seg``)."""

    def sizes(self) -> dict[str, int]:
        """Every file and its size in bytes."""
        ...

    def append(self, name: str, data: bytes, offset: int) -> None:
        """Write ``data`` at the end, which is ``offset``; raises ``OSError`` and leaves the old end on failure."""
        ...

    def flush(self, names: Iterable[str]) -> None:
        """Return once everything appended to ``names`` would survive a loss of power."""
        ...

    def create(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a whole file durably in a folder that is there; returns its size."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Bytes of a file; raises ``FileNotFoundError``."""
        ...

    def truncate(self, name: str, size: int) -> None:
        """Cut a file to ``size`` bytes, durably."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file; one that is not there is fine."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class DiskFiles:
    """Files below one directory, which one process at a time may own."""

    def __init__(self, root: Path, *, open_files: int = OPEN_FILES) -> None:
        self._root = root
        self._limit = open_files
        root.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise OperatorError(
                f"Another process writes the log events in {root}. Stop it, or name another --data-dir."
            ) from None
        self._open: OrderedDict[str, int] = OrderedDict()
        self._new_names: set[str] = set()
        self._pool = ThreadPoolExecutor(FLUSH_THREADS, thread_name_prefix="logs-flush")

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        with os.scandir(self._root) as folders:
            for folder in folders:
                if folder.is_dir():
                    with os.scandir(folder.path) as entries:
                        found.update((f"{folder.name}/{e.name}", e.stat().st_size) for e in entries)
        return found

    def append(self, name: str, data: bytes, offset: int) -> None:
        fd = self._descriptor(name)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        except OSError:
            os.ftruncate(fd, offset)
            raise

    def flush(self, names: Iterable[str]) -> None:
        wanted = list(names)
        # An evicted descriptor is opened again: flushing is about the file, not the descriptor.
        descriptors = [self._descriptor(name) for name in wanted[: self._limit]]
        if len(descriptors) == 1:
            os.fdatasync(descriptors[0])
        else:
            list(self._pool.map(os.fdatasync, descriptors))
        if len(wanted) > self._limit:
            self.flush(wanted[self._limit :])
        folders = {name.partition("/")[0] for name in wanted if name in self._new_names}
        for folder in folders:
            sync_directory(self._root / folder)
        self._new_names.difference_update(wanted)

    def create(self, name: str, chunks: Iterable[bytes]) -> int:
        path = self._root / name
        size = 0
        with open(path, "wb", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            for chunk in chunks:
                size += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
        return size

    def read(self, name: str, offset: int, length: int) -> bytes:
        fd = os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, length, offset)
        finally:
            os.close(fd)

    def truncate(self, name: str, size: int) -> None:
        fd = self._descriptor(name)
        os.ftruncate(fd, size)
        os.fsync(fd)

    def remove(self, name: str) -> None:
        fd = self._open.pop(name, None)
        if fd is not None:
            os.close(fd)
        self._new_names.discard(name)
        (self._root / name).unlink(missing_ok=True)

    def close(self) -> None:
        self._pool.shutdown()
        while self._open:
            os.close(self._open.popitem()[1])
        os.close(self._lock)

    def _descriptor(self, name: str) -> int:
        fd = self._open.get(name)
        if fd is not None:
            self._open.move_to_end(name)
            return fd
        path = self._root / name
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        try:
            fd = os.open(path, flags)
        except FileNotFoundError:
            if not path.parent.is_dir():
                path.parent.mkdir()
                sync_directory(self._root)
            fd = os.open(path, flags | os.O_CREAT, 0o600)
            self._new_names.add(name)
        self._open[name] = fd
        while len(self._open) > self._limit:
            os.close(self._open.popitem(last=False)[1])
        return fd


class MemoryFiles:
    """Files that end with the process."""

    def __init__(self) -> None:
        self._data: dict[str, bytearray] = {}

    def sizes(self) -> dict[str, int]:
        return {name: len(data) for name, data in self._data.items()}

    def append(self, name: str, data: bytes, offset: int) -> None:
        held = self._data.setdefault(name, bytearray())
        del held[offset:]
        held += data

    def flush(self, names: Iterable[str]) -> None:
        """Memory has nowhere further to go."""

    def create(self, name: str, chunks: Iterable[bytes]) -> int:
        self._data[name] = bytearray().join(chunks)
        return len(self._data[name])

    def read(self, name: str, offset: int, length: int) -> bytes:
        held = self._data.get(name)
        if held is None:
            raise FileNotFoundError(name)
        return bytes(held[offset : offset + length])

    def truncate(self, name: str, size: int) -> None:
        del self._data[name][size:]

    def remove(self, name: str) -> None:
        self._data.pop(name, None)

    def close(self) -> None:
        self._data.clear()


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
