"""An OpenECS installation as its own command starts it, for as long as a benchmark needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers import call, free_port
from processes import cpu_seconds, resident_mib
from signed_request import Endpoint

from openecs.wire.sigv4 import Credentials

_OPENECS = str(Path(sys.executable).with_name("openecs"))


class Installation:
    """One data directory and what runs on it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.port = free_port()
        self._options = options

    def up(self) -> float:
        """Start it; the seconds until its command said that everything runs."""
        started = time.perf_counter()
        self._openecs("up", "--detach", "--port", str(self.port), "--timeout", "300", *self._options)
        taken = time.perf_counter() - started
        keys = json.loads((self.home / "credentials.json").read_text())
        credentials = Credentials(keys["access_key_id"], keys["secret_key"])
        self.endpoint = Endpoint("127.0.0.1", self.port, credentials, keys["region"])
        self.pids: dict[str, int] = self.status()["pids"]
        return taken

    def down(self, *options: str) -> None:
        self._openecs("down", *options)

    def status(self) -> dict[str, Any]:
        """What ``openecs status`` says."""
        status: dict[str, Any] = json.loads(self._openecs("status", "--json"))
        return status

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """One ECS call."""
        return call(self.endpoint, operation, **parameters)

    def cpu(self) -> dict[str, float]:
        """CPU seconds of every process so far."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items() if pid}

    def resident(self) -> float:
        """Resident memory of all processes, the supervisor too, in MiB."""
        return resident_mib(pid for pid in self.pids.values() if pid)

    def _openecs(self, *arguments: str) -> str:
        command = [_OPENECS, *arguments, "--data-dir", str(self.home)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=400, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout


@contextmanager
def installation(home: Path, *options: str, keep_tasks: bool = False) -> Iterator[Installation]:
    """A running installation, stopped with its tasks at the end.

    ``keep_tasks`` spares the stops; for the fake engine, whose tasks end with their agent.
    """
    one = Installation(home, *options)
    one.up()
    try:
        yield one
    finally:
        one.down(*(["--keep-tasks"] if keep_tasks else []))
