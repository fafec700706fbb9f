"""Machines for tests: each with its own network, processes, mounts and container engine.

A machine is one process tree in namespaces of its own, with a private ``dockerd`` inside; a
fabric is a switch to which machines and the test are plugged.  When the tree's first process
ends, everything of the machine ends with it, as in a power cut; when the test's process dies,
all machines do.  Nothing is named system-wide but one network interface, which goes with the
fabric.  Needs root.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

from waiting import wait_for

NAMESPACES = ("--net", "--mount", "--uts", "--ipc", "--pid")
CGROUPS = Path("/sys/fs/cgroup")

#: A first process does two things: it sets the machine up, and it collects orphans for ever.
#: /run is the machine's own, so that engines share no lock; /sys shows its own network.
FIRST_PROCESS = """
set -e
hostname "$1"
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
echo up
while :; do sleep 3600 & wait; done
"""


class Tree:
    """A process tree in its own namespaces; ends with ``kill``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            # The trees must not outlive a test run that is killed.
            ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", "sh", "-c", FIRST_PROCESS, "sh", name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n", f"{name} could not be set up (these tests need root)"
        self.pid = children(self.process.pid)[0]

    def command(self, *command: str) -> list[str]:
        """The command, to be run inside."""
        return ["nsenter", "--target", str(self.pid), *NAMESPACES, "--", *command]

    def run(self, *command: str) -> str:
        """Run to the end and give the output."""
        done = subprocess.run(self.command(*command), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (self.name, command, done.stdout, done.stderr)
        return done.stdout

    def kill(self) -> None:
        """Cut the power; nothing of it runs any more afterwards.  No error when it was cut before."""
        if self.process.poll() is not None:
            return
        # The first process ends only when all others in its namespace have ended.
        first = os.pidfd_open(self.pid)
        try:
            self.process.kill()
            self.process.wait()
            assert select.select([first], [], [], 30)[0], f"{self.name} has processes that do not end"
        finally:
            os.close(first)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Fabric(Tree):
    """A switch; the test's own namespace is plugged in with ``address``."""

    def __init__(self) -> None:
        super().__init__("fabric")
        # 198.18.0.0/15 is reserved for tests, so it is nobody's network (RFC 2544).
        block = uuid.uuid4().int
        self.prefix = f"198.{18 + block % 2}.{block // 2 % 256}"
        self.address = f"{self.prefix}.1"
        self.run("ip", "link", "add", "switch", "type", "bridge")
        self.run("ip", "link", "set", "switch", "up")
        port = f"oe{uuid.uuid4().hex[:10]}"
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "test", "netns", str(self.pid))
        run("ip", "address", "add", f"{self.address}/24", "dev", port)
        run("ip", "link", "set", port, "up")
        self._switch("test")

    def plug(self, machine: Tree, port: str, number: int) -> str:
        """Connect a machine; its address."""
        address = f"{self.prefix}.{number}"
        # Made in between, both ends leave for their namespaces at once.
        self.run("ip", "link", "add", port, "type", "veth", "peer", "name", "peer")
        run(
            *("nsenter", "--target", str(self.pid), "--net"),
            *("ip", "link", "set", "peer", "netns", str(machine.pid), "name", "eth0"),
        )
        machine.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        self._switch(port)
        return address

    def cut(self, port: str) -> None:
        """Pull the machine's cable."""
        self.run("ip", "link", "set", port, "down")

    def mend(self, port: str) -> None:
        self.run("ip", "link", "set", port, "up")

    def _switch(self, port: str) -> None:
        self.run("ip", "link", "set", port, "master", "switch", "up")


