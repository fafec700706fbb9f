"""Temporary keys of tasks: issued with the task's payload, renewed in time, revoked at its end.

A task has an ``execution`` key (for the agent and the log driver: of the execution role, or of
the instance's role when there is none) if something uses it, and, when it has a task role, a
``task`` key that its containers fetch from the credentials endpoint.  Keys are records like all others;
sending them to agents is the gateway's business, which sees the new records.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import hmac
from datetime import UTC, datetime
from typing import Literal, NamedTuple
from uuid import UUID

from openecs import arn as arns
from openecs.acs.task_payload import RoleCredentials
from openecs.clock import Clock
from openecs.iam.keyring import KeyRing
from openecs.model.access_key import AccessKey
from openecs.model.task import Task
from openecs.shapes import ecs
from openecs.state.state import State
from openecs.state.store import Notice, Transaction

Kind = Literal["execution", "task"]

ROLE_TYPES: dict[Kind, str] = {"execution": "TaskExecution", "task": "TaskApplication"}
#: As long as AWS's task credentials last.
LIFETIME = 6 * 3600.0
#: The part of the lifetime after which a key is replaced; the old one stays valid to its end.
RENEW_AFTER = 0.8
#: The role of instances whose agent signs with the account's own key.
DEFAULT_INSTANCE_ROLE = "ecsInstanceRole"


class Issued(NamedTuple):
    """One valid key of a task in the form in which agents get it."""

    kind: Kind
    access_key_id: str
    credentials: RoleCredentials


class TaskCredentials:
    """Issues, renews and revokes.  ``run`` is the loop that does the latter two."""

    def __init__(self, state: State, keyring: KeyRing, *, account: str, clock: Clock, secret: bytes) -> None:
        """``secret`` is any secret of the installation; ids of credentials are derived from it."""
        self._state = state
        self._keyring = keyring
        self._account = account
        self._clock = clock
        self._secret = secret
        #: (when to look at it, access key id)
        self._due: list[tuple[float, str]] = []
        #: Tasks that ended with keys.
        self._ended: set[str] = set()
        self._wake = asyncio.Event()
        state.store.subscribe("access_key", self._key_changed)
        state.store.subscribe("task", self._task_changed)

    def ensure(self, tx: Transaction, task: Task) -> None:
        """Issue the keys that a task should have and has not, in the caller's transaction."""
        valid = self._newest(task.arn)
        for kind, role_arn in self._roles(task).items():
            if kind not in valid:
                self._issue(tx, task, kind, role_arn)

    def current(self, task: Task) -> tuple[Issued, ...]:
        """The newest valid keys of a task, secrets opened."""
        return tuple(
            Issued(kind, key.access_key_id, self._credentials(key, kind))
            for kind, key in self._newest(task.arn).items()
        )

    async def run(self) -> None:
        """Renew and revoke until cancelled; wakes only when something is due."""
        for key in self._state.access_keys:
            self._watch(key)
        while True:
            self._wake.clear()
            self.sweep()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def sweep(self) -> None:
        """Do everything that is due now, in one transaction."""
        now = self._clock.now()
        due: list[AccessKey] = []
        while self._due and self._due[0][0] <= now:
            key = self._state.access_keys.get(heapq.heappop(self._due)[1])
            if key is not None:
                due.append(key)
        if not due and not self._ended:
            return
        ended, self._ended = self._ended, set()
        with self._state.transaction() as tx:
            for task_arn in ended:
                self._revoke(tx, task_arn)
            for key in due:
                self._replace(tx, key, now)

    def _replace(self, tx: Transaction, key: AccessKey, now: float) -> None:
        task = self._state.tasks.get(key.task_arn or "")
        if task is None or task.stopped:
            self._revoke(tx, key.task_arn or "")
        elif key.expires_at is not None and key.expires_at <= now:
            tx.delete(key)
        else:
            kind: Kind = "task" if key.kind == "task" else "execution"
            if self._newest(task.arn).get(kind) is key:
                self._issue(tx, task, kind, key.role_arn or "")
            heapq.heappush(self._due, (key.expires_at or now, key.access_key_id))

    def _revoke(self, tx: Transaction, task_arn: str) -> None:
        for key in self._state.access_keys.by("task", task_arn):
            tx.delete(key)

    def _issue(self, tx: Transaction, task: Task, kind: Kind, role_arn: str) -> None:
        now = self._clock.now()
        access_key_id, secret = self._keyring.new_pair("ASIA")
        role = role_arn.rsplit("/", 1)[-1]
        tx.put(
            AccessKey(
                access_key_id=access_key_id,
                sealed_secret=self._keyring.seal(secret),
                principal_arn=f"arn:aws:sts::{self._account}:assumed-role/{role}/{arns.short(task.arn)}",
                kind=kind,
                created_at=now,
                session_token=self._keyring.new_session_token(),
                expires_at=now + LIFETIME,
                task_arn=task.arn,
                role_arn=role_arn,
            )
        )

    def _roles(self, task: Task) -> dict[Kind, str]:
        record = self._state.task_definitions.get(task.task_definition_arn)
        definition = record.definition if record else None
        overrides = task.overrides
        execution = (overrides and overrides.execution_role_arn) or (definition and definition.execution_role_arn)
        role = (overrides and overrides.task_role_arn) or (definition and definition.task_role_arn)
        roles: dict[Kind, str] = {}
        if execution or (definition and _delivers_logs(definition)):
            roles["execution"] = execution or self._instance_role(task)
        if role:
            roles["task"] = role
        return roles

    def _instance_role(self, task: Task) -> str:
        node = self._state.nodes.get(task.node_id or "")
        owner = arns.parse(node.owner) if node else None
        name = owner.path[0] if owner and owner.path else DEFAULT_INSTANCE_ROLE
        return f"arn:aws:iam::{self._account}:role/{name}"

    def _newest(self, task_arn: str) -> dict[Kind, AccessKey]:
        now = self._clock.now()
        newest: dict[Kind, AccessKey] = {}
        for key in self._state.access_keys.by("task", task_arn):
            if key.expires_at is None or key.expires_at <= now:
                continue
            kind: Kind = "task" if key.kind == "task" else "execution"
            if kind not in newest or key.created_at >= newest[kind].created_at:
                newest[kind] = key
        return newest

    def _credentials(self, key: AccessKey, kind: Kind) -> RoleCredentials:
        expires = datetime.fromtimestamp(key.expires_at or 0.0, UTC)
        return RoleCredentials(
            credentials_id=self._credentials_id(key.task_arn or "", kind),
            role_arn=key.role_arn or "",
            access_key_id=key.access_key_id,
            secret_access_key=self._keyring.open(key.sealed_secret),
            session_token=key.session_token or "",
            expiration=expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            role_type=ROLE_TYPES[kind],
        )

    def _credentials_id(self, task_arn: str, kind: Kind) -> str:
        """The same for a task's whole life, because it is in its containers' environment, and
        nothing that another task could guess, because knowing it is enough to get the keys."""
        digest = hmac.new(self._secret, f"credentials/{kind}/{task_arn}".encode(), hashlib.sha256).digest()
        return str(UUID(bytes=digest[:16], version=4))

    def _watch(self, key: AccessKey) -> None:
        if key.task_arn is None or key.expires_at is None:
            return
        task = self._state.tasks.get(key.task_arn)
        if task is None or task.stopped:
            self._ended.add(key.task_arn)
            return
        renew_at = key.created_at + (key.expires_at - key.created_at) * RENEW_AFTER
        if not self._due or renew_at < self._due[0][0]:
            self._wake.set()
        heapq.heappush(self._due, (renew_at, key.access_key_id))

    def _key_changed(self, notice: Notice) -> None:
        if notice.old is None:
            self._watch(notice.new)

    def _task_changed(self, notice: Notice) -> None:
        over = notice.new is None or notice.new.stopped
        if over and self._state.access_keys.count("task", notice.key):
            self._ended.add(notice.key)
            self._wake.set()

    def _seconds_to_next(self) -> float | None:
        return max(0.0, self._due[0][0] - self._clock.now()) if self._due else None


def _delivers_logs(definition: ecs.TaskDefinition) -> bool:
    """Whether a log driver needs keys.  Nothing else does without an execution role, and a task
    without keys is one record and one secret less."""
    logs = (container.log_configuration for container in definition.container_definitions or ())
    return any(log is not None and log.log_driver == "awslogs" for log in logs)
