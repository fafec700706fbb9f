"""The image of the container that holds an awsvpc task's network: one tiny program that waits.

The program is written here byte by byte (there is no registry to fetch one from): an ELF file
with a single loop around a system call that sleeps until a signal comes.  x86_64 and arm64.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlencode

from openecs.agent.runtime.protocol import EngineError, EngineUnavailable
from openecs.http.client import HttpClient
from openecs.http.errors import HttpUnavailable

REFERENCE = "openecs/pause:1"
ENTRYPOINT = "/pause"

_LOAD_ADDRESS = 0x400000
_HEADERS = 64 + 56
#: EM_X86_64 and EM_AARCH64.
_MACHINES = {"x86_64": 62, "arm64": 183}
#: mov eax, 34 (pause); syscall; jmp back.
_X86_64 = bytes.fromhex("b8220000000f05ebf7")
#: x0..x4 = 0; x8 = 73 (ppoll); svc 0; branch back to the beginning, since x0 holds the result.
_ARM64 = struct.pack(
    "<8I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800004, 0xD2800928, 0xD4000001, 0x17FFFFF9
)


class ImageImporter(Protocol):
    """What the network code needs of an engine besides ``Runtime``."""

    async def import_image(self, reference: str, tar: bytes, changes: tuple[str, ...]) -> None:
        """Make an image of a root file system; raises ``EngineError``, ``EngineUnavailable``."""
        ...


class EngineImporter:
    """Imports through the Docker Engine API; ``connect`` gives a client for one import."""

    def __init__(self, connect: Callable[[], HttpClient]) -> None:
        self._connect = connect

    async def import_image(self, reference: str, tar: bytes, changes: tuple[str, ...]) -> None:
        # The tag goes with the name: Podman does not look at the parameter for it.
        query = urlencode([("fromSrc", "-"), ("repo", reference), *(("changes", change) for change in changes)])
        client = self._connect()
        try:
            reply = await client.request(
                "POST",
                f"/images/create?{query}",
                headers=[("Content-Type", "application/x-tar")],
                body=tar,
                repeatable=True,
            )
        except HttpUnavailable as error:
            raise EngineUnavailable(str(error)) from error
        finally:
            await client.close()
        if reply.status >= 400 or b'"error"' in reply.body:
            raise EngineError(reply.body.decode(errors="replace").strip(), reply.status)


def program(architecture: str) -> bytes:
    """The ELF file; ``ValueError`` for an architecture other than ``x86_64`` and ``arm64``."""
    machine = _MACHINES.get(architecture)
    if machine is None:
        raise ValueError(f"there is no pause program for {architecture}")
    code = _X86_64 if architecture == "x86_64" else _ARM64
    size = _HEADERS + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01",  # 64 bits, little endian, version 1; the rest is padding
        2,  # an executable
        machine,
        1,
        _LOAD_ADDRESS + _HEADERS,  # entry point: the code right behind the headers
        64,  # the program header follows this header
        0,  # no sections
        0,
        64,
        56,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return header + segment + code


def tar(architecture: str) -> bytes:
    """The root file system: the program and nothing else."""
    binary = program(architecture)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(ENTRYPOINT.lstrip("/"))
        entry.size = len(binary)
        entry.mode = 0o755
        archive.addfile(entry, io.BytesIO(binary))
    return buffer.getvalue()
