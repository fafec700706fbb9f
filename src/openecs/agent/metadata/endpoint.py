"""The metadata and credentials endpoint of this agent: where it listens, alone or with others.

Tasks, SDKs and Docker's log drivers ask one fixed address, ``169.254.170.2:80``, and one process
of a host can have it.  With several agents on a host (``sharing``) one holds the address and hands
on what it does not know; the others wait to take it over.  Without the address (no root, or a
process that is no agent has it) tasks run without this endpoint, and the log says so.
"""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Self

import structlog

from openecs.agent.config import AgentConfig, bind_address
from openecs.agent.engine.engine import TaskEngine
from openecs.agent.membership import Membership
from openecs.agent.metadata import sharing
from openecs.agent.metadata.http import Answer, MetadataServer, Request
from openecs.agent.metadata.routes import LINK_LOCAL, MetadataRoutes
from openecs.agent.metadata.siblings import Siblings
from openecs.agent.network import vicinity
from openecs.agent.network.commands import run
from openecs.agent.network.driver import NetworkError
from openecs.ids import Ids

_log = structlog.get_logger("openecs.agent")
#: Seconds between looks while a holder comes up or goes down, which takes it milliseconds.
BETWEEN_HOLDERS = 0.02
#: Seconds for a holder to come up before it counts as none.
HOLDER_DEADLINE = 5.0
#: Seconds between tries for an address that a process which is no agent took over from one.
FOREIGN_PAUSE = 5.0


class MetadataEndpoint:
    """``async with`` it, then ``run`` it; ``url`` is ``None`` when this node serves none."""

    def __init__(self, config: AgentConfig, routes: MetadataRoutes, ids: Ids) -> None:
        self._bind = config.metadata_bind
        self._run_dir = Path(config.run_dir)
        self._routes = routes
        self._ids = ids
        self._server = MetadataServer(self._answer)
        self._for_agents = MetadataServer(routes.answer)
        self._own: Path | None = None
        self._siblings: Siblings | None = None
        self._holding: sharing.Holding | None = None
        self._waiting: sharing.Waiting | None = None
        self.url: str | None = None

    async def __aenter__(self) -> Self:
        if self._bind is None:
            return self
        host, port = bind_address(self._bind)
        try:
            folder = await self._meet(host, port)
            if folder is None:
                host, port = await self._listen(host, port)
            else:
                async with asyncio.timeout(HOLDER_DEADLINE):
                    await self._hold_or_wait(folder, host, port)
        except (OSError, TimeoutError) as error:
            await self._leave()
            _log.warning(
                "tasks run without metadata and credentials endpoint: its address is not to be had; "
                "free it and start the agent again",
                bind=self._bind,
                error=str(error) or "the agent that holds it does not answer",
            )
            return self
        self.url = f"http://{host}" if port == 80 else f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()
        await self._leave()

    def serve_tasks(self, engine: TaskEngine, membership: Membership) -> None:
        """Where the answers come from."""
        self._routes.serve_tasks(engine, membership)

    async def run(self) -> None:
        """Take the address over whenever its holder goes; returns when there is nothing to wait for."""
        if self._bind is None:
            return
        host, port = bind_address(self._bind)
        while self._waiting is not None and self._own is not None:
            await self._waiting.ended()
            self._waiting.close()
            # Nothing tells when a process that is no agent lets go of an address.
            while not await self._took_over(self._own.parent, host, port):  # noqa: ASYNC110
                await asyncio.sleep(FOREIGN_PAUSE)

    # -- sharing --------------------------------------------------------------------------

    async def _took_over(self, folder: Path, host: str, port: int) -> bool:
        try:
            await self._hold_or_wait(folder, host, port)
        except OSError as error:
            _log.warning("a process that is no agent took the metadata address", bind=self._bind, error=str(error))
            return False
        return True

    async def _meet(self, host: str, port: int) -> Path | None:
        """Join the agents that share the address; ``None`` when this agent cannot share."""
        if port == 0:
            return None
        try:
            folder = sharing.meeting_place(self._run_dir, host, port)
            self._own, listener = sharing.own_socket(folder, self._ids.hex32()[:16])
        except OSError as error:
            _log.warning(
                "the metadata address is not shared with other agents of this host; only root can share it, "
                "and run_dir must be short",
                run_dir=str(self._run_dir),
                error=str(error),
            )
            return None
        await self._for_agents.start_unix(listener)
        self._siblings = Siblings(folder, self._own)
        self._holding = sharing.Holding(folder)
        return folder

    async def _hold_or_wait(self, folder: Path, host: str, port: int) -> None:
        """Become the holder, or stay connected to the one there is.

        Raises ``OSError`` when nobody of us holds the address and it cannot be bound.
        """
        while self._holding is not None:
            if self._holding.take():
                self._waiting = None
                try:
                    await self._listen(host, port)
                    await self._holding.announce()
                except OSError:
                    await self._server.close()
                    await self._holding.give_back()
                    raise
                _log.info("serving the metadata address", bind=self._bind)
                if self._siblings is not None:
                    await self._siblings.clear()
                return
            self._waiting = await sharing.Waiting.for_holder(folder)
            if self._waiting is not None:
                _log.info("another agent of this host serves the metadata address", bind=self._bind)
                return
            await asyncio.sleep(BETWEEN_HOLDERS)

    async def _leave(self) -> None:
        """Other agents neither ask this one nor wait for it any more."""
        if self._holding is not None:
            await self._holding.give_back()
        if self._waiting is not None:
            self._waiting.close()
        if self._own is not None:
            self._own.unlink(missing_ok=True)
        await self._for_agents.close()
        self._holding = self._waiting = self._own = self._siblings = None

    # -- serving --------------------------------------------------------------------------

    async def _listen(self, host: str, port: int) -> tuple[str, int]:
        if host != LINK_LOCAL:
            return await self._server.start(host, port)
        await _add_address(host)
        # Machines around the host may route the address to it.
        return await self._server.start(host, port, accepts=vicinity.is_here)

    async def _answer(self, request: Request) -> Answer:
        """This agent's answer; if it has none, that of the agent which has one."""
        answer = await self._routes.answer(request)
        if answer.known or self._siblings is None:
            return answer
        return await self._siblings.ask(request) or answer


async def _add_address(address: str) -> None:
    """Put the link-local address on ``lo``; ``OSError`` when that is not allowed.

    It stays there after the agent: without it, what running tasks ask of it would leave the host.
    """
    if os.geteuid() != 0:
        raise PermissionError(errno.EPERM, f"adding {address} to the loopback interface needs root")
    try:
        await run(("ip", "address", "replace", f"{address}/32", "dev", "lo"), "")
    except NetworkError as error:
        raise OSError(str(error)) from None
