"""What an agent does with the documents of its host: load balancers and Service Connect.

It stands where ``openecs.agent.edge`` and ``openecs.agent.connect`` are, without a proxy: it takes a
while to do what it is told, and reports what then holds.  What the proxy of a host serves goes on
when the agent dies, and ends with the host.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from simulated_process import Process

from openecs.acs.host_documents import (
    BalancerDocument,
    BalancerReport,
    ConnectDocument,
    ConnectReport,
    Document,
    TargetsReport,
)
from openecs.agent.host.documents import HostDocuments
from openecs.agent.host.reports import HostReports

if TYPE_CHECKING:
    from simulated_balancer import Balancer

Key = tuple[str, str]
KINDS = frozenset({"balancer", "target-group", "connect"})
#: Seconds between two looks at targets, and until something that failed is tried again.
_INTERVAL = 10.0


class Edge:
    """The part of one agent.  ``serves`` is what the host's proxy does: load balancer → document."""

    def __init__(
        self,
        agent: Process,
        documents: HostDocuments,
        reports: HostReports,
        balancer: Balancer,
        serves: dict[str, BalancerDocument],
    ) -> None:
        self._agent = agent
        self._documents = documents
        self._reports = reports
        self._balancer = balancer
        self._serves = serves
        self._loop = asyncio.get_running_loop()
        #: Documents that somebody will look at soon.
        self._due: set[Key] = set()
        #: Groups that are looked at now and then.
        self._watched: set[str] = set()
        #: Endpoint → addresses to which nothing is in flight any more.
        self._drained: dict[str, frozenset[str]] = {}

    def start(self) -> None:
        """Begin with what was on the disk, then follow what changes."""
        self._documents.watch(KINDS, self._changed)
        for kind in sorted(KINDS):
            self._changed(frozenset((kind, key) for key in self._documents.all(kind)))
        # What the proxy was not told any more before the agent died.
        self._changed(frozenset(("balancer", arn) for arn in self._serves))

    def _changed(self, keys: frozenset[Key]) -> None:
        for key in sorted(keys):
            self._soon(key, self._balancer.delay())

    def _soon(self, key: Key, seconds: float) -> None:
        if key not in self._due:
            self._due.add(key)
            self._loop.call_later(seconds, self._look, key)

    def _look(self, key: Key) -> None:
        self._due.discard(key)
        if not self._agent.alive:
            return
        kind, name = key
        document = self._documents.get(kind, name)
        if document is None:
            if kind == "balancer":
                self._serves.pop(name, None)
            self._reports.remove("targets" if kind == "target-group" else kind, name)
        elif kind == "balancer":
            self._serve(name, document)
        elif kind == "target-group":
            self._probe(name, document)
        else:
            self._drain(name, document)

    def _serve(self, arn: str, document: BalancerDocument) -> None:
        if self._balancer.fails():
            known = self._serves.get(arn)
            applied = known.revision if known is not None else ""
            report = BalancerReport(ready=known is not None, problem="a port is taken", applied=applied)
            self._soon(("balancer", arn), _INTERVAL)
        else:
            self._serves[arn] = document
            report = BalancerReport(ready=True, applied=document.revision)
        self._reports.put("balancer", arn, report)

    def _probe(self, arn: str, document: Document) -> None:
        targets = tuple(self._balancer.view(arn, target) for target in document.targets)
        self._reports.put("targets", arn, TargetsReport(targets=targets))
        if targets and arn not in self._watched:
            self._watched.add(arn)
            self._loop.call_later(_INTERVAL, self._again, arn)

    def _again(self, arn: str) -> None:
        self._watched.discard(arn)
        self._look(("target-group", arn))

    def _drain(self, key: str, document: ConnectDocument) -> None:
        drained = sorted(f"{t.address}:{t.port}" for t in document.targets if t.draining)
        known = self._drained.get(key, frozenset())
        # One more at each look: requests end one after the other.
        done = [one for one in drained if one in known]
        rest = [one for one in drained if one not in known]
        if rest and not self._balancer.fails():
            done.append(rest.pop(0))
        if rest:
            self._soon(("connect", key), self._balancer.delay())
        self._drained[key] = frozenset(done)
        self._reports.put("connect", key, ConnectReport(drained=tuple(sorted(done)), routing=document.routing))
