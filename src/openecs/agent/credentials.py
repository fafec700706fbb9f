"""The temporary keys of tasks on this node, in memory only.

The control plane pushes them with the task and again before they expire; after a restart of
the agent it pushes them all.  Never persisted, never logged.
"""

from __future__ import annotations

from openecs.acs.task_payload import RoleCredentials


class CredentialStore:
    """Credentials by the id that containers were told."""

    def __init__(self) -> None:
        self._by_id: dict[str, RoleCredentials] = {}
        self._ids: dict[str, set[str]] = {}

    def expect(self, task_arn: str, credentials_id: str) -> None:
        """A task has been given this id; its keys will come (again)."""
        self._ids.setdefault(task_arn, set()).add(credentials_id)

    def put(self, task_arn: str, credentials: RoleCredentials) -> None:
        """The newest keys of an id."""
        self.expect(task_arn, credentials.credentials_id)
        if credentials.access_key_id:
            self._by_id[credentials.credentials_id] = credentials

    def get(self, credentials_id: str) -> RoleCredentials | None:
        """The keys, ``None`` when the id is unknown or its keys have not come."""
        return self._by_id.get(credentials_id)

    def task_of(self, credentials_id: str) -> str | None:
        """The task that an id belongs to, ``None`` when it is unknown."""
        for task_arn, ids in self._ids.items():
            if credentials_id in ids:
                return task_arn
        return None

    def drop(self, task_arn: str) -> None:
        """The task has ended: nobody gets its keys any more."""
        for credentials_id in self._ids.pop(task_arn, ()):
            self._by_id.pop(credentials_id, None)
