"""The output of tasks, out of their log groups, in one stream ordered by time.

Uses the public API only: which tasks there are, where their containers log, and
FilterLogEvents.  Prints nothing itself.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from openecs import arn as arns
from openecs.cli.client import CallError, Client

#: Most tasks of one DescribeTasks, and most streams of one FilterLogEvents.
BATCH = 100
#: Milliseconds before the newest event that are read again, because events of other containers may come later.
OVERLAP = 10_000


class Place(NamedTuple):
    """Where a container logs."""

    region: str
    group: str
    stream: str


class Source(NamedTuple):
    """One container of a task; ``place`` is ``None`` when its output is in no log group, and ``driver`` says why."""

    task: str
    container: str
    runtime_id: str
    driver: str
    place: Place | None


class Line(NamedTuple):
    """One event: epoch milliseconds, its id, and whose it is."""

    timestamp: int
    id: str
    source: Source
    message: str


class TaskLogs:
    """The containers of a task, or of all tasks of a service, and what they have logged."""

    def __init__(
        self, client: Client, region: str, cluster: str, *, task: str | None, service: str | None, container: str | None
    ) -> None:
        self._client = client
        self._region = region
        self._cluster = cluster
        self._task = task
        self._service = service
        self._container = container
        self._definitions: dict[str, dict[str, dict[str, Any]]] = {}
        #: By task and container; tasks that are gone stay, because they may have logged.
        self.sources: dict[tuple[str, str], Source] = {}
        self._streams_there: set[Place] = set()

    def refresh(self) -> list[Source]:
        """Look for tasks again; the containers that were not known before."""
        new = []
        for task in self._tasks():
            logging = self._logging(task["taskDefinitionArn"])
            for container in task.get("containers", ()):
                source = self._source(task, container, logging.get(container["name"], {}))
                if self._container not in (None, source.container):
                    continue
                key = (source.task, source.container)
                if key not in self.sources:
                    new.append(source)
                # Without a stream prefix the place is known when the container has been made.
                self.sources[key] = source
        return new

    def lines(self, since: int, pattern: str | None) -> Iterator[Line]:
        """Everything logged since a time (epoch milliseconds) that matches, in the order of time."""
        return heapq.merge(*self._readers(since, pattern), key=lambda line: (line.timestamp, line.id))

    def _readers(self, since: int, pattern: str | None) -> Iterable[Iterator[Line]]:
        groups: dict[tuple[str, str], dict[str, Source]] = {}
        for source in self.sources.values():
            if source.place is not None and self._is_there(source.place):
                groups.setdefault(source.place[:2], {})[source.place.stream] = source
        for (region, group), streams in groups.items():
            names = list(streams)
            for start in range(0, len(names), BATCH):
                yield self._read(region, group, streams, names[start : start + BATCH], since, pattern)

    def _read(
        self, region: str, group: str, streams: dict[str, Source], names: list[str], since: int, pattern: str | None
    ) -> Iterator[Line]:
        members: dict[str, Any] = {"logGroupName": group, "logStreamNames": names, "startTime": since}
        if pattern:
            members["filterPattern"] = pattern
        while True:
            page = self._client.call("logs", "FilterLogEvents", region, **members)
            for event in page.get("events", ()):
                source = streams[event["logStreamName"]]
                yield Line(event["timestamp"], event["eventId"], source, event["message"])
            if "nextToken" not in page:
                return
            members["nextToken"] = page["nextToken"]

    def _is_there(self, place: Place) -> bool:
        """Whether a stream exists: the driver makes it with the first line."""
        if place not in self._streams_there:
            try:
                found = self._client.call(
                    "logs",
                    "DescribeLogStreams",
                    place.region,
                    logGroupName=place.group,
                    logStreamNamePrefix=place.stream,
                    limit=1,
                )
            except CallError as error:
                if error.code != "ResourceNotFoundException":
                    raise
                return False
            if not any(stream["logStreamName"] == place.stream for stream in found["logStreams"]):
                return False
            self._streams_there.add(place)
        return True

    def _tasks(self) -> Iterator[dict[str, Any]]:
        names = [self._task] if self._task is not None else list(self._listed())
        for start in range(0, len(names), BATCH):
            described = self._call("DescribeTasks", tasks=names[start : start + BATCH])
            yield from described.get("tasks", ())

    def _listed(self) -> Iterator[str]:
        for status in ("RUNNING", "STOPPED"):
            token: dict[str, str] = {}
            while True:
                page = self._call("ListTasks", serviceName=self._service, desiredStatus=status, **token)
                yield from page.get("taskArns", ())
                if "nextToken" not in page:
                    break
                token = {"nextToken": page["nextToken"]}

    def _logging(self, definition: str) -> dict[str, dict[str, Any]]:
        """Container → its log configuration."""
        if definition not in self._definitions:
            described = self._client.call("ecs", "DescribeTaskDefinition", self._region, taskDefinition=definition)
            containers = described["taskDefinition"]["containerDefinitions"]
            self._definitions[definition] = {each["name"]: each.get("logConfiguration", {}) for each in containers}
        return self._definitions[definition]

    def _source(self, task: dict[str, Any], container: dict[str, Any], logging: dict[str, Any]) -> Source:
        task_id, name, runtime_id = arns.short(task["taskArn"]), container["name"], container.get("runtimeId", "")
        driver, options = logging.get("logDriver", "json-file"), logging.get("options", {})
        place = None
        if driver == "awslogs":
            prefix = options.get("awslogs-stream-prefix")
            stream = f"{prefix}/{name}/{task_id}" if prefix else runtime_id
            if stream:
                place = Place(options.get("awslogs-region", self._region), options["awslogs-group"], stream)
        return Source(task_id, name, runtime_id, driver, place)

    def _call(self, operation: str, **members: Any) -> dict[str, Any]:
        return self._client.call("ecs", operation, self._region, cluster=self._cluster, **members)


class Follower:
    """Lines as they come: every reading repeats a little, and nothing is given twice."""

    def __init__(self, logs: TaskLogs, since: int, pattern: str | None) -> None:
        self._logs = logs
        self._newest = since
        self._since = since
        self._pattern = pattern
        #: Ids of lines that the next reading gives again → their time.
        self._given: dict[str, int] = {}

    def lines(self) -> Iterator[Line]:
        """What was logged since the last call."""
        start = max(self._since, self._newest - OVERLAP)
        self._given = {line: at for line, at in self._given.items() if at >= start}
        for line in self._logs.lines(start, self._pattern):
            if line.id not in self._given:
                self._given[line.id] = line.timestamp
                self._newest = max(self._newest, line.timestamp)
                yield line
