"""A host's data plane in a process of its own, in the network namespace that it is started in.

Reads one JSON command a line and answers one JSON line: ``documents``, ``connect``, ``disconnect``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import structlog

from openecs.acs import messages as m
from openecs.agent.host.documents import HostDocuments
from openecs.agent.network.dataplane import DataPlane
from openecs.agent.network.frame import Published
from openecs.agent.network.host import HostNetwork
from openecs.agent.network.interfaces import Interfaces
from openecs.agent.network.nftables import open_nftables


class Host:
    def __init__(self, node_id: str, folder: Path) -> None:
        self.documents = HostDocuments(folder / "host.db")
        network = HostNetwork(folder / "run")
        self.plane = DataPlane(node_id, self.documents, network, open_nftables())
        self.interfaces = Interfaces(network, self.plane)

    async def do(self, command: dict[str, Any]) -> Any:
        match command.pop("do"):
            case "documents":
                entries = tuple(
                    m.HostEntry(kind, key, msgspec.Raw(json.dumps(body).encode())) for kind, key, body in command["put"]
                )
                removed = tuple(m.HostKey(kind, key) for kind, key in command["remove"])
                self.documents.take(m.HostDocumentsMessage(entries=entries, removed=removed))
                await self.plane.apply()
            case "connect":
                await self.interfaces.connect(Path(command.pop("namespace")), **command)
            case "disconnect":
                await self.interfaces.disconnect(**command)
            case "publish":
                self.plane.published.take(command["owner"], frozenset(Published(*port) for port in command["ports"]))
                await self.plane.apply()
            case "look":
                await self.plane._look()
                await self.plane.apply()
            case "remove":
                await self.plane.remove()
        return "done"


async def main(node_id: str, folder: Path) -> None:
    host = Host(node_id, folder)
    loop = asyncio.get_running_loop()
    running = loop.create_task(host.plane.run())
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer: Any = {"ok": await host.do(json.loads(line))}
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    running.cancel()


structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
