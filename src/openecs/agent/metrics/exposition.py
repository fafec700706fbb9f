"""``GET /metrics`` of an agent: its containers' counters and its own process, for Prometheus.

For hosts whose Prometheus is their own; the control plane's page has all tasks of all hosts.  It
is served on the loopback address only, and only when a port is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from openecs.agent.metrics.counters import Counters
from openecs.agent.metrics.sampler import Sampler
from openecs.errors import OperatorError
from openecs.http.process_metrics import process_metrics
from openecs.http.prometheus_text import CONTENT_TYPE, Family, Kind, Sample, render

#: Seconds for a request to come in.
PATIENCE = 10.0
_LARGEST = 16 * 1024
_CONTAINER: tuple[tuple[str, Kind, str, Callable[[Counters], float | None]], ...] = (
    ("openecs_container_cpu_seconds_total", "counter", "CPU time on all cores.", lambda now: now.cpu / 1e9),
    ("openecs_container_memory_bytes", "gauge", "Memory used.", lambda now: now.memory),
    ("openecs_container_storage_read_bytes_total", "counter", "Bytes read.", lambda now: now.read),
    ("openecs_container_storage_write_bytes_total", "counter", "Bytes written.", lambda now: now.written),
)
_NETWORK: tuple[tuple[str, Kind, str, Callable[[Counters], float]], ...] = (
    ("openecs_container_network_receive_bytes_total", "counter", "Bytes received.", lambda now: now.received),
    ("openecs_container_network_transmit_bytes_total", "counter", "Bytes sent.", lambda now: now.sent),
)


class AgentExposition:
    """The page, and its listener on ``127.0.0.1``."""

    def __init__(self, sampler: Sampler | None) -> None:
        """``sampler``: of the host's containers; ``None`` where they are no processes of this kernel."""
        self._sampler = sampler

    async def run(self, port: int) -> None:
        """Serve until cancelled.  Raises ``OperatorError`` when the port cannot be had."""
        try:
            server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_LARGEST)
        except OSError as error:
            raise OperatorError(
                f"The agent cannot listen on 127.0.0.1 port {port}: {error.strerror}. Choose another --metrics-port."
            ) from None
        async with server:
            await server.serve_forever()

    def families(self) -> Iterator[Family]:
        """All that is told."""
        yield from process_metrics("agent")
        found = list(self._sampler.latest()) if self._sampler is not None else []
        for name, kind, text, read in _CONTAINER:
            samples = [Sample(value, labels) for labels, now, _ in found if (value := read(now)) is not None]
            yield Family(name, kind, text, samples)
        for name, kind, text, traffic in _NETWORK:
            yield Family(name, kind, text, [Sample(traffic(now), labels) for labels, now, own in found if own])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and hang up."""
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                right = head.startswith((b"GET /metrics HTTP/", b"GET /metrics?"))
                body = render(self.families()) if right else b""
                status = b"200 OK" if right else b"404 Not Found"
                writer.write(
                    b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                    % (status, CONTENT_TYPE, len(body), body)
                )
                await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            # Whoever asked is gone, or is no client of HTTP.
            pass
        finally:
            writer.close()
