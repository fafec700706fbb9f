"""Running the host's network tools, and kernel settings.  Failures become ``NetworkError``."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from openecs.agent.network.driver import NetworkError


async def run(command: tuple[str, ...], script: str) -> str:
    """Run a command with ``script`` as its input; its output.  Raises ``NetworkError`` with what it complained of."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            # Without a script there is no pipe either: uvloop fails when a program ends before "nothing" is written.
            stdin=asyncio.subprocess.PIPE if script else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise NetworkError(f"{command[0]}: {error.strerror}") from None
    try:
        stdout, stderr = await process.communicate(script.encode() or None)
    except asyncio.CancelledError:
        # It may wait for input that will not come, or have ended a moment ago.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # To the end: pipes with something left in them would stay open.
        await process.communicate()
        raise
    if process.returncode:
        raise NetworkError(stderr.decode(errors="replace").strip() or f"{command[0]} failed")
    return stdout.decode(errors="replace")


def sysctl(name: str, value: str) -> None:
    """Set a kernel setting unless it is so already; ``name`` with slashes."""
    path = Path("/proc/sys") / name
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise NetworkError(f"{path}: {error.strerror}") from None
