"""The language that directs fake containers."""

from __future__ import annotations

import pytest

from openecs.agent.runtime.fake.program import HealthScript, Program, parse_health, parse_program

SECOND = 1_000_000_000
FOREVER = Program()


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        ([], FOREVER),
        (["nginx", "-g", "daemon off;"], FOREVER),
        (["httpd", "-f"], FOREVER),
        (["sh"], FOREVER),
        (["exit", "3"], Program(runs_for=0, exit_code=3)),
        (["exit"], Program(runs_for=0)),
        (["exit", "-1"], Program(runs_for=0, exit_code=255)),
        (["true"], Program(runs_for=0)),
        (["/bin/false"], Program(runs_for=0, exit_code=1)),
        (["sleep", "5"], Program(runs_for=5)),
        (["sleep", "2m"], Program(runs_for=120)),
        (["sleep", "infinity"], FOREVER),
        (["oom"], Program(runs_for=0, exit_code=137, oom_killed=True)),
        (["oom", "3"], Program(runs_for=3, exit_code=137, oom_killed=True)),
        (["ignore-term"], Program(code_on_term=None)),
        (["no-such-command"], Program(missing_executable="no-such-command")),
        (["sh", "-c", "exit 1"], Program(runs_for=0, exit_code=1)),
        (["/bin/bash", "-c", "echo 'a b' && sleep 2; sleep 0.5; exit 4; sleep 9"], Program(runs_for=2.5, exit_code=4)),
        (["sh", "-c", "sleep 1; false"], Program(runs_for=1, exit_code=1)),
        (["sh", "-c", "echo start; exec httpd -f"], FOREVER),
        (["sh", "-c", "serve 'half"], FOREVER),
        (["sh", "-c", "while :; do sleep 1; done"], FOREVER),
        (["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], Program(code_on_term=None)),
        (["sh", "-c", "trap 'exit 7' SIGTERM; sleep infinity"], Program(code_on_term=7)),
        (["sh", "-c", "trap '' TERM; sleep 4"], Program(runs_for=4, code_on_term=None)),
        (["sh", "-c", "sleep 1; oom"], Program(runs_for=1, exit_code=137, oom_killed=True)),
        (["sh", "-c", "ignore-term"], Program(code_on_term=None)),
        (["sh", "-c", ""], Program(runs_for=0)),
    ],
)
def test_a_command_directs_a_container(argv: list[str], program: Program) -> None:
    assert parse_program(argv) == program


@pytest.mark.parametrize(
    ("check", "script"),
    [
        (None, None),
        ({"Test": ["NONE"]}, None),
        ({"Test": []}, None),
        ({"Test": ["CMD", "curl", "-f", "http://localhost"]}, HealthScript(healthy_at=30)),
        ({"Test": ["CMD-SHELL", "exit 0"], "Interval": 5 * SECOND}, HealthScript(healthy_at=5)),
        ({"Test": ["CMD-SHELL", "exit 1"], "Interval": 5 * SECOND}, HealthScript(unhealthy_at=15)),
        ({"Test": ["CMD", "false"], "Interval": SECOND, "Retries": 1}, HealthScript(unhealthy_at=1)),
        ({"Test": ["CMD", "fake-unhealthy"], "Interval": 5 * SECOND, "Retries": 2, "StartPeriod": 12 * SECOND},
         HealthScript(unhealthy_at=20)),
        ({"Test": ["CMD", "fake-starting"]}, HealthScript()),
        ({"Test": ["CMD", "fake-unhealthy-after", "60"], "Interval": 10 * SECOND, "Retries": 3},
         HealthScript(healthy_at=10, unhealthy_at=90)),
    ],
)  # fmt: skip
def test_a_check_directs_health(check: dict[str, object] | None, script: HealthScript | None) -> None:
    assert parse_health(check) == script
