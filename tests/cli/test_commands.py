"""``up``, ``down``, ``status``, ``env`` and ``logs`` as a person uses them, on toy processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from openecs.cli.installation import Installation
from openecs.config import Layout

TOY = Path(__file__).with_name("toy_program.py")


class Shell:
    """Runs commands on one installation and cleans up after itself."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.installation = Installation(home)
        self.environ = {**os.environ, "OPENECS_DATA_DIR": str(home)}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(TOY), *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(TOY), *words],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "home")
    yield shell
    found = shell.installation.running()
    for process in found.alive if found else ():
        process.send(signal.SIGTERM)
        assert process.wait(20)


def test_the_whole_round(shell: Shell) -> None:
    assert shell("status").returncode == 3

    up = shell("up", "--detach", "--port", "0")
    assert up.returncode == 0, up.stderr
    running = shell.installation.running()
    assert running.endpoint in up.stdout
    assert f'env --data-dir {shell.home})"' in up.stdout
    assert len(running.alive) == 3

    again = shell("up", "--detach")
    assert again.returncode == 1
    assert f"pid {running.supervisor.pid}, endpoint {running.endpoint}" in again.stderr
    assert shell.installation.running() == running

    status = shell("status")
    assert status.returncode == 0, status.stdout
    assert "2 RUNNING" in status.stdout
    assert json.loads(shell("status", "--json").stdout)["pids"]["server"] == running.server.pid

    environment = shell("env").stdout
    shown = subprocess.run(
        ["sh", "-c", f"{environment}\nenv"], env={"AWS_PROFILE": "x", "PATH": "/bin"}, capture_output=True, text=True
    ).stdout.splitlines()
    assert "AWS_SECRET_ACCESS_KEY=s3cr't /+" in shown
    assert f"AWS_ENDPOINT_URL={running.endpoint}" in shown
    assert not [line for line in shown if line.startswith("AWS_PROFILE")]

    assert '"event":"started"' in shell("logs", "--supervisor").stdout

    down = shell("down")
    assert down.returncode == 0, down.stderr
    assert "OpenECS is down." in down.stdout
    assert running.alive == ()
    assert shell("status").returncode == 3
    assert shell("down").returncode == 0

    # The port was chosen freely the first time; it belongs to the installation since.
    assert shell("up", "--detach").returncode == 0
    assert shell.installation.running().endpoint == running.endpoint


def test_two_installations_side_by_side(shell: Shell, tmp_path: Path) -> None:
    assert shell("up", "--detach", "--port", "0").returncode == 0
    other_home = tmp_path / "other"
    other = shell("up", "--detach", "--port", "0", "--data-dir", str(other_home))
    try:
        assert other.returncode == 0, other.stderr
        first, second = shell.installation.running(), Installation(other_home).running()
        assert first.endpoint != second.endpoint
    finally:
        assert shell("down", "--data-dir", str(other_home)).returncode == 0
    assert len(shell.installation.running().alive) == 3


def test_a_taken_port_is_refused_before_anything_starts(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = shell("up", "--detach", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 1
    assert "Address already in use. Choose another port with --port" in refused.stderr
    assert shell.installation.running() is None


def test_the_servers_refusal_is_what_up_says(shell: Shell) -> None:
    shell.home.mkdir()
    (shell.home / "refuse-server").write_text("always")
    refused = shell("up", "--detach", "--port", "0")
    assert refused.returncode == 1
    assert refused.stderr.strip() == "error: The toy does not like this folder. Name another."
    assert shell.installation.running() is None


def test_the_agents_refusal_is_what_up_says_and_nothing_is_left(shell: Shell) -> None:
    shell.home.mkdir()
    (shell.home / "refuse-agent").write_text("always")
    refused = shell("up", "--detach", "--port", "0")
    assert refused.returncode == 1
    assert "No container engine answers. Install one." in refused.stderr
    assert shell.installation.running() is None


def test_the_account_id_cannot_change(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0", "--account-id", "210987654321").returncode == 0
    assert shell("down").returncode == 0
    refused = shell("up", "--detach", "--account-id", "123456789012")
    assert refused.returncode == 1
    assert "has the account id 210987654321" in refused.stderr
    assert shell("up", "--detach", "--account-id", "210987654321").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--account-id", "12"), "is not an account id"),
        (("--region", "No Region"), "is not a region name"),
        (("--port", "70000"), "70000"),
        (("--availability-zone", "eu-west-1a"), "eu-west-1a is no availability zone of us-east-1."),
    ],
)
def test_bad_settings_are_refused_and_not_kept(shell: Shell, words: tuple[str, ...], says: str) -> None:
    refused = shell("up", "--detach", *words)
    assert refused.returncode != 0
    assert says in refused.stderr
    assert shell.installation.settings() is None


def test_an_ephemeral_installation_leaves_nothing(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0", "--ephemeral").returncode == 0
    assert "AWS_SECRET_ACCESS_KEY" in shell("env").stdout
    assert "keep-tasks" in shell("down", "--keep-tasks").stderr
    assert shell("down").returncode == 0
    assert [path.name for path in shell.home.rglob("*") if path.is_file()] == ["lock"]
    assert shell("env").returncode == 1


def test_down_leaves_a_recycled_pid_alone(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0").returncode == 0
    stranger = subprocess.Popen(["sleep", "100"])
    try:
        file = Layout(shell.home).supervisor_file
        running = json.loads(file.read_text())
        # The server's pid now is that of a process that started at another time.
        server = shell.installation.running().server
        running["server"]["pid"] = stranger.pid
        file.write_text(json.dumps(running))
        assert shell("down", "--keep-tasks").returncode == 0
        assert stranger.poll() is None
        assert not server.is_alive()
    finally:
        stranger.kill()
        stranger.wait()


def test_down_ends_what_a_killed_supervisor_left(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0").returncode == 0
    running = shell.installation.running()
    running.supervisor.send(signal.SIGKILL)
    assert running.supervisor.wait(10)
    assert shell("down", "--keep-tasks").returncode == 0
    assert running.alive == ()


def test_ctrl_c_in_the_foreground_stops_tasks_and_everything(shell: Shell) -> None:
    process = shell.start("up", "--port", "0")
    wait_for(lambda: (found := shell.installation.running()) is not None and found.agent is not None)
    while "Ctrl-C stops it." not in process.stdout.readline():
        pass
    running = shell.installation.running()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Stopping tasks" in said
    assert said.endswith("Stopped.\n")
    assert running.alive == ()


def test_sigterm_in_the_foreground_leaves_tasks(shell: Shell) -> None:
    process = shell.start("up", "--port", "0")
    while "Ctrl-C stops it." not in process.stdout.readline():
        pass
    running = shell.installation.running()
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Stopping tasks" not in said
    assert running.alive == ()


def test_status_tells_trouble_with_exit_status_1(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0").returncode == 0
    (shell.home / "refuse-agent").write_text("always")
    shell.installation.running().agent.send(signal.SIGKILL)
    wait_for(lambda: shell.installation.running().trouble is not None)
    status = shell("status")
    assert status.returncode == 1
    assert "Problem:" in status.stdout


def test_down_waits_for_a_server_that_is_being_restarted(shell: Shell) -> None:
    assert shell("up", "--detach", "--port", "0").returncode == 0
    running = shell.installation.running()
    running.server.send(signal.SIGKILL)
    down = shell("down")
    assert down.returncode == 0, down.stderr
    assert running.alive == ()