class Machine(Tree):
    """A host with a container engine of its own."""

    def __init__(self, name: str, folder: Path, fabric: Fabric, number: int) -> None:
        super().__init__(name)
        self.folder = folder
        self.port = f"to-{name}"[:15]
        self.fabric = fabric
        #: Under which the engine puts its containers.
        self.cgroup = f"openecs-test-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        self.socket = folder / "docker.sock"
        self.address = fabric.plug(self, self.port, number)
        self.engine = MachineEngine(self.socket)
        self._log = (folder / "dockerd.log").open("wb")
        self.start_engine()

    def start_engine(self) -> None:
        """Start the engine, which finds containers again that outlived the one before."""
        self._daemon = subprocess.Popen(
            self.command(
                "dockerd", "--host", f"unix://{self.socket}", "--data-root", str(self.folder / "data"),
                "--exec-root", str(self.folder / "exec"), "--pidfile", str(self.folder / "dockerd.pid"),
                "--cgroup-parent", f"/{self.cgroup}", "--live-restore",
            ),
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def stop_engine(self) -> None:
        """Ask the engine to end; its containers go on."""
        for pid in children(self._daemon.pid):
            os.kill(pid, signal.SIGTERM)
        self._daemon.wait(timeout=60)

    def wait_for_engine(self) -> None:
        wait_for(self.engine.answers, seconds=40, what=f"the engine of {self.name}")

    def close(self) -> None:
        """Remove every trace but the folder, which is the caller's."""
        self.kill()
        self._daemon.wait()
        self._log.close()
        wait_for(lambda: remove_cgroups(self.cgroup), seconds=20, what=f"no process left in {self.cgroup}")

    def log(self) -> str:
        return (self.folder / "dockerd.log").read_text(errors="replace")


class MachineEngine:
    """The engine of a machine, asked directly and past OpenECS."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connection = HTTPConnection("engine", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.settimeout(60)
            connection.sock.connect(str(self._path))
            headers = {"Content-Type": "application/x-tar"} if body is not None else {}
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def answers(self) -> bool:
        try:
            return self.call("GET", "/_ping")[0] == 200
        except OSError:
            return False

    def load(self, archive: bytes) -> None:
        """Take images out of what ``docker save`` gives."""
        status, answer = self.call("POST", "/images/load", archive)
        assert status == 200, answer
        assert b"error" not in answer, answer

    def containers_of(self, task_arn: str) -> list[dict[str, Any]]:
        """All containers of a task, ended ones too."""
        filters = quote(json.dumps({"label": [f"com.amazonaws.ecs.task-arn={task_arn}"]}))
        status, answer = self.call("GET", f"/containers/json?all=1&filters={filters}")
        assert status == 200, answer
        result: list[dict[str, Any]] = json.loads(answer)
        return result

    def running(self, task_arn: str) -> bool:
        return any(container["State"] == "running" for container in self.containers_of(task_arn))


class Agent:
    """``openecs agent`` on a machine, started with what ``openecs join-key`` printed."""

    def __init__(self, machine: Machine, program: Path, join: str, *options: str) -> None:
        self._machine = machine
        exports = [line for line in join.splitlines() if line.startswith("export ")]
        (command,) = [line for line in join.splitlines() if line.startswith("openecs agent ")]
        script = "\n".join([*exports, f"exec {program.parent}/{command} {' '.join(options)}"])
        self._out = (machine.folder / "agent.log").open("ab")
        self._entered = subprocess.Popen(
            machine.command("sh", "-c", script),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            env={**agent_environ(), "DOCKER_HOST": f"unix://{machine.socket}"},
        )

    def kill(self) -> None:
        """End it without warning; its containers go on."""
        if self._entered.poll() is None:
            for pid in children(self._entered.pid):
                os.kill(pid, signal.SIGKILL)
            self._entered.wait(timeout=30)
        self._out.close()


def agent_environ() -> dict[str, str]:
    """The test's environment without anything that could point an agent elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "OPENECS_", "DOCKER_"))}


def run(*command: str) -> None:
    """Run a command here; fails with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.stderr)


def children(pid: int) -> list[int]:
    """The children of a process that has one thread, once there are any."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in wait_for(lambda: listing.read_text().split(), seconds=10, what="a child")]


def remove_cgroups(name: str) -> bool:
    """Remove the groups of an engine that has ended; whether none is left."""
    for root in (CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())):
        top = root / name
        if not top.is_dir():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                return False  # Its last process is still leaving.
    return True


@contextmanager
def machines(folder: Path, *names: str) -> Iterator[tuple[Fabric, dict[str, Machine]]]:
    """A fabric with that many machines whose engines answer; all gone at the end."""
    with ExitStack() as stack:
        fabric = Fabric()
        stack.callback(fabric.kill)
        found: dict[str, Machine] = {}
        for number, name in enumerate(names, start=11):
            found[name] = Machine(name, folder / name, fabric, number)
            stack.callback(found[name].close)
        for machine in found.values():
            machine.wait_for_engine()
        yield fabric, found
