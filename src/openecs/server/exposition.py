"""``GET /metrics``: this control plane, and what runs under it, for Prometheus.

Everything is read when it is asked for; nothing is kept for it.  Who asks has the bearer token
that lies in a file which only the installation's owner can read.
"""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from openecs.clock import Clock
from openecs.control.loop import Loop
from openecs.control.usage import KEPT_NEWEST
from openecs.control.usage_metrics import TaskUse, Used
from openecs.http.process_metrics import process_metrics
from openecs.http.prometheus_text import CONTENT_TYPE, Family, Kind, Sample, counter, gauge, histogram, render
from openecs.ids import Ids
from openecs.model.task import Task
from openecs.server.observing import ObservingParts
from openecs.state.state import State
from openecs.wire.call_counts import BOUNDS, CallCounts
from openecs.wire.http_reply import Receive, Scope, Send, header_map, reply

PATH = "/metrics"
_REFUSAL = b"This page needs the header 'Authorization: Bearer TOKEN'; 'openecs status' names the token's file.\n"
#: Name, kind, help, and how it is read, of containers.  Gauges are means of the 20 seconds that were told last.
_CONTAINER: tuple[tuple[str, Kind, str, Callable[[Used], float | None]], ...] = (
    ("openecs_container_cpu_units", "gauge", "CPU units used; 1024 are a core.", lambda used: _mean(used, "cpu")),
    ("openecs_container_memory_mebibytes", "gauge", "Memory used.", lambda used: _mean(used, "memory")),
    (
        "openecs_container_network_receive_bytes_per_second",
        "gauge",
        "Bytes received a second.",
        lambda used: _mean(used, "received"),
    ),
    (
        "openecs_container_network_transmit_bytes_per_second",
        "gauge",
        "Bytes sent a second.",
        lambda used: _mean(used, "sent"),
    ),
    ("openecs_container_storage_read_bytes_total", "counter", "Bytes read since it started.", lambda used: used.read),
    ("openecs_container_storage_write_bytes_total", "counter", "Bytes written.", lambda used: used.written),
    ("openecs_container_restarts_total", "counter", "Restarts by its restart policy.", lambda used: used.restarts),
)


