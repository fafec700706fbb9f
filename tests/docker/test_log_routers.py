"""FireLens on the real engine: a log router of ours shows what it was configured with and what reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docker_world import STAY, World
from waiting import wait_for

#: Shows its configuration, then what comes over the socket and over TCP, with the host's own Python.
ROUTER = """
import signal, socket, sys, threading
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(open(sys.argv[1]).read(), flush=True)
local = socket.socket(socket.AF_UNIX); local.bind("/var/run/fluent.sock")
tcp = socket.create_server((sys.argv[2], 24224))
def serve(listener):
    listener.listen()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=show, args=(connection,), daemon=True).start()
def show(connection):
    while data := connection.recv(65536):
        print("got", data.hex(), flush=True)
threading.Thread(target=serve, args=(tcp,), daemon=True).start()
serve(local)
"""
HOST = [name for name in ("/usr", "/lib", "/lib64", "/bin") if Path(name).exists()]


def router(world: World, listen: str, kind: str = "fluentbit", **options: str) -> dict[str, Any]:
    target = {"fluentbit": "/fluent-bit/etc/fluent-bit.conf", "fluentd": "/fluentd/etc/fluent.conf"}[kind]
    return world.container(
        "router",
        command=["/usr/bin/python3", "-c", ROUTER, target, listen],
        firelensConfiguration={"type": kind, "options": options},
        mountPoints=[{"sourceVolume": f"v{n}", "containerPath": path} for n, path in enumerate(HOST)],
        essential=True,
    )


VOLUMES = [{"name": f"v{n}", "host": {"sourcePath": path}} for n, path in enumerate(HOST)]


def to_router(**options: str) -> dict[str, Any]:
    return {"logDriver": "awsfirelens", "options": options}


def said(world: World, task: str, name: str) -> str:
    (container,) = (
        c for c in world.engine.containers_of(task) if c["Labels"]["com.amazonaws.ecs.container-name"] == name
    )
    return world.engine.output(container["Id"])


def got(world: World, task: str) -> bytes:
    lines = said(world, task, "router").splitlines()
    return b"".join(bytes.fromhex(line.removeprefix("got ")) for line in lines if line.startswith("got "))


@pytest.mark.parametrize(("mode", "listen"), [("bridge", "0.0.0.0"), ("awsvpc", "127.0.0.1")])
def test_lines_reach_the_router_by_its_socket_and_over_tcp(world: World, mode: str, listen: str) -> None:
    network = {}
    if mode == "awsvpc":
        network = {"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}}
    own = to_router(Name="stdout", **{"log-driver-buffer-limit": "1048576"})
    main = world.container(
        script=f"echo by the driver; echo by tcp | nc $FLUENT_HOST $FLUENT_PORT; {STAY}", logConfiguration=own
    )
    task = world.run(main, router(world, listen), networkMode=mode, volumes=VOLUMES, run=network)
    world.reaches(task, "RUNNING")
    short = task.rpartition("/")[2]
    wait_for(lambda: b"by the driver" in got(world, task), seconds=20, what="the line in the router")
    assert f"main-firelens-{short}".encode() in got(world, task)
    wait_for(lambda: b"by tcp" in got(world, task), seconds=20, what="the line over TCP")
    text = said(world, task, "router")
    assert "unix_path /var/run/fluent.sock" in text
    assert f"Listen {listen}" in text
    assert f"Record ecs_task_arn {task}" in text
    assert "Name stdout\n    Match main-firelens*" in text
    (container,) = (
        c for c in world.engine.containers_of(task) if c["Labels"]["com.amazonaws.ecs.container-name"] == "main"
    )
    log = world.engine.inspect(container["Id"])["HostConfig"]["LogConfig"]
    assert (log["Type"], log["Config"]["fluentd-buffer-limit"]) == ("fluentd", "1048576")
    world.stop(task)
    # The router goes last, so that it has the others' last lines.
    ended = {
        one["Labels"]["com.amazonaws.ecs.container-name"]: world.engine.inspect(one["Id"])["State"]["FinishedAt"]
        for one in world.engine.containers_of(task)
        if "com.amazonaws.ecs.container-name" in one["Labels"]
    }
    assert ended["main"] < ended["router"]


def test_fluentd_on_a_fargate_like_task(world: World) -> None:
    task = world.run(
        world.container(
            script=f"echo hello; {STAY}", logConfiguration=to_router(**{"@type": "stdout", "exclude-pattern": "^x"})
        ),
        router(world, "127.0.0.1", "fluentd", **{"enable-ecs-log-metadata": "false"}),
        networkMode="awsvpc",
        volumes=VOLUMES,
        run={"networkConfiguration": {"awsvpcConfiguration": {"subnets": [world.installation.subnet()]}}},
    )
    world.reaches(task, "RUNNING")
    wait_for(lambda: b"hello" in got(world, task), seconds=20, what="the line in the router")
    text = said(world, task, "router")
    assert "<match main-firelens**>\n    @type stdout\n</match>" in text
    assert "ecs_cluster" not in text
    assert "pattern ^x" in text
    world.stop(task)
