"""``openecs down``: stop the tasks, then the control plane and the agent."""

from __future__ import annotations

import signal
import time

import click

from openecs.cli.client import CallError, Client, UnreachableError, is_healthy
from openecs.cli.installation import Installation, Running
from openecs.cli.leftovers import remove_abandoned, remove_leftovers
from openecs.cli.options import data_dir_option
from openecs.cli.supervisor import GRACE_SECONDS
from openecs.cli.tasks import launching_again_unless_done, stop_all
from openecs.errors import OperatorError

#: How long a server that does not answer may take to be restarted.
RESTART_SECONDS = 15.0


@click.command()
@data_dir_option
@click.option("--keep-tasks", is_flag=True, help="Leave the containers running; the next 'up' takes them up again.")
@click.option("--timeout", type=float, default=150.0, show_default=True, help="Seconds to wait for tasks to stop.")
def down(installation: Installation, *, keep_tasks: bool, timeout: float) -> None:
    """Stop this installation.  What it stores stays, unless it was ephemeral."""
    running = installation.running()
    if running is None:
        click.echo(f"OpenECS is not running in {installation.home}.")
        forget_abandoned(installation)
        return
    if keep_tasks and running.ephemeral:
        raise OperatorError(
            "An ephemeral installation forgets its tasks when it stops, so nobody could ever stop them. "
            f"Leave --keep-tasks away: {installation.command('down')}"
        )
    if not keep_tasks:
        try:
            stop_tasks(installation, timeout)
        except OperatorError as error:
            if not running.ephemeral:
                raise
            # Nobody else would ever end them, so they are removed with the processes gone.
            click.echo(f"warning: {error.args[0].partition(' To stop')[0]}", err=True)
    stop_processes(running)
    if not keep_tasks:
        remove_leftovers(installation)
    with installation.locked():
        installation.clear_run()
    click.echo("OpenECS is down." + (" Containers of its tasks go on running." if keep_tasks else ""))


def stop_tasks(installation: Installation, seconds: float) -> None:
    """Stop all tasks; ``OperatorError`` when that is not possible."""
    client = Client(installation.credentials())
    wait_for_restart(installation)
    try:
        with launching_again_unless_done(client):
            stop_all(client, seconds=seconds, progress=lambda left: click.echo(f"Stopping tasks: {left} to go"))
    except (UnreachableError, CallError) as error:
        raise OperatorError(
            f"The tasks cannot be stopped: {error}. To stop what is left of OpenECS and leave its containers "
            "running, use: openecs down --keep-tasks"
        ) from None


def forget_abandoned(installation: Installation) -> None:
    """Remove what an ephemeral run left that did not end in order."""
    last = installation.last_run()
    if last is not None and last.ephemeral:
        with installation.locked():
            remove_abandoned(installation)
            installation.clear_run()


def wait_for_restart(installation: Installation) -> None:
    """Give a server that has just crashed the time to come back; a supervisor sees to that."""
    deadline = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < deadline:
        running = installation.running()
        if running is None or not running.supervisor.is_alive() or is_healthy(running.endpoint):
            return
        time.sleep(0.1)


def stop_processes(running: Running) -> None:
    """End the supervisor, which ends the others in order; then whatever outlived it."""
    running.supervisor.send(signal.SIGTERM)
    # It gives the agent and the server one grace period each.
    running.supervisor.wait(GRACE_SECONDS * 2 + 5)
    for process in running.alive:
        process.send(signal.SIGTERM)
    for process in running.alive:
        if not process.wait(GRACE_SECONDS):
            process.send(signal.SIGKILL)
            process.wait(GRACE_SECONDS)
    if running.alive:
        pids = ", ".join(str(process.pid) for process in running.alive)
        raise OperatorError(f"These processes do not end: {pids}. Look at them with: ps -fp {pids.replace(' ', '')}")
