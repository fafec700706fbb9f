"""A host of its own to measure on: a network namespace with its own ``/sys`` and ``/run/netns``.

A part that needs one has a program of its own; ``on_a_host`` runs it there and takes the figures
that it prints as JSON.  Whatever it makes goes away with the namespace.  ``Lab`` is for the
program: namespaces that are connected in the product's own way.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import structlog

from openecs.agent.network.host import HostNetwork
from openecs.agent.network.interfaces import Interfaces, inside

_HOST = (
    "mount -t sysfs sysfs /sys && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up"
    ' && exec "$0" "$@"'
)
#: Of every lab; a subnet of it.
GATEWAY = "10.60.0.1/17"


def on_a_host(program: str, folder: Path, *arguments: str) -> Any:
    """Run a Python program on a host of its own; the JSON that it prints last."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["unshare", "--net", "--mount", "--propagation", "slave", "sh", "-c", _HOST]
    done = subprocess.run(
        [*command, sys.executable, program, str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


class Lab:
    """Namespaces on this host; ``run`` of the folder is where an agent would keep its files."""

    def __init__(self, folder: Path) -> None:
        # What the product logs is not part of the figures.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        self.interfaces = Interfaces(HostNetwork(folder / "run"))
        self._processes: list[subprocess.Popen[str]] = []

    async def connect(self, name: str, address: str) -> Path:
        """A namespace with that address, as a task has one; its path."""
        path = Path("/run/netns") / name
        subprocess.run(["ip", "netns", "add", name], check=True)  # noqa: ASYNC221 -- nothing else runs
        await self.interfaces.connect(path, address=address, gateway=GATEWAY, alias=name)
        return path

    def start(self, namespace: Path | None, *command: str, **environment: str) -> subprocess.Popen[str]:
        """A process of that namespace (``None``: the host's); it is ended by ``close``."""
        whole = inside(namespace, *command) if namespace else command
        # In a session of its own, as services are: the kernel shares its time out among sessions.
        process = subprocess.Popen(
            whole,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End what was started here, with its children."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
