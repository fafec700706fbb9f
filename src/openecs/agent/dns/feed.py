"""What agents have told the resolver: messages in, merged documents out.  No I/O.

An agent's documents stay when its connection ends, so that names go on being answered while it
restarts; they go when it says goodbye.  What connected agents say counts before what others said
earlier: of those only networks that no connected agent knows are still served.  Interfaces are
those of the agent's own host: every agent tells of others.

Agents of several installations may share a host.  The id of a default VPC follows from account and
region, so each installation has a VPC of that id; the addresses of their resolvers differ.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from openecs.acs.host_documents import DOCUMENTS

KINDS = ("vpc", "zone", "name", "interface")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One document."""

    kind: str
    key: str
    body: msgspec.Raw


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message of an agent: one line of JSON."""

    node: str
    version: str = ""
    #: These are all documents; others are gone.
    all: bool = False
    entries: tuple[Entry, ...] = ()
    #: Kinds and keys of documents that are gone.
    removed: tuple[tuple[str, str], ...] = ()
    #: The agent and its tasks need no resolver any more.
    leave: bool = False


class Status(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the resolver answers: one line of JSON."""

    version: str
    #: Where it answers queries.
    addresses: tuple[str, ...] = ()
    #: Why it does not answer everywhere where it should.
    problem: str = ""


class _Agent:
    """The documents of one agent."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        #: Its connections; while there are none it may be restarting.
        self.connections = 0
        self.told_at = 0


class Feed:
    """The documents of all agents of the host."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._count = 0

    @property
    def empty(self) -> bool:
        """Whether no agent needs the resolver."""
        return not self._agents

    def connected(self, node: str) -> None:
        """A connection of that agent has begun."""
        self._agents.setdefault(node, _Agent()).connections += 1

    def disconnected(self, node: str) -> None:
        """It has ended."""
        agent = self._agents.get(node)
        if agent is not None:
            agent.connections -= 1

    def take(self, told: Told) -> None:
        """A message of an agent.  Raises ``msgspec.DecodeError`` for documents that cannot be read."""
        if told.leave:
            self._agents.pop(told.node, None)
            return
        documents = [
            (entry, msgspec.json.decode(entry.body, type=DOCUMENTS[entry.kind]))
            for entry in told.entries
            if entry.kind in KINDS
        ]
        agent = self._agents.setdefault(told.node, _Agent())
        self._count += 1
        agent.told_at = self._count
        if told.all:
            agent.documents = {kind: {} for kind in KINDS}
        for entry, document in documents:
            agent.documents[entry.kind][entry.key] = document
        for kind, key in told.removed:
            agent.documents.get(kind, {}).pop(key, None)

    def documents(self) -> dict[str, dict[str, Any]]:
        """Kind → key → document, of all agents that count."""
        merged: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        ordered = sorted(self._agents.values(), key=lambda a: (a.connections > 0, a.told_at), reverse=True)
        for agent in ordered:
            documents = agent.documents
            shared = merged["vpc"].keys() & documents["vpc"].keys()
            names = {
                key: f"{key}@{documents['vpc'][key].resolver}"
                for key in shared
                if merged["vpc"][key].resolver != documents["vpc"][key].resolver
            }
            if names:
                documents = _renamed(documents, names)
            known = merged["vpc"].keys() & documents["vpc"].keys()
            for kind in ("interface",) if agent.connections <= 0 and known else KINDS:
                for key, document in documents[kind].items():
                    merged[kind].setdefault(key, document)
        return merged


def _renamed(documents: dict[str, dict[str, Any]], names: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The documents of one agent with other ids for the VPCs that are keys of ``names``."""
    renamed: dict[str, dict[str, Any]] = {kind: dict(documents[kind]) for kind in KINDS}
    for vpc_id, name in names.items():
        renamed["vpc"][name] = renamed["vpc"].pop(vpc_id)
    for kind in ("zone", "name"):
        for key, document in documents[kind].items():
            if document.scope in names:
                scope = names[document.scope]
                renamed[kind][f"{scope}/{document.name}"] = replace(renamed[kind].pop(key), scope=scope)
    for key, interface in documents["interface"].items():
        if interface.vpc_id in names:
            renamed["interface"][key] = replace(interface, vpc_id=names[interface.vpc_id])
    return renamed
