"""A task as DescribeTasks shows it."""

from __future__ import annotations

from openecs.model.task import Task
from openecs.planning.task_shape import task_shape
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice

#: Views kept at a time; beyond it the oldest go.
CACHE_SIZE = 20_000


class TaskViews:
    """Views of tasks, remembered for as long as the record stays the same.

    Records are immutable, so a view is valid exactly while its record is the current one;
    describing the same tasks again costs a look-up.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._cache: dict[str, tuple[Task, ecs.Task]] = {}
        state.store.subscribe("task", self._task_changed)

    def view(self, task: Task, *, tags: bool = False) -> ecs.Task:
        """The wire form of a task; ``tags`` adds its tags, otherwise the list is empty."""
        cached = self._cache.get(task.arn)
        if tags:
            found = self._state.tags.get(task.arn)
            return task_shape(task, self._architecture(task), found.tags if found else ())
        if cached is not None and cached[0] is task:
            return cached[1]
        if len(self._cache) >= CACHE_SIZE:
            del self._cache[next(iter(self._cache))]
        shape = task_shape(task, self._architecture(task), ())
        self._cache[task.arn] = (task, shape)
        return shape

    def _task_changed(self, notice: Notice) -> None:
        """Forget the view of a task that is forgotten itself."""
        if notice.new is None:
            self._cache.pop(notice.key, None)

    def _architecture(self, task: Task) -> str | None:
        node = self._state.nodes.get(task.node_id) if task.node_id else None
        return node.architecture if node else None
