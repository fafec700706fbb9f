"""A whole control plane in one process for fuzzing: the real composition on storage in memory.

Requests go through the gateway as signed HTTP messages, so everything from the signature to the
tables takes part.  Time and ids are inputs and the machines' agents are played by the tests.
``picture`` is everything that a refused request must leave as it was.
"""

from __future__ import annotations

import asyncio
import json
import random
from types import TracebackType
from typing import Any, NamedTuple, Self

from openecs.acs.gateway import AgentGateway
from openecs.clock import ManualClock
from openecs.control.alarm_changes import AlarmChanges
from openecs.control.historian import Historian
from openecs.control.launch import Launcher
from openecs.control.loop import Done
from openecs.control.provisioning import Provisioning
from openecs.control.reaper import Reaper
from openecs.control.region_networks import RegionNetworks
from openecs.control.services import ServiceController
from openecs.control.task_credentials import TaskCredentials
from openecs.iam import policy
from openecs.iam.keyring import KeyRing
from openecs.ids import SeededIds
from openecs.logs.insights.runner import Runner
from openecs.logs.store import LogStore
from openecs.metrics.store import MetricStore
from openecs.model.network import DEFAULT_RANGE
from openecs.server.api import api_services
from openecs.server.eventbridge import EventParts
from openecs.server.keys import Keys
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.state.table import Table
from openecs.wire.gateway import Gateway
from openecs.wire.pagination import Pagination
from openecs.wire.sigv4 import Credentials, sign
from openecs.wire.verifier import Verifier

ACCOUNT = "123456789012"
REGION = "us-east-1"
URL = "http://127.0.0.1:8327/"
#: Seconds after which a call counts as one that never ends.
HANG = 20.0


class Reply(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body or b"{}")


