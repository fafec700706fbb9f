"""The program ``openecs``: its commands, and how their errors reach a person."""

from __future__ import annotations

import os
import sys

import click

import openecs
from openecs.cli.agent import agent
from openecs.cli.children import agent_run, serve, supervise
from openecs.cli.client import CallError, UnreachableError
from openecs.cli.down import down
from openecs.cli.env import env
from openecs.cli.interrupt import interrupt
from openecs.cli.join import join_key, reset
from openecs.cli.logs import logs
from openecs.cli.process import ProcessIdentity, die_with_parent
from openecs.cli.status import status
from openecs.cli.supervisor import EXIT_OPERATOR
from openecs.cli.up import up
from openecs.cli.why import why
from openecs.errors import OperatorError

#: Exit status of a command that could not do what was asked.
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(openecs.__version__, prog_name="openecs")
@click.option("--parent", type=int, hidden=True, help="End when this process, the parent, ends.")
def group(parent: int | None) -> None:
    """The Amazon ECS API on your own machine, with real containers behind it."""
    if parent is not None:
        try:
            die_with_parent(ProcessIdentity.of(parent))
        except ProcessLookupError:
            raise SystemExit(EXIT_FAILED) from None


for _command in (up, down, status, env, logs, why, interrupt, agent, join_key, reset, serve, supervise, agent_run):
    group.add_command(_command)


def main() -> None:
    """Run the command that the arguments name."""
    hidden = any(word in ("serve", "supervise", "agent-run") for word in sys.argv[1:4])
    try:
        group.main(prog_name="openecs", standalone_mode=False)
    except OperatorError as error:
        _fail(str(error), EXIT_OPERATOR if hidden else EXIT_FAILED)
    except BaseExceptionGroup as errors:
        # Servers and agents are task groups; what is for the operator may be deep inside.
        matched, others = errors.split(OperatorError)
        if matched is None or others is not None:
            raise
        _fail("\n".join(str(error) for error in _leaves(matched)), EXIT_OPERATOR if hidden else EXIT_FAILED)
    except (UnreachableError, CallError) as error:
        _fail(str(error), EXIT_FAILED)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(EXIT_INTERRUPTED) from None
    except BrokenPipeError:
        # The reader (``head``, ``less``) has left; nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def _leaves(group: BaseExceptionGroup[OperatorError]) -> list[BaseException]:
    """The errors themselves, out of groups within groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _fail(text: str, status: int) -> None:
    click.echo(f"error: {text}", err=True)
    raise SystemExit(status)
