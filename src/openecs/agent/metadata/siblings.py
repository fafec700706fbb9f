"""Asking the other agents of this host about a token that this one does not know."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from openecs.agent.metadata.http import CLIENT_HEADER, UNKNOWN_HEADER, Answer, Request
from openecs.agent.metadata.sharing import others
from openecs.http import HttpClient, UnixAddress
from openecs.http.errors import HttpProtocolError, HttpUnavailable

_log = structlog.get_logger("openecs.agent")
#: Seconds for another agent's answer; SDKs give up after about five.
PATIENCE = 4.0
SILENT = Answer(503, b'"another agent on this host, which may know this task, did not answer"', known=False)


class Siblings:
    """The agents that share this one's address."""

    def __init__(self, folder: Path, own: Path) -> None:
        self._folder = folder
        self._own = own

    async def ask(self, request: Request) -> Answer | None:
        """The answer of the agent that knows the token; ``None`` when nobody does.

        All are asked at once.  An agent that does not answer might have known: then, and if
        nobody else does, the answer is a 503, which SDKs repeat.
        """
        silent = False
        async with asyncio.TaskGroup() as group:
            pending = {group.create_task(self._ask(path, request)) for path in others(self._folder, self._own)}
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for answer in [task.result() for task in done]:
                    if answer is not None and answer.known:
                        for task in pending:
                            task.cancel()
                        return answer
                    silent = silent or answer is SILENT
        return SILENT if silent else None

    async def clear(self) -> None:
        """Remove what agents that were killed have left."""
        for path in others(self._folder, self._own):
            try:
                _, writer = await asyncio.open_unix_connection(str(path))
            except ConnectionRefusedError:
                _remove(path)
            except OSError as error:
                _log.debug("another agent's socket", socket=str(path), error=str(error))
            else:
                writer.close()

    async def _ask(self, path: Path, request: Request) -> Answer | None:
        client = HttpClient(UnixAddress(str(path)), timeout=PATIENCE)
        target = f"{request.path}?{request.query}" if request.query else request.path
        try:
            reply = await client.request(
                request.method, target, headers=[(CLIENT_HEADER, request.client)], body=request.body
            )
        except (HttpUnavailable, HttpProtocolError) as error:
            if _nobody_listens(error):
                _remove(path)
                return None
            _log.warning("another agent does not answer", socket=str(path), error=str(error))
            return SILENT
        finally:
            await client.close()
        return Answer(reply.status, reply.body, known=reply.header(UNKNOWN_HEADER) is None)


def _remove(path: Path) -> None:
    """Names are never used twice, so nobody will ever listen there again."""
    path.unlink(missing_ok=True)


def _nobody_listens(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
            return True
        cause = cause.__cause__
    return False
