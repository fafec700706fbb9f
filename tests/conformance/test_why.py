"""``openecs why`` of an installation: over restarts, after tasks are forgotten, and never across a reset."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation
from waiting import wait_for


def crashed(installation: Installation) -> str:
    """The id of a task that ended by itself."""
    ecs: Any = installation.client("ecs")
    definition = {"name": "main", "image": "busybox", "memory": 64, "command": ["sh", "-c", "echo farewell; exit 3"]}
    ecs.register_task_definition(family="crash", containerDefinitions=[definition])
    arn: str = ecs.run_task(taskDefinition="crash")["tasks"][0]["taskArn"]
    wait_for(lambda: ecs.describe_tasks(tasks=[arn])["tasks"][0]["lastStatus"] == "STOPPED", what="the end")
    wait_for(lambda: "farewell" in installation.openecs("why", arn), what="evidence")
    return arn.rsplit("/", 1)[-1]


def test_a_task_is_told_after_a_restart_and_after_it_is_forgotten(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "--runtime", "fake")
    installation.up()
    try:
        task = crashed(installation)
        before = json.loads(installation.openecs("why", task, "--json"))
        installation.down()
        # What the reaper does an hour after the end of a task.
        with sqlite3.connect(next(tmp_path.rglob("journal.db"))) as journal:
            journal.execute("DELETE FROM record WHERE tbl = 'task'")
        journal.close()
        installation.up()
        assert installation.client("ecs").list_tasks(desiredStatus="STOPPED")["taskArns"] == []
        after = json.loads(installation.openecs("why", task, "--json"))
    finally:
        installation.down()
    assert after == before
    assert after["summary"] == "stopped: essential container main exited with code 3"


def test_a_reset_forgets_history(tmp_path: Path) -> None:
    installation = Installation(tmp_path, "--runtime", "fake", "--ephemeral")
    installation.up()
    try:
        task = crashed(installation)
        installation.openecs("reset")
        with pytest.raises(AssertionError, match="There is no task"):
            installation.openecs("why", task)
    finally:
        installation.down()


@pytest.mark.parametrize("reference", ["no-such-service", "0" * 32, "ecs-svc/1", "arn:aws:ecs:us-east-1:1:cluster/x"])
def test_what_nobody_knows_is_refused_in_a_sentence(fake: Installation, reference: str) -> None:
    with pytest.raises(AssertionError, match=r"ended with 1\n\nerror: .+\."):
        fake.openecs("why", reference)
