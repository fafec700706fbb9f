"""Runs nftables scripts: in this process through libnftables where it is installed, or with ``nft``.

The library does in about a millisecond what a process of its own takes several for.  Each script
is one transaction.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import threading
from typing import Protocol

from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError


class Nftables(Protocol):
    """What runs scripts."""

    async def run(self, script: str) -> str:
        """Run a script; what it prints.  Raises ``NetworkError`` with what nftables complains of."""
        ...


class LibNftables:
    """libnftables in this process; one call at a time, in a thread.  Raises ``OSError`` without the library."""

    def __init__(self) -> None:
        library = ctypes.CDLL(ctypes.util.find_library("nftables") or "libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = (ctypes.c_uint32,)
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).restype = ctypes.c_char_p
            getattr(library, name).argtypes = (ctypes.c_void_p,)
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
            getattr(library, name).argtypes = (ctypes.c_void_p,)
        library.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        self._library = library
        self._lock = threading.Lock()

    async def run(self, script: str) -> str:
        return await asyncio.to_thread(self.run_here, script)

    def run_here(self, script: str) -> str:
        """The same, in this thread."""
        library = self._library
        # A context belongs to the network namespace in which it was made, and remembers what it has
        # seen of the ruleset; a new one costs microseconds.
        with self._lock:
            context = library.nft_ctx_new(0)
            if not context:
                raise NetworkError("libnftables gives no context")
            try:
                library.nft_ctx_buffer_output(context)
                library.nft_ctx_buffer_error(context)
                failed = library.nft_run_cmd_from_buffer(context, script.encode())
                output = library.nft_ctx_get_output_buffer(context) or b""
                errors = library.nft_ctx_get_error_buffer(context) or b""
            finally:
                library.nft_ctx_free(context)
        if failed:
            raise NetworkError(errors.decode(errors="replace").strip()[:2000] or "nftables refused the rules")
        return str(output.decode(errors="replace"))


class NftCommand:
    """The ``nft`` command, one process per script."""

    async def run(self, script: str) -> str:
        return await run(("nft", "-f", "-"), script)


def open_nftables() -> Nftables:
    """The library, or the command where it is missing."""
    try:
        return LibNftables()
    except (OSError, AttributeError):
        return NftCommand()
