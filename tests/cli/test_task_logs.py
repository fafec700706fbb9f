"""``openecs logs SERVICE|TASK``: which streams are read, their order, and what is printed."""

from __future__ import annotations

from typing import Any

import click
import pytest

from openecs.cli.client import CallError
from openecs.cli.logs import Painter, start_of
from openecs.cli.task_logs import Follower, TaskLogs
from openecs.errors import OperatorError

PREFIX = "arn:aws:ecs:eu-west-1:123456789012"


class Api:
    """One service whose tasks have two containers each, and the log groups of both."""

    def __init__(self) -> None:
        self.tasks = {"RUNNING": ["t1"], "STOPPED": ["t0"]}
        #: (group, stream) → events as (timestamp, message).
        self.events: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self.filters: list[str | None] = []

    def call(self, service: str, operation: str, region: str, **members: Any) -> dict[str, Any]:
        assert region == "eu-west-1"
        return getattr(self, operation)(**members)

    def ListTasks(self, cluster: str, serviceName: str, desiredStatus: str) -> dict[str, Any]:
        assert (cluster, serviceName) == ("default", "web")
        return {"taskArns": [f"{PREFIX}:task/default/{task}" for task in self.tasks[desiredStatus]]}

    def DescribeTasks(self, cluster: str, tasks: list[str]) -> dict[str, Any]:
        containers = [{"name": "app", "runtimeId": "r-app"}, {"name": "side", "runtimeId": "r-side"}]
        return {"tasks": [{"taskArn": task, "taskDefinitionArn": "d:1", "containers": containers} for task in tasks]}

    def DescribeTaskDefinition(self, taskDefinition: str) -> dict[str, Any]:
        awslogs = {"awslogs-group": "g", "awslogs-stream-prefix": "p"}
        return {
            "taskDefinition": {
                "containerDefinitions": [
                    {"name": "app", "logConfiguration": {"logDriver": "awslogs", "options": awslogs}},
                    {"name": "side"},
                ]
            }
        }

    def DescribeLogStreams(self, logGroupName: str, logStreamNamePrefix: str, limit: int) -> dict[str, Any]:
        if not any(group == logGroupName for group, _ in self.events):
            raise CallError(400, "ResourceNotFoundException", "no group")
        there = (logGroupName, logStreamNamePrefix) in self.events
        return {"logStreams": [{"logStreamName": logStreamNamePrefix}] if there else []}

    def FilterLogEvents(
        self,
        logGroupName: str,
        logStreamNames: list[str],
        startTime: int,
        filterPattern: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        self.filters.append(filterPattern)
        events = sorted(
            (at, stream, message)
            for stream in logStreamNames
            for at, message in self.events[logGroupName, stream]
            if at >= startTime
        )
        # One event a page.
        number = int(more.get("nextToken", 0))
        return {
            "events": [
                {"timestamp": at, "logStreamName": stream, "message": message, "eventId": f"{at}{stream}{message}"}
                for at, stream, message in events[number : number + 1]
            ],
            **({"nextToken": str(number + 1)} if number + 1 < len(events) else {}),
        }


def of_service(api: Any, container: str | None = None) -> TaskLogs:
    return TaskLogs(api, "eu-west-1", "default", task=None, service="web", container=container)


def test_lines_of_all_tasks_come_in_the_order_of_time() -> None:
    api = Api()
    api.events = {("g", "p/app/t0"): [(1, "a"), (4, "d")], ("g", "p/app/t1"): [(2, "b"), (3, "c")]}
    logs = of_service(api)
    new = logs.refresh()
    assert [(source.task, source.container, source.driver) for source in new] == [
        ("t1", "app", "awslogs"),
        ("t1", "side", "json-file"),
        ("t0", "app", "awslogs"),
        ("t0", "side", "json-file"),
    ]
    assert [(line.source.task, line.message) for line in logs.lines(2, "x")] == [("t1", "b"), ("t1", "c"), ("t0", "d")]
    assert set(api.filters) == {"x"}


def test_following_gives_later_tasks_and_nothing_twice() -> None:
    api = Api()
    logs = of_service(api, "app")
    logs.refresh()
    follower = Follower(logs, 0, None)
    assert list(follower.lines()) == []
    api.events["g", "p/app/t1"] = [(5000, "a")]
    assert [line.message for line in follower.lines()] == ["a"]
    api.tasks["RUNNING"].append("t2")
    assert [source.task for source in logs.refresh()] == ["t2"]
    # Another container's line that came a little late is still given.
    api.events["g", "p/app/t2"] = [(4000, "late"), (6000, "b")]
    assert [line.message for line in follower.lines()] == ["late", "b"]
    assert list(follower.lines()) == []


def test_a_line_says_when_and_whose_in_its_tasks_colour() -> None:
    api = Api()
    api.events = {("g", "p/app/t0"): [(1, "a\n")], ("g", "p/app/t1"): [(2, "b")]}
    logs = of_service(api)
    logs.refresh()
    paint = Painter()
    first, second = (paint(line) for line in logs.lines(0, None))
    assert click.unstyle(first) == "1970-01-01T00:00:00.001Z t0 app | a"
    assert first.split("t0")[0] != second.split("t1")[0]


def test_how_far_back() -> None:
    assert start_of(None, 1000.0) == 0
    assert start_of("10m", 1000.0) == 400_000
    assert start_of("2h", 1000.0) == 0
    assert start_of("1970-01-01T00:00:01Z", 5.0) == 1000
    with pytest.raises(OperatorError, match="is no time"):
        start_of("yesterday", 5.0)
