"""Ports, names and addresses in the network modes bridge, host and none."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conformance_support import free_port
from docker_world import STAY, World, by_name, fetch
from waiting import wait_for

SERVE = "echo $(hostname) > /tmp/index.html; httpd -p {port} -h /tmp; " + STAY


def bindings(task: dict[str, Any], name: str = "main") -> dict[tuple[Any, str], dict[str, Any]]:
    found = by_name(task)[name]["networkBindings"]
    return {(b.get("containerPort") or b["containerPortRange"], b["protocol"]): b for b in found}


ANSWER = """
import socket
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("0.0.0.0", {port}))
while True:
    data, peer = sock.recvfrom(1000)
    sock.sendto(b"got " + data, peer)
"""


@contextmanager
def answering_datagrams(pid: int, port: int) -> Iterator[None]:
    """Answers datagrams in a process's network, because busybox has no server for them."""
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-c", ANSWER.format(port=port)]
    with subprocess.Popen(command) as server:
        try:
            yield
        finally:
            server.kill()


def ask(host: str, port: int, message: str) -> str | None:
    """A datagram's answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        try:
            sock.sendto(message.encode(), (host, port))
            return sock.recv(1000).decode()
        except OSError:
            return None


def test_ports_of_every_kind_are_reachable_from_the_host(world: World) -> None:
    chosen = free_port()
    servers = "".join(f"httpd -p {port} -h /tmp; " for port in (80, 81, 9000, 9001, 9002))
    task = world.run(
        world.container(
            script=f"echo page > /tmp/index.html; {servers}" + STAY,
            portMappings=[
                {"containerPort": 80, "hostPort": chosen},
                {"containerPort": 81},
                {"containerPort": 5353, "protocol": "udp"},
                {"containerPortRange": "9000-9002"},
            ],
        )
    )
    found = bindings(world.reaches(task, "RUNNING"))
    assert found[80, "tcp"] == {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": chosen, "protocol": "tcp"}
    dynamic = found[81, "tcp"]["hostPort"]
    first, last = map(int, found["9000-9002", "tcp"]["hostPortRange"].split("-"))
    assert last - first == 2
    assert len({chosen, dynamic, first, first + 1, last}) == 5
    for port in (chosen, dynamic, first, first + 1, last):
        assert fetch("127.0.0.1", port) == "page\n"
    udp = found[5353, "udp"]["hostPort"]
    with answering_datagrams(world.inspect(task)["State"]["Pid"], 5353):
        assert wait_for(lambda: ask("127.0.0.1", udp, "hello"), seconds=10) == "got hello"
    world.stop(task)
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection(("127.0.0.1", chosen), timeout=1).close()


def test_a_fixed_port_serves_one_task_of_a_host(world: World) -> None:
    chosen = free_port()
    definition = world.register(world.container(portMappings=[{"containerPort": 80, "hostPort": chosen}]))
    first = world.ecs.run_task(taskDefinition=definition)["tasks"][0]["taskArn"]
    reply = world.ecs.run_task(taskDefinition=definition)
    assert reply["tasks"] == []
    assert [failure["reason"] for failure in reply["failures"]] == ["RESOURCE:PORTS"]
    world.reaches(first, "RUNNING")
    world.stop(first)
    again = world.ecs.run_task(taskDefinition=definition)["tasks"][0]["taskArn"]
    world.reaches(again, "RUNNING")
    world.stop(again)


def test_links_hosts_and_name_servers_of_a_bridge_task(world: World) -> None:
    look = "cat /etc/hosts; cat /etc/resolv.conf; echo page=$(wget -qO- http://database:8080/); echo done; " + STAY
    task = world.run(
        world.container("store", SERVE.format(port=8080), hostname="store-host"),
        world.container(
            "main",
            "until wget -qO /dev/null http://database:8080/; do sleep 0.1; done 2>/dev/null; " + look,
            links=["store:database"],
            extraHosts=[
                {"hostname": "printer.example", "ipAddress": "192.0.2.7"},
                {"hostname": "six.example", "ipAddress": "2001:db8::7"},
            ],
            dnsServers=["192.0.2.53", "192.0.2.54"],
            dnsSearchDomains=["shop.example", "example"],
        ),
        world.container("alone", "ls /sys/class/net; echo done; " + STAY, disableNetworking=True),
    )
    world.reaches(task, "RUNNING")
    output = world.output(task, until="\ndone\n")
    lines = [line.split() for line in output.splitlines()]
    assert ["192.0.2.7", "printer.example"] in lines
    assert ["2001:db8::7", "six.example"] in lines
    assert [words for words in lines if words[:1] == ["nameserver"]] == [
        ["nameserver", "192.0.2.53"],
        ["nameserver", "192.0.2.54"],
    ]
    assert ["search", "shop.example", "example"] in lines
    assert "page=store-host" in output
    alone = world.output(task, "alone", until="done\n")
    assert alone.split()[0] == "lo"
    assert "eth0" not in alone
    assert world.inspect(task, "alone")["HostConfig"]["NetworkMode"] == "none"
    world.stop(task)


def test_the_hosts_network(world: World) -> None:
    port = free_port()
    task = world.run(
        world.container(
            script="echo net=$(readlink /proc/self/ns/net); echo name=$(hostname); echo done; "
            + SERVE.format(port=port),
            portMappings=[{"containerPort": port}],
        ),
        networkMode="host",
    )
    running = world.reaches(task, "RUNNING")
    assert bindings(running)[port, "tcp"]["hostPort"] == port
    assert fetch("127.0.0.1", port).strip() == socket.gethostname()
    facts = world.facts(task)
    assert facts["name"] == socket.gethostname()
    assert facts["net"] == _own_namespace("net")
    world.stop(task)


def test_no_network(world: World) -> None:
    task = world.run(
        world.container(script="echo devices=$(ls /sys/class/net); echo done; " + STAY), networkMode="none"
    )
    running = world.reaches(task, "RUNNING")
    assert "eth0" not in world.facts(task)["devices"]
    assert by_name(running)["main"]["networkBindings"] == []
    world.stop(task)


def test_the_hosts_processes_and_shared_memory(world: World) -> None:
    look = "echo pid=$(readlink /proc/self/ns/pid); echo ipc=$(readlink /proc/self/ns/ipc); echo self=$$; echo done; "
    hosts = world.run(world.container(script=look + STAY), pidMode="host", ipcMode="host")
    plain = world.run(world.container(script=look + STAY))
    none = world.run(world.container(script=look + "ls -d /dev/shm; " + STAY), ipcMode="none")
    for task in (hosts, plain, none):
        world.reaches(task, "RUNNING")
    facts = world.facts(hosts)
    assert facts["pid"] == _own_namespace("pid")
    assert facts["ipc"] == _own_namespace("ipc")
    assert int(facts["self"]) == world.inspect(hosts)["State"]["Pid"]
    other = world.facts(plain)
    assert other["pid"] != facts["pid"]
    assert other["ipc"] != facts["ipc"]
    assert other["self"] == "1"
    assert world.inspect(none)["HostConfig"]["IpcMode"] == "none"
    assert "No such file" in world.output(none, until="No such file")
    world.stop(hosts, plain, none)


def _own_namespace(kind: str) -> str:
    return str(Path(f"/proc/self/ns/{kind}").readlink())