class Plane:
    """The control plane, its clock, and an event loop that only moves during calls."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ids = SeededIds(1)
        self.state = State(MemoryJournal())
        self.logs = LogStore(None, self.clock)
        self.metrics = MetricStore(None, self.clock)
        ring = KeyRing(b"k" * 32)
        self._keys = Keys(self.state, ring, ACCOUNT)
        self.networks = RegionNetworks(self.state, ACCOUNT, DEFAULT_RANGE)
        self.networks.ensure_all(REGION)
        self.launcher = Launcher(self.state, self.networks, random.Random(1))
        self.services = ServiceController(self.state, self.launcher, self.clock, self.ids)
        self.provisioning = Provisioning(self.state, self.launcher, self.clock, self.ids)
        self.reaper = Reaper(self.state, self.clock)
        self.historian = Historian(self.state, self.clock, strict=True)
        self.credentials = TaskCredentials(self.state, ring, account=ACCOUNT, clock=self.clock, secret=b"s" * 32)
        self.agents = AgentGateway(
            self.state,
            authenticate=lambda scope: self.gateway.authenticate(scope),
            credentials=self.credentials,
            subnet_gateway=self.networks.gateway,
            clock=self.clock,
            ids=self.ids,
        )
        pagination = Pagination(b"p" * 32)
        self.served = api_services(
            state=self.state,
            log_store=self.logs,
            metric_store=self.metrics,
            pagination=pagination,
            launcher=self.launcher,
            networks=self.networks,
            certificate_keys=KeyRing(bytes(32)),
            alarm_changes=AlarmChanges(self.state, self.ids),
            provisioned=False,
            log_queries=Runner(self.logs, self.clock),
            event_parts=EventParts(
                self.state,
                logs=self.logs,
                add_metrics=lambda _: None,
                ring=KeyRing(bytes(32)),
                clock=self.clock,
                ids=self.ids,
                account=ACCOUNT,
            ),
        )
        self.gateway = Gateway(
            services=self.served,
            verifier=Verifier(self._keys.lookup),
            account=ACCOUNT,
            clock=self.clock,
            ids=self.ids,
            barrier=self.state.store.durable,
            authorize=lambda who, service, operation: policy.allowed(who.kind, service, operation),
            routes={},
        )
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        async def begin() -> None:
            self.state.store._journal.start(self.state.store.journal_reached, self.state.store.journal_failed)
            await self.logs.open()
            await self.metrics.open()

        self._runner.run(begin())
        now = self.clock.now()
        self.root = Credentials(*self._keys.root(now))
        self.agent = Credentials(*self._keys.local_agent(now))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self.logs.close())
        self._runner.run(self.metrics.close())
        self._runner.close()

    @property
    def tables(self) -> list[Table[Any]]:
        return [table for table in vars(self.state).values() if isinstance(table, Table)]

    # -- calls --

    def ask(self, service: str, operation: str, /, *, who: Credentials | None = None, **members: Any) -> Reply:
        """One API call with a well-formed body."""
        return self.send(service, operation, json.dumps(members).encode(), who=who)

    def must(self, service: str, operation: str, /, *, who: Credentials | None = None, **members: Any) -> Any:
        """The answer of a call that has to succeed."""
        reply = self.ask(service, operation, who=who, **members)
        assert reply.status == 200, (operation, members, reply)
        return reply.data

    def send(
        self, service: str, operation: str, body: bytes, *, who: Credentials | None = None, cbor: bool = False
    ) -> Reply:
        """One signed API call with any body, as that of the service's protocol or as CBOR."""
        model = self.served[service].model
        path = ""
        if cbor:
            path = f"service/{model.target_prefix}/operation/{operation}"
            headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        elif model.target_prefix:
            headers = {
                "content-type": f"application/x-amz-json-{model.json_version}",
                "x-amz-target": f"{model.target_prefix}.{operation}",
            }
        else:
            headers = {"content-type": "application/x-www-form-urlencoded"}
        headers["host"] = "127.0.0.1:8327"
        added = sign(
            who or self.root,
            method="POST",
            url=URL + path,
            headers=headers,
            body=body,
            region=REGION,
            service=model.signing_name,
            now=self.clock.now(),
        )
        return self._runner.run(self._request(f"/{path}", {**headers, **added}, body))

    async def _request(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        sent: list[Any] = []

        # A caller of a stream of events leaves when the stream has begun.
        received = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            return next(received, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(HANG):
            await self.gateway(scope, receive, send)
        start, *parts = sent
        named = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], named, b"".join(part["body"] for part in parts))

    # -- the surroundings --

    def connect_agents(self) -> None:
        """Every node's agent counts as connected."""
        for node in list(self.state.nodes):
            self.agents._set_connected(node.id, connected=True, version=None)

    def settle_services(self) -> None:
        """Take the service reconciler's steps until there is none to take."""
        for _ in range(50):
            before = self.state.store.revision
            for service in list(self.state.services):
                self.services.reconcile(service.arn)
            for cluster in list(self.provisioning._all()):
                self.provisioning.reconcile(cluster)
            if self.state.store.revision == before:
                return
        raise AssertionError("the services do not come to rest")

    def reap(self) -> None:
        """Forget everything whose time has come."""
        for key in list(self.reaper._all()):
            result = self.reaper.reconcile(key)
            assert result == Done() or result.seconds > 0
        self.credentials.sweep()

    # -- what must not change --

    def picture(self) -> dict[str, Any]:
        """All tables by key, the revision, and the log store's groups, streams and sizes."""
        tables = {table.name: {record.key: record for record in table} for table in self.tables}
        return {"revision": self.state.store.revision, "logs": self._logs_picture(), **tables}

    def _logs_picture(self) -> Any:
        return {
            (region, group.name): (
                group.created,
                group.retention_days,
                dict(group.tags),
                group.stored_bytes,
                {s.name: (s.id, s.created, s.next_sequence, s.last_ingestion) for s in group.streams.values()},
            )
            for region, groups in self.logs._groups.items()
            for group in groups.values()
        }

    def restore(self, picture: dict[str, Any]) -> None:
        """Put the tables back to a picture; log groups that were not in it go."""
        with self.state.transaction() as tx:
            for table in self.tables:
                wanted = picture[table.name]
                for record in list(table):
                    if record.key not in wanted:
                        tx.delete(record)
                for key, record in wanted.items():
                    if table.get(key) is not record:
                        tx.put(record)
