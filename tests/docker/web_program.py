"""A web program for tests: ``web_program.py VERSION=PORT... [udp:VERSION=PORT] [grpc=PORT] [call:NAME=PORT]``.

Every port is a server of its own that keeps connections open and answers

* ``/health``: the status that ``/set-health?STATUS`` set last for this port, 200 at first;
* ``/version``: the version;  ``/slow?SECONDS``: the version, that much later;
* ``/ws``: a WebSocket that sends back what it gets;
* everything else: how the request came here, as JSON.

``udp:VERSION=PORT`` answers datagrams with the version, the host's name and the client's address.
``grpc=PORT`` serves ``/test.Echo/Say``, which gives back its bytes, ``/test.Echo/Talk``, which does so
with a stream, and ``/test.Echo/Who``, which names the host.  ``call:NAME=PORT`` calls these of NAME for
ever, once ``/test.Echo/Go`` was called here, and writes a line for each answer.  Both need grpcio.
It runs in containers, and ends in the middle of everything when it is asked to: nothing but draining protects requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_GO = threading.Event()
_WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, version: str, port: int) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.version = version
        self.health = 200


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # One write for head and body.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path:
            case "/health":
                self._answer(self.server.version, status=self.server.health)
            case "/set-health":
                self.server.health = int(url.query)
                self._answer("set")
            case "/version":
                self._answer(self.server.version)
            case "/slow":
                time.sleep(float(url.query))
                self._answer(self.server.version)
            case "/ws":
                self._echo()
            case _:
                headers = {name.lower(): value for name, value in self.headers.items()}
                told = {"version": self.server.version, "host": socket.gethostname()}
                self._answer(json.dumps({**told, "path": self.path, "method": self.command, "headers": headers}))

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, text: str, status: int = 200) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1((key + _WEBSOCKET).encode()).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        while True:
            head = self.rfile.read(6)
            if len(head) < 6 or head[0] & 15 == 8:
                break
            size, mask = head[1] & 127, head[2:6]
            assert size < 126, "short messages only"
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(size)))
            self.wfile.write(struct.pack("!BB", head[0], size) + data)
            self.wfile.flush()
        self.close_connection = True


def serve_udp(version: str, port: int) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", port))
    while True:
        _, client = server.recvfrom(2048)
        server.sendto(f"{version} {socket.gethostname()} {client[0]}".encode(), client)


def serve_grpc(port: int) -> None:
    from concurrent import futures

    import grpc  # Takes a while, and is needed by few.

    def say(request: bytes, _: Any) -> bytes:
        return request

    def go(request: bytes, _: Any) -> bytes:
        _GO.set()
        return request

    server = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Talk": grpc.stream_stream_rpc_method_handler(lambda words, _: (word + b"!" for word in words)),
        "Go": grpc.unary_unary_rpc_method_handler(go),
        "Who": grpc.unary_unary_rpc_method_handler(lambda *_: socket.gethostname().encode()),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    server.add_insecure_port(f"0.0.0.0:{port}")
    server.start()
    server.wait_for_termination()


def call_grpc(name: str, port: int) -> None:
    import grpc

    _GO.wait()
    with grpc.insecure_channel(f"{name}:{port}") as channel:
        talk, who = channel.stream_stream("/test.Echo/Talk"), channel.unary_unary("/test.Echo/Who")
        say = channel.unary_unary("/test.Echo/Say")
        while True:
            try:
                # Three calls: with two servers in turn, the last one is not always of the same.
                words = b"".join(talk(iter((b"a", b"b")), timeout=10, wait_for_ready=True))
                words += say(b"c", timeout=10)
                said = f"{words.decode()} {who(b'', timeout=10).decode()}"
            except grpc.RpcError as error:
                said = f"failed {error.code()} {error.details()}"
            sys.stdout.write(f"{name} {said}\n")
            sys.stdout.flush()
            time.sleep(0.05)


def main(words: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    for word in words:
        version, _, port = word.partition("=")
        if version == "grpc":
            serve, given = serve_grpc, (int(port),)
        elif version.startswith("call:"):
            serve, given = call_grpc, (version.removeprefix("call:"), int(port))
        elif version.startswith("udp:"):
            serve, given = serve_udp, (version.removeprefix("udp:"), int(port))
        else:
            serve, given = Server(version, int(port)).serve_forever, ()
        threading.Thread(target=serve, args=given, daemon=True).start()
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
