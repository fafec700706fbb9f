"""A provisioner for tests: its machines are agents with the fake engine, as processes of this machine.

``MACHINES`` names the folder in which each machine has one with its agent's process id.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["MACHINES"])


def start(name: str) -> None:
    home = ROOT / name
    if (home / "pid").exists():
        return
    order = json.load(sys.stdin)
    home.mkdir(parents=True, exist_ok=True)
    environ = {
        **os.environ,
        "OPENECS_AGENT_ACCESS_KEY_ID": order["access_key_id"],
        "OPENECS_AGENT_SECRET_KEY": order["secret_key"],
    }
    command = [
        *(Path(sys.executable).parent / "openecs", "agent", "--runtime", "fake", "--no-fargate"),
        *("--endpoint", order["endpoint"], "--region", order["region"], "--cluster", order["cluster"]),
        *("--group", order["group"], "--availability-zone", order["availability_zone"], "--data-dir", home / "agent"),
        *("--cpu", "1024", "--memory", "512"),
    ]
    with (home / "log").open("w") as log:
        agent = subprocess.Popen(
            list(map(str, command)),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (home / "pid").write_text(str(agent.pid))


def stop(name: str) -> None:
    file = ROOT / name / "pid"
    if file.exists():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)
        file.unlink()


def main(action: str, *names: str) -> None:
    if action == "list":
        sys.stdout.write("\n".join(file.parent.name for file in ROOT.glob("*/pid")))
    else:
        {"start": start, "stop": stop}[action](*names)


if __name__ == "__main__":
    main(*sys.argv[1:])
