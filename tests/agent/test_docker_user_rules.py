"""Our rules in Docker's chain for rules of others, in a network namespace without Docker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from openecs.agent.network import wiring

# They need root and iptables, as Docker does.
pytestmark = pytest.mark.docker
OPERATORS = "-A DOCKER-USER -s 192.0.2.0/24 -j DROP"
LAST = "-A DOCKER-USER -j RETURN"
ACCEPTS = ["-A DOCKER-USER -i eni+ -j ACCEPT", "-A DOCKER-USER -o eni+ -j ACCEPT"]


class Firewall:
    """The namespace's DOCKER-USER chain."""

    def __init__(self, pid: int) -> None:
        self._inside = ("nsenter", f"--net=/proc/{pid}/ns/net")

    def run(self, *command: str, script: str = "") -> str:
        done = subprocess.run([*self._inside, *command], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rules(self) -> list[str]:
        return [line for line in self.listing().splitlines() if line.startswith("-A")]

    def listing(self) -> str:
        return self.run("iptables", "-w", "-S", "DOCKER-USER")

    def apply(self, *, wanted: bool) -> bool:
        """Have our rules or not; whether anything was done."""
        script = wiring.docker_user(self.listing(), wanted=wanted)
        if script:
            self.run("iptables-restore", "--wait", "--noflush", script=script)
        return bool(script)


@pytest.fixture
def firewall() -> Iterator[Firewall]:
    # The shell says when it is in its namespace, and ends with its input.
    command = ["unshare", "--net", "sh", "-c", "echo ready; read -r _"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        wall = Firewall(process.pid)
        wall.run("iptables", "-w", "-N", "DOCKER-USER")
        for rule in (OPERATORS, LAST):
            wall.run("iptables", "-w", *rule.split())
        yield wall
        process.communicate("\n")


def test_the_rules_come_and_go_together_and_leave_others_alone(firewall: Firewall) -> None:
    assert not firewall.apply(wanted=False)
    assert firewall.apply(wanted=True)
    whole = firewall.rules()
    returns = whole[: whole.index(ACCEPTS[0])]
    for bridge in ("docker0", "br-+"):
        assert f"-A DOCKER-USER -i eni+ -o {bridge} -j RETURN" in returns
        assert f"-A DOCKER-USER -i {bridge} -o eni+ -j RETURN" in returns
    assert whole[len(returns) :] == [*ACCEPTS, OPERATORS, LAST]
    assert not firewall.apply(wanted=True)
    assert firewall.rules() == whole
    assert firewall.apply(wanted=False)
    assert firewall.rules() == [OPERATORS, LAST]


def test_rules_that_are_incomplete_doubled_or_out_of_order_are_made_whole(firewall: Firewall) -> None:
    firewall.apply(wanted=True)
    whole = firewall.rules()
    firewall.apply(wanted=False)
    # What an agent left that knew the permissions only.
    for rule in (*ACCEPTS, ACCEPTS[0]):
        firewall.run("iptables", "-w", *rule.replace("-A", "-I", 1).split())
    assert firewall.apply(wanted=True)
    assert firewall.rules() == whole
    # Its next start put them in front.
    firewall.run("iptables", "-w", *ACCEPTS[0].replace("-A", "-I", 1).split())
    assert firewall.apply(wanted=True)
    assert firewall.rules() == whole
    firewall.run("iptables", "-w", *whole[0].replace("-A", "-D", 1).split())
    assert firewall.apply(wanted=True)
    assert firewall.rules() == whole
