"""How machines come and go: a small interface, and the driver that runs the operator's program.

The program is the operator's own way to their machines (a cloud's CLI, a hypervisor, a rack).  It is
called as ``PROGRAM start ID``, ``PROGRAM stop ID`` and ``PROGRAM list``; the first two get a JSON
object on standard input (``Order``).  It exits with 0 when it has done, or begun, what it was asked
for, and says on standard error what went wrong otherwise.  Starting a machine that exists and stopping
one that does not must succeed: both are asked for again after a crash.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec
import structlog

from openecs.errors import Retryable

_log = structlog.get_logger("openecs.control")

#: Seconds that one call of the program may take.
TIMEOUT = 300.0
#: Characters of what it said that are shown.
_SHOWN = 200


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the program is told of a machine; the keys are empty when it is to be stopped."""

    instance_id: str
    group: str
    region: str
    availability_zone: str
    #: The cluster that the machine's agent shall join.
    cluster: str = "default"
    instance_type: str = ""
    image_id: str = ""
    #: Of the launch template, base64 as it was given.
    user_data: str = ""
    tags: dict[str, str] = {}
    #: Where the agent finds the control plane, and with what: ``openecs agent --endpoint … --group GROUP``.
    endpoint: str = ""
    access_key_id: str = ""
    secret_key: str = ""


class Provisioner(Protocol):
    """Starts and stops machines.  All raise ``Retryable`` with a sentence for the operator."""

    async def start(self, order: Order) -> None:
        """Begin to start a machine whose agent will join by itself."""
        ...

    async def stop(self, order: Order) -> None:
        """End a machine and everything on it."""
        ...

    async def machines(self) -> frozenset[str]:
        """Ids of the machines that exist."""
        ...


class ProgramProvisioner:
    """Runs the operator's program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __repr__(self) -> str:
        return f"ProgramProvisioner({self._program})"

    async def start(self, order: Order) -> None:
        await self._run("start", order.instance_id, given=msgspec.json.encode(order))

    async def stop(self, order: Order) -> None:
        await self._run("stop", order.instance_id, given=msgspec.json.encode(order))

    async def machines(self) -> frozenset[str]:
        return frozenset((await self._run("list")).split())

    async def _run(self, *arguments: str, given: bytes = b"") -> str:
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, *arguments, stdin=pipe, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            raise Retryable(f"the provisioner {self._program} cannot be started: {error.strerror}") from None
        try:
            async with asyncio.timeout(TIMEOUT):
                out, err = await process.communicate(given)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Retryable(f"the provisioner took longer than {TIMEOUT:.0f} s for {' '.join(arguments)}") from None
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode:
            said = err.decode(errors="replace").strip().splitlines()
            why = said[-1][:_SHOWN] if said else f"exit status {process.returncode}"
            raise Retryable(f"the provisioner could not {' '.join(arguments)}: {why}")
        _log.debug("provisioner", arguments=arguments)
        return out.decode(errors="replace")
