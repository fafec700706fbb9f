"""A proxy on the loopback between client programs and an installation; it checks every reply.

Programs that run in processes of their own cannot have ``reply_check`` hung into them.  What is
not of the model's shape reaches the program as an error 500 that says so, and its test fails.
Requests pass as they are, the signed ``Host`` header included.
"""

from __future__ import annotations

import functools
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from reply_check import error_differences, reply_differences

#: X-Amz-Target's prefix → the name of the service's model.
SERVICES = {"AmazonEC2ContainerServiceV20141113": "ecs", "Logs_20140328": "logs"}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class ReplyProxy:
    """Runs in a thread of its own until ``stop``."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        assert parts.hostname is not None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, (parts.hostname, parts.port)))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, target: tuple[str, int], *arguments: Any) -> None:
        self._target = target
        super().__init__(*arguments)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        connection = http.client.HTTPConnection(*self._target, timeout=60)
        try:
            # http.client must add no header of its own: the client's are signed.
            connection.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        status, headers = reply.status, [(n, v) for n, v in reply.getheaders() if n.lower() not in _HOP_BY_HOP]
        wrong = differences(self.headers.get("X-Amz-Target", ""), status, content)
        if wrong:
            status, content = 500, json.dumps({"__type": "WrongReply", "message": wrong}).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the installation has its own log."""


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def differences(target: str, status: int, content: bytes) -> str:
    """What is wrong with a reply, empty for nothing; other services than ``SERVICES`` pass."""
    prefix, _, operation = target.partition(".")
    service = SERVICES.get(prefix)
    if service is None or operation not in _model(service).operation_names:
        return ""
    model = _model(service).operation_model(operation)
    if status < 300:
        return "; ".join(reply_differences(model, content))
    return "; ".join(error_differences(model, status, content))
