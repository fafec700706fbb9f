"""The foreground side of a running installation: what Ctrl-C and SIGTERM do to it."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from types import FrameType

import click

from openecs.cli.client import CallError, Client, UnreachableError
from openecs.cli.installation import Installation
from openecs.cli.leftovers import remove_leftovers
from openecs.cli.supervisor import GRACE_SECONDS
from openecs.cli.tasks import stop_all
from openecs.errors import OperatorError

#: How long Ctrl-C waits for tasks to stop; each has its own stopTimeout of up to two minutes.
STOP_SECONDS = 150.0


class Foreground:
    """The foreground side of a supervisor that this command started."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self._process = process
        self._output = output
        self._terminated = False

    def signals(self) -> _SigtermInterrupts:
        """While entered, SIGTERM ends the waiting as Ctrl-C does; ``stop`` tells them apart."""
        return _SigtermInterrupts(self)

    def note_sigterm(self) -> None:
        """Remember that it was not a person at the keyboard."""
        self._terminated = True

    def last_words(self) -> str | None:
        """What the supervisor printed last when it ended, ``None`` while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        text = self._output.read_text(errors="replace").strip().removeprefix("error: ")
        return text or f"The supervisor ended with status {status} and said nothing."

    def wait(self) -> None:
        """Stay until the supervisor ends; ``OperatorError`` with its words when it failed."""
        if self._process.wait() != 0:
            raise OperatorError(self.last_words() or "The supervisor failed.")

    def stop(self, installation: Installation, *, stop_tasks: bool) -> None:
        """What a signal asked for.

        Ctrl-C stops tasks first when ``stop_tasks``, a second one skips the waiting for them.
        SIGTERM, as service managers send it, leaves containers running.  An ephemeral
        installation would forget them, so its tasks are stopped in any case.
        """
        stopped = ephemeral = installation.layout().ephemeral
        try:
            if ephemeral or (stop_tasks and not self._terminated):
                click.echo("\nStopping tasks (Ctrl-C again to leave them) ...")
                stop_all(
                    Client(installation.credentials()),
                    seconds=STOP_SECONDS,
                    progress=lambda left: click.echo(f"  {left} to go"),
                )
                stopped = True
        except KeyboardInterrupt:
            click.echo(
                "Removing the remaining containers." if ephemeral else "Leaving the remaining containers running."
            )
        except (OperatorError, UnreachableError, CallError) as error:
            click.echo(f"warning: {error}", err=True)
        self.end_supervisor()
        if stopped:
            remove_leftovers(installation)
        click.echo("Stopped.")

    def end_supervisor(self) -> None:
        """Have it end the agent and the server in order, and wait for that."""
        self._process.terminate()
        # It gives each of them one grace period before it kills it.
        self._process.wait(GRACE_SECONDS * 3)


class _SigtermInterrupts:
    """Turns SIGTERM into ``KeyboardInterrupt`` while it is entered."""

    def __init__(self, foreground: Foreground) -> None:
        self._foreground = foreground

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        self._foreground.note_sigterm()
        raise KeyboardInterrupt
