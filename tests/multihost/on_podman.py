"""Run a command on a machine whose container engine is Podman.

    .venv/bin/python tests/multihost/on_podman.py .venv/bin/pytest tests/runtime -m docker

The machine has its own network, processes, mounts and image store (``multihost_machines``), and
``DOCKER_HOST`` names Podman's service in it.  Nothing of it is left afterwards, save for control
groups of tasks that the command left running.  Needs root and the packages podman and catatonit.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))
sys.path.insert(1, str(Path(__file__).parent.parent))

from multihost_machines import Fabric, MachineEngine, Tree, remove_cgroups
from waiting import wait_for

#: Podman's monitor notes here, and not where Podman looks, that a container ran out of memory.
OOM_TRACE = Path("/oom")
CONFIGURATION = """
[containers]
# Podman's own default is more than a root without CAP_SYS_RESOURCE may give away.
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
{runtime}
tmp_dir = "{folder}/tmp"
[network]
network_config_dir = "{folder}/networks"
"""


def main(command: list[str]) -> int:
    """Run the command; its exit status."""
    if not command:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="openecs-podman-"))
    had_trace = OOM_TRACE.exists()
    fabric = Fabric()
    machine = Tree("podman")
    try:
        fabric.plug(machine, "to-podman", 11)
        return run_beside_podman(machine, folder, command)
    finally:
        machine.kill()
        fabric.kill()
        shutil.rmtree(folder)
        # Podman's own group for containers outlives them; what is in use stays.
        remove_cgroups("libpod_parent")
        if not had_trace:
            OOM_TRACE.unlink(missing_ok=True)


def run_beside_podman(machine: Tree, folder: Path, command: list[str]) -> int:
    """Start Podman's service on the machine, run the command there, end the service."""
    socket = folder / "podman.sock"
    (folder / "containers.conf").write_text(configuration(folder))
    with (folder / "podman.log").open("wb") as log:
        service = subprocess.Popen(
            machine.command(
                "podman", "--root", str(folder / "root"), "--runroot", str(folder / "runroot"),
                "system", "service", "--time", "0", f"unix://{socket}",
            ),
            env={**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_for(MachineEngine(socket).answers, seconds=30, what="Podman's service")
        here = machine.command("env", f"DOCKER_HOST=unix://{socket}", "sh", "-c", f'cd {Path.cwd()} && exec "$@"', "sh")
        return subprocess.run([*here, *command], check=False).returncode
    finally:
        machine.kill()
        service.wait()


def configuration(folder: Path) -> str:
    """Podman's settings: limits that may be given away, and runc where it is installed.

    crun refuses hosts that have both versions of cgroups with controllers in the second one.
    """
    return CONFIGURATION.format(
        folder=folder,
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        processes=resource.getrlimit(resource.RLIMIT_NPROC)[1],
        runtime='runtime = "runc"' if shutil.which("runc") else "",
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
