"""A small HTTP server with the part of VictoriaLogs' API that the store uses, as its documentation describes it.

JSON lines in, with stream fields and a time; LogsQL of exact filters, one range and ``fields``
out, every field as a string and in no order.  What was not flushed is not found.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_EXACT = re.compile(r'(\w+):="([^"]*)"')
_RANGE = re.compile(r"(\w+):range\[(-?\d+), (-?\d+)\]")


class FakeVictoriaLogs:
    """What it holds, and how it misbehaves."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.unflushed: list[dict[str, str]] = []
        #: Longer lines are dropped without a word.
        self.line_limit = 256 * 1024
        self.status = 200

    def answer(self, path: str, arguments: dict[str, list[str]], body: bytes) -> bytes:
        if path == "/insert/jsonline":
            assert arguments["_stream_fields"] == ["region,log_group,log_stream"]
            for line in body.splitlines():
                if len(line) <= self.line_limit:
                    row = json.loads(line)
                    assert isinstance(row["_time"], int)
                    assert row["_time"] > 10**18  # nanoseconds
                    self.unflushed.append({name: str(value) for name, value in row.items()})
        elif path == "/internal/force_flush":
            self.rows += self.unflushed
            self.unflushed = []
        elif path == "/select/logsql/query":
            return self.query(parse_qs(body.decode())["query"][0])
        else:
            raise AssertionError(path)
        return b""

    def query(self, text: str) -> bytes:
        filters, fields = text.split(" | fields ")
        names = fields.split(", ")
        found = self.rows
        for name, value in _EXACT.findall(filters):
            found = [row for row in found if row[name] == value]
        for name, low, high in _RANGE.findall(filters):
            found = [row for row in found if int(low) <= int(row[name]) <= int(high)]
        lines = [json.dumps({name: row[name] for name in names if row.get(name)}) for row in reversed(found)]
        return "\n".join(lines).encode()


@contextmanager
def served(engine: FakeVictoriaLogs) -> Iterator[str]:
    """The URL at which ``engine`` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            target = urlsplit(self.path)
            content = b"" if engine.status != 200 else engine.answer(target.path, parse_qs(target.query), body)
            self.send_response(engine.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            del arguments

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
