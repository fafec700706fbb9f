"""Hosts and tasks made of network namespaces: real rules, real tunnels, no containers.

Hosts hang on one bridge; each runs the agent's data plane in a process of its own.  Sockets are
made inside a namespace by a thread that enters it, and used from the test.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from openecs.acs.host_documents import Document

Result = TypeVar("Result")
_LIBC = ctypes.CDLL(None, use_errno=True)


def sh(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


def in_namespace(name: str, do: Callable[[], Result]) -> Result:
    """Call something in a network namespace; sockets that it makes belong there for good."""
    found: list[Result] = []
    failed: list[BaseException] = []

    def inside() -> None:
        try:
            with open(f"/run/netns/{name}") as file:  # noqa: PTH123
                if _LIBC.setns(file.fileno(), 0x40000000):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            found.append(do())
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


class Site:
    """A bridge, hosts on it, and the namespaces of tasks."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix
        self.fabric = f"{prefix}fab"
        self.hosts: dict[str, HostProcess] = {}
        self._stack = contextlib.ExitStack()
        self.namespace(self.fabric)
        sh(f"ip -n {self.fabric} link add br0 type bridge && ip -n {self.fabric} link set br0 up")

    def namespace(self, name: str) -> str:
        sh(f"ip netns add {name} && ip -n {name} link set lo up")
        self._stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=False, capture_output=True)
        return name

    def host(self, number: int) -> HostProcess:
        """A host with the underlay address ``192.168.77.<number>``."""
        node, name = f"node{number}", self.namespace(f"{self.prefix}h{number}")
        sh(
            f"ip -n {name} link add eth0 type veth peer name p{number} netns {self.fabric} && "
            f"ip -n {self.fabric} link set p{number} master br0 up && "
            f"ip -n {name} link set eth0 up && ip -n {name} addr add 192.168.77.{number}/24 dev eth0 && "
            f"ip -n {name} route add default via 192.168.77.254"
        )
        host = self.hosts[node] = HostProcess(node, name, self.folder / node)
        self._stack.callback(host.kill)
        return host

    def outside(self) -> str:
        """A machine of the network around the hosts, ``192.168.77.254``."""
        name = self.namespace(f"{self.prefix}out")
        sh(
            f"ip -n {name} link add eth0 type veth peer name pout netns {self.fabric} && "
            f"ip -n {self.fabric} link set pout master br0 up && "
            f"ip -n {name} link set eth0 up && ip -n {name} addr add 192.168.77.254/24 dev eth0"
        )
        return name

    def tell(self, put: dict[tuple[str, str], Document], remove: Iterable[tuple[str, str]] = ()) -> None:
        """Give documents to every host; they are in force when this returns."""
        for host in self.hosts.values():
            host.tell(put, remove)

    def task(self, host: HostProcess, address: str, gateway: str) -> Task:
        name = self.namespace(f"{self.prefix}t{address.rsplit('.', 2)[1]}-{address.rsplit('.', 1)[1]}")
        host.do("connect", namespace=f"/run/netns/{name}", address=address, gateway=gateway, alias=f"arn:{address}")
        return Task(name, address, host)

    def close(self) -> None:
        self._stack.close()


class HostProcess:
    """The agent's data plane of one host."""

    def __init__(self, node_id: str, namespace: str, folder: Path) -> None:
        self.node_id = node_id
        self.namespace = namespace
        self.folder = folder
        self.start()

    def start(self) -> None:
        # ``ip netns exec`` also shows it the namespace's own /sys.
        self.process = subprocess.Popen(
            [
                *("ip", "netns", "exec", self.namespace),
                *(sys.executable, str(Path(__file__).parent / "network_host_process.py")),
                *(self.node_id, str(self.folder)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def tell(self, put: dict[tuple[str, str], Document], remove: Iterable[tuple[str, str]] = ()) -> None:
        entries = [(kind, key, msgspec.to_builtins(document)) for (kind, key), document in put.items()]
        self.do("documents", put=entries, remove=list(remove))

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class Task:
    """A namespace with an interface, and servers in it."""

    def __init__(self, name: str, address: str, host: HostProcess) -> None:
        self.name = name
        self.address = address
        self.host = host

    @contextlib.contextmanager
    def serving(self, *ports: int) -> Iterator[None]:
        """TCP servers that accept on these ports and echo."""
        servers = [in_namespace(self.name, lambda p=port: _listen(p)) for port in ports]  # type: ignore[misc]
        stop_read, stop_write = os.pipe()
        thread = threading.Thread(target=_echo, args=(servers, stop_read))
        thread.start()
        try:
            yield
        finally:
            os.close(stop_write)
            thread.join()
            os.close(stop_read)


def _listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(64)
    return server


def _echo(servers: list[socket.socket], stop: int) -> None:
    open_ones: list[socket.socket] = []
    while True:
        readable, _, _ = select.select([stop, *servers, *open_ones], [], [])
        if stop in readable:
            break
        for ready in readable:
            if ready in servers:
                open_ones.append(ready.accept()[0])
                continue
            data = b""
            with contextlib.suppress(OSError):
                data = ready.recv(65536)
            if data:
                ready.sendall(data)
            else:
                ready.close()
                open_ones.remove(ready)
    for one in (*servers, *open_ones):
        one.close()


class Attempt:
    """A TCP connection that is being tried from a namespace."""

    def __init__(self, namespace: str, address: str, port: int, source: str = "") -> None:
        def begin() -> socket.socket:
            client = socket.socket()
            client.setblocking(False)
            if source:
                client.bind((source, 0))
            self.failed = client.connect_ex((address, port)) not in (0, 115)
            return client

        self.failed = False
        self.socket = in_namespace(namespace, begin)

    def works(self, timeout: float) -> bool:
        if self.failed:
            return False
        _, writable, _ = select.select([], [self.socket], [], timeout)
        return bool(writable) and self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    def talk(self, word: bytes = b"hello") -> bytes:
        """Say something over the open connection; what is echoed."""
        self.socket.setblocking(True)
        self.socket.settimeout(3)
        self.socket.sendall(word)
        return self.socket.recv(100)


def reachable(tries: Iterable[tuple[str, str, int]], wait: float = 0.4) -> set[tuple[str, str, int]]:
    """Those of (namespace, address, port) that a TCP connection comes about to; all are tried at once."""
    attempts = {key: Attempt(*key) for key in tries}
    works = set()
    # What is allowed answers at once; what is dropped is given one moment for all of them.
    left = wait
    for key, attempt in attempts.items():
        if attempt.works(left):
            works.add(key)
        else:
            left = 0.02
    for key, attempt in attempts.items():
        if key not in works and attempt.works(0):
            works.add(key)
        attempt.socket.close()
    return works
