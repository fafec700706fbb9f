"""Stands in for the server and the agent where only their processes matter.

Run as ``toy_program.py [--parent PID] serve CONFIG`` or ``… agent-run PLAN --endpoint URL``; all
other words are those of the real ``openecs``.
What it does at start is told by files in the installation's home, so that a test can steer it:
``crash-server``, ``refuse-server``, ``refuse-agent`` (each holds how often, or ``always``).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openecs.cli.main
import openecs.cli.supervisor
import openecs.cli.up
from openecs.cli.process import ProcessIdentity, die_with_parent
from openecs.config import (
    AgentCredentials,
    RootCredentials,
    RunningServer,
    ServerConfig,
    read_file,
    write_private,
)


def command(*words: str) -> list[str]:
    return [sys.executable, __file__, *words]


def told(home: Path, what: str) -> bool:
    path = home / what
    if not path.exists():
        return False
    text = path.read_text()
    if text == "always":
        return True
    left = int(text)
    path.write_text(str(left - 1))
    return left > 0


class Answer(BaseHTTPRequestHandler):
    agents: set[str] = set()
    tasks: dict[str, int] = {"RUNNING": 2}

    def do_GET(self) -> None:
        if self.path == "/_openecs/health":
            self.reply({"status": "ok", "version": "toy"})
        elif self.path == "/_openecs/status":
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIATOY/")
            nodes = [{"node_id": "n1", "agent_connected": bool(self.agents)}]
            report = {"version": "toy", "uptime": 61.0, "nodes": nodes, "clusters": 1, "tasks_by_status": self.tasks}
            self.reply(report)

    def do_POST(self) -> None:
        if self.path == "/toy/hello":
            self.agents.add("local")
        if self.path == "/_openecs/stop-tasks":
            self.tasks.clear()
            self.tasks["STOPPED"] = 2
        self.reply({})

    def reply(self, data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


def serve(config: ServerConfig) -> None:
    layout = config.layout
    home = layout.home
    if told(home, "crash-server"):
        sys.stderr.write("boom: a traceback\n")
        os.abort()
    if told(home, "refuse-server"):
        sys.stderr.write("error: The toy does not like this folder. Name another.\n")
        raise SystemExit(78)
    server = ThreadingHTTPServer((config.bind, config.port), Answer)
    write_private(layout.agent_credentials_file, AgentCredentials(access_key_id="AKIAAGENT", secret_key="agent-secret"))
    write_private(
        layout.credentials_file,
        RootCredentials(
            access_key_id="AKIATOY",
            secret_key="s3cr't /+",
            account_id=config.account_id,
            region=config.region,
            endpoint=config.endpoint,
        ),
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    write_private(
        layout.server_file,
        RunningServer(pid=os.getpid(), started_at=1.0, endpoint=config.endpoint, version="toy"),
    )
    time.sleep(600)


def agent(plan_file: Path, endpoint: str) -> None:
    home = plan_file.parent.parent
    if told(home, "refuse-agent"):
        sys.stderr.write("error: No container engine answers. Install one.\n")
        raise SystemExit(78)
    assert os.environ["OPENECS_AGENT_SECRET_KEY"] == "agent-secret"
    for _ in range(6000):  # until it is stopped; as the real one, it outlives the server
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/toy/hello", method="POST")).read()
        time.sleep(0.1)


def main() -> None:
    words = sys.argv[1:]
    if words[0] == "--parent":
        die_with_parent(ProcessIdentity.of(int(words[1])))
        words = words[2:]
    if words[0] == "serve":
        serve(read_file(Path(words[1]), ServerConfig))
    elif words[0] == "agent-run":
        agent(Path(words[1]), words[3])
    else:
        # Every other command is the real one, except that it starts this program again.
        openecs.cli.supervisor.program = openecs.cli.up.program = command
        openecs.cli.main.main()


if __name__ == "__main__":
    main()
