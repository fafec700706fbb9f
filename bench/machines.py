"""Machines without engines: processes of ``fake_agents`` that join an installation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installation import Installation
from load import LoadError

from openecs.agent.config import ACCESS_KEY_ID, SECRET_KEY

#: Far more than any row needs, so that capacity never decides.
CPU, MEMORY = 10_000_000, 10_000_000


@contextmanager
def machines(
    ours: Installation, count: int, *, processes: int = 2, cluster: str = "default", documents: Path | None = None
) -> Iterator[list[int]]:
    """``count`` connected container instances; the process ids of their agents.

    ``documents``: the file in which they note what they were told; see ``fake_agents``.
    """
    ours.call("CreateCluster", clusterName=cluster)
    endpoint = ours.endpoint
    keys = {ACCESS_KEY_ID: endpoint.credentials.access_key_id, SECRET_KEY: endpoint.credentials.secret_key}
    if documents is not None:
        keys["BENCH_DOCUMENTS"] = str(documents)
    program = str(Path(__file__).with_name("fake_agents.py"))
    share = count // processes
    started: list[subprocess.Popen[str]] = []
    try:
        for number in range(processes):
            command = [sys.executable, program, endpoint.url, endpoint.region, cluster]
            command += map(str, (number * share, share, CPU, MEMORY))
            started.append(
                subprocess.Popen(
                    command, env=os.environ | keys, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        for process in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise LoadError("fake agents did not connect")
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait(30)
