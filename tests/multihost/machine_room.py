"""A room of machines that a provisioner starts and stops: network namespaces with engines of their own.

The provisioner is a program, as an operator's is: it passes what it is told on to a socket of the
test's process, which makes the machines (they end with it) and runs their agents.
"""

from __future__ import annotations

import json
import shlex
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from multihost_machines import Agent, Fabric, Machine

#: What the control plane calls; it says nothing of its own.
PROGRAM = """#!{python}
import json, socket, sys
order = json.load(sys.stdin) if sys.argv[1] == "start" else {{}}
room = socket.socket(socket.AF_UNIX)
room.connect({path!r})
with room.makefile("rw") as stream:
    stream.write(json.dumps([*sys.argv[1:], order]) + "\\n")
    stream.flush()
    answer = json.loads(stream.readline())
print("\\n".join(answer["machines"]))
sys.exit(answer["error"] or 0)
"""


class MachineRoom:
    """Answers the provisioner in a thread, one call after the other; a machine is made while it waits."""

    def __init__(self, folder: Path, fabric: Fabric, program: Path, image: bytes) -> None:
        self._folder = folder
        self.fabric = fabric
        self._program = program
        self._image = image
        self._made = 0
        #: Machine id → the machine and its agent.
        self.running: dict[str, tuple[Machine, Agent]] = {}
        #: Everything that was asked for, in order.
        self.asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "room.sock"))
        self._listener.listen()
        self.provisioner = folder / "provisioner"
        self.provisioner.write_text(PROGRAM.format(python=sys.executable, path=str(folder / "room.sock")))
        self.provisioner.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End all machines."""
        self._listener.close()
        with self._lock:
            for name in list(self.running):
                self._stop(name)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                # In this thread: a machine ends with the thread that made it.
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw") as stream:
            *words, order = json.loads(stream.readline())
            error = ""
            with self._lock:
                try:
                    self._do(words, order)
                except Exception as problem:  # noqa: BLE001 -- the provisioner says it; the machines must live on
                    error = f"{problem!r}"
                machines = list(self.running) if words[0] == "list" else []
            stream.write(json.dumps({"machines": machines, "error": error}) + "\n")

    def _do(self, words: list[str], order: dict[str, Any]) -> None:
        if words[0] == "list":
            return
        action, name = words
        self.asked.append((action, name))
        if action == "start" and name not in self.running:
            self._start(name, order)
        elif action == "stop" and name in self.running:
            self._stop(name)

    def _start(self, name: str, order: dict[str, Any]) -> None:
        self._made += 1
        short = f"p{self._made}"
        machine = Machine(short, self._folder / short, self.fabric, 100 + self._made)
        try:
            machine.wait_for_engine()
            machine.engine.load(self._image)
        except BaseException:
            machine.close()
            raise
        join = "\n".join(
            (
                f"export OPENECS_AGENT_ACCESS_KEY_ID={shlex.quote(order['access_key_id'])}",
                f"export OPENECS_AGENT_SECRET_KEY={shlex.quote(order['secret_key'])}",
                f"openecs agent --endpoint {shlex.quote(order['endpoint'])} --region {order['region']}",
            )
        )
        options = ("--cluster", order["cluster"], "--group", order["group"], "--no-fargate", "--memory", "512")
        options += ("--availability-zone", order["availability_zone"], "--data-dir", str(machine.folder / "agent"))
        self.running[name] = machine, Agent(machine, self._program, join, *options)

    def _stop(self, name: str) -> None:
        machine, agent = self.running.pop(name)
        agent.kill()
        machine.close()
