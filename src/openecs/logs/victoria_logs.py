"""VictoriaLogs as the engine of moved segments, over its HTTP API.

Events go in as JSON lines with their key in fields of our own, so that what comes out is exact:
``store`` and ``segment`` name where an event belongs, ``sequence`` its place.  Names of region,
group and stream are the engine's stream fields, for people who query it themselves.
VictoriaLogs holds what is young in memory for some seconds; it is asked to write that down
before anything is read back.
"""

from __future__ import annotations

import http.client
from urllib.parse import urlencode, urlsplit

import msgspec

from openecs.errors import OperatorError
from openecs.logs.engine import EngineError, Home
from openecs.logs.event import Event
from openecs.logs.segment import Segment

#: Seconds for one request.
TIMEOUT = 60.0
#: Events in one request.
PUT_EVENTS = 5000
INSERT = "/insert/jsonline?" + urlencode({"_stream_fields": "region,log_group,log_stream"})


class _Row(msgspec.Struct):
    """What a query gives back of an event; VictoriaLogs gives every field as a string."""

    timestamp: str
    sequence: str
    ingestion_time: str
    message: str = msgspec.field(name="_msg", default="")


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Row).decode


class VictoriaLogs:
    """One VictoriaLogs at ``url``; ``store`` tells the segments of several installations apart."""

    def __init__(self, url: str, store: str) -> None:
        """Raises ``OperatorError`` for what is no ``http://`` or ``https://`` address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise OperatorError(f"{url} is no address of VictoriaLogs. Write it as http://HOST:9428.")
        self._url = url
        self._connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._path = parts.hostname, port, parts.path.rstrip("/")
        self._store = store

    def put(self, segment: Segment, home: Home, events: list[Event]) -> None:
        """Store all events of a segment."""
        common = {
            "region": home.region,
            "log_group": home.group,
            "log_stream": home.stream,
            "store": self._store,
            "segment": _segment(segment),
        }
        for start in range(0, len(events), PUT_EVENTS):
            lines = [
                _encode(
                    {
                        **common,
                        # Nanoseconds: shorter numbers are guessed by their length.
                        "_time": event.timestamp * 1_000_000,
                        "_msg": event.message,
                        "timestamp": str(event.timestamp),
                        "sequence": str(event.sequence),
                        "ingestion_time": str(event.ingestion_time),
                    }
                )
                for event in events[start : start + PUT_EVENTS]
            ]
            self._ask(INSERT, b"\n".join(lines), "application/stream+json")
        self._ask("/internal/force_flush", b"", "text/plain")

    def events(self, segment: Segment, first: int, last: int) -> list[Event]:
        """The events of a segment with a timestamp from ``first`` to ``last``."""
        query = (
            f'store:="{self._store}" segment:="{_segment(segment)}" timestamp:range[{first}, {last}] '
            "| fields timestamp, sequence, ingestion_time, _msg"
        )
        form = urlencode({"query": query}).encode()
        found = {}
        for line in self._ask("/select/logsql/query", form, "application/x-www-form-urlencoded").splitlines():
            try:
                row = _decode(line)
                event = Event(
                    int(row.timestamp), segment.stream_id, int(row.sequence), row.message, int(row.ingestion_time)
                )
            except (msgspec.DecodeError, ValueError) as error:
                raise EngineError(f"{self._url} answered a query with {line[:200]!r}: {error}") from error
            found[event.sequence] = event  # an event that was put twice counts once
        return sorted(found.values())

    def _ask(self, target: str, body: bytes, content_type: str) -> bytes:
        connection = self._connection(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request("POST", self._path + target, body, {"Content-Type": content_type})
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{self._url} does not answer: {error}") from error
        finally:
            connection.close()
        if reply.status // 100 != 2:
            raise EngineError(f"{self._url} answered {reply.status} to {target}: {content[:200]!r}")
        return content


def _segment(segment: Segment) -> str:
    return f"{segment.stream_id}-{segment.number}"
