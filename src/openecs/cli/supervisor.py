"""The process that keeps a control plane and this machine's agent running.

It starts both, starts them again when they end unexpectedly, writes down which processes
they are, and stops them in order (agent first).  It holds the installation's lock for as long
as it lives, and its children end when it ends.  It serves nothing and decides nothing about
tasks.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import structlog

from openecs.cli.installation import Installation, Running
from openecs.cli.plan import StartPlan
from openecs.cli.process import ProcessIdentity
from openecs.cli.restart import AGENT, SERVER
from openecs.config import AgentCredentials, Layout, RunningServer, read_file, write_private
from openecs.errors import OperatorError

#: Exit status of a child whose message is for the operator (EX_CONFIG of sysexits.h).
EXIT_OPERATOR = 78
#: How long a child may take to end after SIGTERM.
GRACE_SECONDS = 20.0
#: A process that has run for so long has started well.
SETTLED_SECONDS = 2.0
#: How often the start of the server is looked at; only before it answers for the first time.
_START_TICK = 0.03


class Supervisor:
    """Keeps the processes of one installation."""

    def __init__(
        self, plan: StartPlan, *, environ: Mapping[str, str], command: Callable[..., list[str]] | None = None
    ) -> None:
        """``command`` makes the command line of a child from the words after ``openecs``."""
        self._plan = plan
        self._command = command or program
        self._environ = environ
        self._installation = Installation(plan.home)
        self._layout = Layout(plan.home, ephemeral=plan.server.ephemeral)
        self._log = structlog.get_logger("openecs.supervisor")
        self._running = Running(
            supervisor=ProcessIdentity.of(os.getpid()),
            endpoint=plan.server.endpoint,
            ephemeral=plan.server.ephemeral,
            with_agent=plan.agent is not None,
        )

    async def run(self) -> None:
        """Run until SIGTERM; raises ``OperatorError`` when the server cannot be kept up."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        self._note()
        gave_up: OperatorError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                server = group.create_task(self._keep_server(), name="server")
                agent = group.create_task(self._keep_agent(), name="agent") if self._plan.agent else None
                await stop.wait()
                self._log.info("stopping")
                if agent is not None:
                    agent.cancel()
                    await asyncio.wait([agent])
                server.cancel()
        except* OperatorError as errors:
            # Raised below: what is raised in here would arrive as a group.
            gave_up = next(error for error in errors.exceptions if isinstance(error, OperatorError))
        if gave_up is not None:
            self._log.error("gave up", reason=str(gave_up))
            self._note(trouble=str(gave_up))
            raise gave_up
        self._log.info("stopped")

    async def _keep_server(self) -> None:
        ends: list[float] = []
        write_private(self._layout.server_config_file, self._plan.server)
        while True:
            self._layout.server_file.unlink(missing_ok=True)
            status, said = await self._run_child("server", ["serve", str(self._layout.server_config_file)], {})
            ends.append(time.monotonic())
            self._note(server=None, server_crashes=len(ends))
            self._log.error("the server ended", status=status, output=said)
            if status == EXIT_OPERATOR:
                raise OperatorError(said.removeprefix("error: "))
            delay = SERVER.delay(ends, time.monotonic())
            if delay is None:
                raise OperatorError(
                    f"The control plane ended {SERVER.give_up_after} times within {SERVER.window:.0f} seconds, "
                    f"last with {_describe(status)}{_quoted_end(said)}. "
                    f"Look at {self._layout.log / 'server.log'} and {self._layout.log / 'server.out'}."
                )
            await asyncio.sleep(delay)

    async def _keep_agent(self) -> None:
        assert self._plan.agent is not None  # noqa: S101 -- only called with one
        ends: list[float] = []
        while True:
            endpoint = await self._server_endpoint()
            keys = read_file(self._layout.agent_credentials_file, AgentCredentials)
            write_private(self._layout.agent_config_file, self._plan.agent)
            status, said = await self._run_child(
                "agent",
                ["agent-run", str(self._layout.agent_config_file), "--endpoint", endpoint],
                {
                    # By environment, because arguments are visible to every user of the machine.
                    "OPENECS_AGENT_ACCESS_KEY_ID": keys.access_key_id,
                    "OPENECS_AGENT_SECRET_KEY": keys.secret_key,
                },
            )
            ends.append(time.monotonic())
            self._log.error("the agent ended", status=status, output=said)
            trouble = said.removeprefix("error: ") if status == EXIT_OPERATOR else f"it ended with {_describe(status)}"
            self._note(agent=None, agent_crashes=len(ends), trouble=f"The agent does not run: {trouble}")
            await asyncio.sleep(AGENT.delay(ends, time.monotonic()) or 0)

    async def _server_endpoint(self) -> str:
        """The URL at which the agent finds the server, once it answers."""
        while True:
            try:
                return read_file(self._layout.server_file, RunningServer).endpoint
            except FileNotFoundError:
                await asyncio.sleep(_START_TICK)

    async def _run_child(self, name: str, words: list[str], secrets: Mapping[str, str]) -> tuple[int, str]:
        """Run ``openecs <words>`` until it ends: its status and the last lines that it printed.

        Cancellation stops it in an orderly way first.
        """
        output = self._layout.log / f"{name}.out"
        output.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with output.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *self._command("--parent", str(os.getpid()), *words),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # A Ctrl-C on the terminal is for the foreground program, which stops us in order.
                start_new_session=True,
                env={**self._environ, **secrets},
            )
        try:
            identity = ProcessIdentity.of(process.pid)
            self._note(**{name: identity})
            self._log.info("started", process=name, pid=process.pid)
            if name == "agent":
                await self._settle(process)
            status = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            self._note(**{name: None})
            raise
        return status, _last_lines(output)

    async def _settle(self, process: asyncio.subprocess.Process) -> None:
        """Forget the trouble of an earlier start of the agent once this one has lasted for a while."""
        try:
            async with asyncio.timeout(SETTLED_SECONDS):
                await process.wait()
        except TimeoutError:
            if self._running.trouble is not None:
                self._note(trouble=None)

    def _note(self, **changes: object) -> None:
        self._running = msgspec.structs.replace(self._running, **changes)
        write_private(self._layout.supervisor_file, self._running)


def program(*words: str) -> list[str]:
    """The command line of this same program, whatever way it was installed."""
    return [sys.executable, "-P", "-m", "openecs.cli", *words]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _describe(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"


def _quoted_end(said: str) -> str:
    """The last line that a process printed, to be appended to a sentence."""
    return f" ({said.splitlines()[-1].strip()})" if said else ""


def _last_lines(path: Path, count: int = 12) -> str:
    lines = path.read_text(errors="replace").splitlines()
    return "\n".join(lines[-count:]).strip()
