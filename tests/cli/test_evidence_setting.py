"""``--evidence``: what an agent tells of containers that end, from the option to ``openecs why``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_groups_and_interrupts import Site
from waiting import wait_for

from openecs.cli import agent as agent_command
from openecs.cli.plan import AgentPlan


def evidence(site: Site, task: str) -> dict[str, Any] | None:
    answer = json.loads(site.openecs("why", task, "--json").stdout)
    return next((line for line in answer["timeline"] if line["what"] == "evidence"), None)


def test_a_machine_that_tells_no_output(tmp_path: Path) -> None:
    site = Site(tmp_path)
    up = site.openecs("up", "--detach", "--port", "0", "--runtime", "fake", "--evidence", "status")
    assert up.returncode == 0, up.stderr
    try:
        wait_for(lambda: site.call("ListContainerInstances")["containerInstanceArns"])
        container = {"name": "a", "image": "busybox", "memory": 64, "command": ["sh", "-c", "echo private; exit 3"]}
        site.call("RegisterTaskDefinition", family="talks", containerDefinitions=[container])
        (task,) = site.call("RunTask", taskDefinition="talks")["tasks"]
        wait_for(lambda: evidence(site, task["taskArn"]))
        told = evidence(site, task["taskArn"])
        assert told is not None
        assert told["text"] == "container a ended by itself with exit code 3"
        assert told["details"] == []
        assert b"private" not in site.openecs("why", task["taskArn"]).stdout.encode()
        settings = site.installation.settings()
        assert settings is not None
        assert settings.evidence == "status"
        files = list(site.installation.home.rglob("journal.db*"))
        assert files
        assert [file for file in files if file.stat().st_mode & 0o077] == []
    finally:
        assert site.openecs("down").returncode == 0


@pytest.mark.parametrize(("given", "evidence"), [((), "full"), (("--evidence", "none"), "none")])
def test_a_machine_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: tuple[str, ...], evidence: str
) -> None:
    plans: list[AgentPlan] = []
    monkeypatch.setattr(agent_command, "run", lambda plan, *_: plans.append(plan))
    keys = {agent_command.KEY_ID_VARIABLE: "AKIA", agent_command.SECRET_VARIABLE: "secret"}
    words = ["--endpoint", "http://localhost:1", "--data-dir", str(tmp_path), *given]
    result = CliRunner().invoke(agent_command.agent, words, env=keys)
    assert result.exit_code == 0, result.output
    assert [plan.evidence for plan in plans] == [evidence]
