"""The cause of a task's end, in one sentence without names that differ from task to task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openecs.model.history import HistoryEntry
from openecs.model.task import Task, TaskContainer

OUT_OF_MEMORY = "OutOfMemoryError"
#: 128 + the signal's number, for those that people meet.
_SIGNALS = {130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}


def end_of(task: Task) -> str:
    """Why a stopped task, or one that is stopping, ended: the same text for the same cause."""
    if task.stop_code == "EssentialContainerExited":
        ended = [c for c in task.containers if c.essential and (c.exit_code is not None or c.reason)]
        first = next((c for c in ended if not _told_to_stop(c)), ended[0] if ended else None)
        if first is not None:
            return f"essential container {first.name} {exit_of(first)}"
    if task.stop_code == "TaskFailedToStart":
        return f"it never ran: {task.stopped_reason}"
    return task.stopped_reason or task.stop_code or "no reason was told"


def exit_of(container: TaskContainer) -> str:
    """How one container ended."""
    if container.exit_code is None:
        return f"ended: {container.reason}" if container.reason else "ended"
    text = f"exited with code {container.exit_code}"
    if container.reason and container.reason.startswith(OUT_OF_MEMORY):
        limit = container.memory
        return f"{text}, killed for want of memory" + (f" (limit {limit} MiB)" if limit not in (None, "0") else "")
    if container.reason:
        return f"{text}: {container.reason}"
    signal = _SIGNALS.get(container.exit_code)
    return f"{text} ({signal})" if signal else text


def memory_limit(entries: Iterable[HistoryEntry]) -> dict[str, int]:
    """Container → the limit in MiB at which the kernel killed it, as its agent told."""
    return {
        entry.facts["container"]: entry.facts["memory_limit"]
        for entry in entries
        if entry.kind == "evidence" and entry.facts.get("oom_killed") and entry.facts.get("memory_limit")
    }


def requested_by(entries: Sequence[HistoryEntry]) -> HistoryEntry | None:
    """The entry that says who asked a task to stop."""
    for entry in entries:
        if entry.kind == "stop-requested" or (entry.kind == "stopped" and "operation" in entry.facts):
            return entry
    return None


def _told_to_stop(container: TaskContainer) -> bool:
    """Whether a container's end looks like the consequence of another one's."""
    return container.exit_code == 143 and not container.reason