class Exposition:
    """The page.  ``loops`` is filled when they start."""

    def __init__(
        self, state: State, clock: Clock, calls: CallCounts, seen: ObservingParts, ids: Ids, token: str
    ) -> None:
        self._state = state
        self._clock = clock
        self._calls = calls
        self._seen = seen
        self._ids = ids
        self._token = token.encode()
        self.loops: list[Loop] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Serve one request."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        given = header_map(scope["headers"]).get(b"authorization", b"")
        allowed = secrets.compare_digest(given, b"Bearer " + self._token)
        status, kind, body = 200, CONTENT_TYPE, b""
        if scope["path"] != PATH:
            status, kind = 404, b"text/plain"
        elif scope["method"] != "GET":
            status, kind = 405, b"text/plain"
        elif not allowed:
            status, kind, body = 401, b"text/plain", _REFUSAL
        else:
            body = render(self.families())
        await reply(send, status=status, content_type=kind, body=body, request_id=self._ids.uuid())

    def families(self) -> Iterator[Family]:
        """All that is told."""
        yield from process_metrics("server")
        yield gauge("openecs_state_revision", "Revision of the state.", self._state.store.revision)
        yield from self._api()
        yield from self._loops()
        yield from self._resources()
        yield counter("openecs_log_events_total", "Log events taken in.", self._seen.logs.taken_events)
        yield counter("openecs_log_characters_total", "Characters of their messages.", self._seen.logs.taken_bytes)
        yield counter("openecs_metric_samples_total", "Samples of metrics taken in.", self._seen.metrics.taken)
        remote = self._seen.remote_write
        if remote is not None:
            yield counter("openecs_remote_write_sent_total", "Periods of metrics that were sent on.", remote.sent)
            yield counter("openecs_remote_write_dropped_total", "Those that never will be.", remote.dropped)
        yield from self._containers()

    def _api(self) -> Iterator[Family]:
        calls = [
            Sample(number, {"service": service, "operation": operation, "code": code})
            for (service, operation, code), number in self._calls.calls.items()
        ]
        yield Family("openecs_api_calls_total", "counter", "API calls by what became of them.", calls)
        durations = [
            sample
            for service, found in self._calls.durations.items()
            for sample in histogram(BOUNDS, found.counts, found.total, {"service": service})
        ]
        yield Family("openecs_api_call_duration_seconds", "histogram", "How long API calls took.", durations)

    def _loops(self) -> Iterator[Family]:
        for name, kind, text, read in _LOOP:
            yield Family(name, kind, text, [Sample(read(loop), {"loop": loop.name}) for loop in self.loops])

    def _resources(self) -> Iterator[Family]:
        state = self._state
        tasks: Counter[tuple[str, ...]] = Counter(
            (_short(task.cluster_arn), task.region, task.last_status) for task in state.tasks
        )
        yield Family("openecs_tasks", "gauge", "Tasks by last status.", _counted(tasks, "cluster", "region", "status"))
        services: Counter[tuple[str, ...]] = Counter(
            (_short(one.cluster_arn), one.region) for one in state.services if one.status != "INACTIVE"
        )
        yield Family("openecs_services", "gauge", "Services.", _counted(services, "cluster", "region"))
        nodes = [Sample(float(node.agent_connected), {"node": node.id}) for node in state.nodes]
        yield Family("openecs_node_connected", "gauge", "Whether a machine's agent is connected.", nodes)
        alarms: Counter[tuple[str, ...]] = Counter((one.region, one.state) for one in state.metric_alarms)
        alarms.update((one.region, one.state) for one in state.composite_alarms)
        yield Family("openecs_alarms", "gauge", "CloudWatch alarms by state.", _counted(alarms, "region", "state"))

    def _containers(self) -> Iterator[Family]:
        now = self._clock.now()
        running = [
            (task, use)
            for arn, (at, use) in self._seen.usage.newest.items()
            if at >= now - KEPT_NEWEST and (task := self._state.tasks.get(arn)) and task.last_status == "RUNNING"
        ]
        for name, kind, text, read in _CONTAINER:
            yield Family(name, kind, text, list(_samples(running, read)))


def token_of(path: Path) -> str:
    """The token in a file, which is made when it is not there."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        token = secrets.token_urlsafe(32)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{token}\n")
        return token


_LOOP: tuple[tuple[str, Kind, str, Callable[[Loop], float]], ...] = (
    ("openecs_loop_queued", "gauge", "Keys that wait for their turn.", lambda loop: loop.queued),
    ("openecs_loop_reconciled_total", "counter", "Turns that went well.", lambda loop: loop.reconciled),
    ("openecs_loop_retries_total", "counter", "Turns that the world was not ready for.", lambda loop: loop.retries),
    ("openecs_loop_bugs_total", "counter", "Turns that failed by a mistake of OpenECS.", lambda loop: loop.bugs),
)


def _samples(tasks: Iterable[tuple[Task, TaskUse]], read: Callable[[Used], float | None]) -> Iterator[Sample]:
    for task, use in tasks:
        labels = {
            "cluster": _short(task.cluster_arn),
            "region": task.region,
            "service": _short(task.service_arn or ""),
            "family": _short(task.task_definition_arn).rpartition(":")[0],
            "task": _short(task.arn),
        }
        for name, used in use.containers.items():
            value = read(used)
            if value is not None:
                yield Sample(value, {**labels, "container": name})


def _mean(used: Used, figure: str) -> float | None:
    found = used.figures.get(figure)
    return None if found is None else found.mean


def _counted(found: Mapping[tuple[str, ...], int], *names: str) -> list[Sample]:
    return [Sample(number, dict(zip(names, key, strict=True))) for key, number in found.items()]


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]
