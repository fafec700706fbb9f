"""Ports of this host that lead to a task's interface, asked for by the docker label ``openecs.publish``.

``"openecs.publish": "8080:80,5353:53/udp"`` of any container of an awsvpc task with a public
address: the host's port 8080 leads to port 80 of the task, from the host itself and from the
network around it.  The task's security groups decide as for every other packet.  A port that
something else on the host has is refused; ours is kept from others by a socket that is bound to
it and never listens.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

from openecs.acs.task_payload import TaskPayload
from openecs.agent.network.driver import NetworkError
from openecs.agent.network.frame import Published

LABEL = "openecs.publish"


def wanted(task: TaskPayload, address: str) -> frozenset[Published]:
    """The ports that a task's containers ask for.  Raises ``NetworkError``."""
    return frozenset(port for text in _labels(task) for port in parse(text, address))


def parse(text: str, address: str) -> Iterator[Published]:
    """The ports of one label.  Raises ``NetworkError``."""
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        ports, _, protocol = part.partition("/")
        outside, colon, inside = ports.partition(":")
        numbers = [int(n) if n.isascii() and n.isdigit() else 0 for n in (outside, inside if colon else outside)]
        if protocol not in ("", "tcp", "udp") or not all(0 < n < 65536 for n in numbers):
            raise NetworkError(f"the docker label {LABEL} has {part!r}: write host-port:task-port, with /udp for UDP")
        yield Published(address, protocol or "tcp", *numbers)


class PublishedPorts:
    """The ports that are taken for tasks of this agent."""

    def __init__(self) -> None:
        self._held: dict[str, dict[Published, socket.socket]] = {}

    @property
    def all(self) -> frozenset[Published]:
        """Everything that is published."""
        return frozenset(port for ports in self._held.values() for port in ports)

    def take(self, task_arn: str, ports: frozenset[Published]) -> None:
        """Take ports for a task; all of them or none.  Raises ``NetworkError`` when one is taken."""
        if task_arn in self._held:
            return
        taken: dict[Published, socket.socket] = {}
        for port in sorted(ports):
            try:
                taken[port] = _bind(port)
            except OSError as error:
                for holder in taken.values():
                    holder.close()
                raise NetworkError(
                    f"the host's port {port.host_port}/{port.protocol} that the label {LABEL} asks for "
                    f"cannot be had: {error.strerror}"
                ) from None
        self._held[task_arn] = taken

    def release(self, task_arn: str) -> bool:
        """Give back what a task had; whether that was anything."""
        gone = self._held.pop(task_arn, {})
        for holder in gone.values():
            holder.close()
        return bool(gone)


def _bind(port: Published) -> socket.socket:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        holder.bind(("0.0.0.0", port.host_port))  # noqa: S104 -- it only keeps others away
    except OSError:
        holder.close()
        raise
    return holder


def _labels(task: TaskPayload) -> Iterator[str]:
    for container in task.containers:
        try:
            labels = json.loads(container.docker_config.config).get("Labels") or {}
        except (ValueError, AttributeError):
            continue
        text = labels.get(LABEL) if isinstance(labels, dict) else None
        if isinstance(text, str):
            yield text
