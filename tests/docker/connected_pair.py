"""A server and a client that calls it through Service Connect, for ever."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deployed_service import DeployedService, deployed
from docker_world import World
from waiting import wait_for

#: Serves its revision on ports 80 and 81, and something slow; ends at once when it is asked to.
SERVE = (
    "mkdir -p /tmp/www/cgi-bin; echo {} > /tmp/www/index.html; "
    "printf '#!/bin/sh\\nsleep 3\\nprintf \"Content-Type: text/plain\\r\\n\\r\\nslow\"\\n' > /tmp/www/cgi-bin/slow; "
    "chmod +x /tmp/www/cgi-bin/slow; "
    "httpd -f -p 80 -h /tmp/www & httpd -f -p 81 -h /tmp/www & trap 'exit 0' TERM; wait"
)
#: Calls by name for ever: one line for each answer, fast ones beside slow ones.
CALL = (
    "trap 'exit 0' TERM; "
    "echo timeout=$(wget -SO /dev/null http://web:8080/cgi-bin/slow 2>&1 | grep -o '50[0-9]' | head -n 1); "
    "while :; do echo $(wget -qO- http://raw:8080/cgi-bin/slow || echo failed-slow); done & "
    "while :; do wget -qO- http://web:8080/ || echo failed-http; wget -qO- http://raw:8080/ || echo failed-tcp; done"
)
PORTS = [
    {"containerPort": 80, "name": "web", "appProtocol": "http"},
    {"containerPort": 81, "name": "raw"},
]


class Pair:
    """A server and a client in a namespace of their own."""

    def __init__(self, world: World, server: DeployedService, client: DeployedService) -> None:
        self.server, self.client = server, client
        self.world = world
        self.subnet = world.installation.subnet()
        self.namespace = f"n{uuid.uuid4().hex[:8]}"
        cloud_map: Any = world.installation.client("servicediscovery", inject_host_prefix=False)
        cloud_map.create_http_namespace(Name=self.namespace)
        self.network = {"awsvpcConfiguration": {"subnets": [self.subnet]}}

    def definition(self, service: DeployedService, script: str, **members: Any) -> str:
        container = self.world.container(script=script, **members)
        return self.world.register(container, family=service.name, networkMode="awsvpc")

    def start(self) -> None:
        connect = {
            "enabled": True,
            "namespace": self.namespace,
            "services": [
                {
                    "portName": "web",
                    "clientAliases": [{"port": 8080, "dnsName": "web"}],
                    "timeout": {"perRequestTimeoutSeconds": 1},
                },
                {"portName": "raw", "clientAliases": [{"port": 8080, "dnsName": "raw"}], "ingressPortOverride": 8181},
            ],
        }
        self.server.create(
            self.definition(self.server, SERVE.format("first"), portMappings=PORTS),
            2,
            networkConfiguration=self.network,
            serviceConnectConfiguration=connect,
        )
        self.server.stable()
        self.client.create(
            self.definition(self.client, CALL),
            1,
            networkConfiguration=self.network,
            serviceConnectConfiguration={
                "enabled": True,
                "namespace": self.namespace,
                "logConfiguration": {"logDriver": "json-file"},
            },
        )
        self.client.stable()
        (task,) = self.client.tasks()
        self.task = task["taskArn"]
        self.container = self.world.runtime_id(task["taskArn"])

    def deploy(self, says: str) -> None:
        """Replace the servers by others that answer something else."""
        definition = self.definition(self.server, SERVE.format(says), portMappings=PORTS)
        self.server.ends(self.server.update(taskDefinition=definition), "SUCCESSFUL")
        self.server.nothing_stray()

    def answers(self) -> Counter[str]:
        return Counter(self.world.engine.output(self.container).splitlines())

    def answered(self, line: str, more: int = 50) -> None:
        """Wait for some more of these answers."""
        before = self.answers()[line]
        try:
            wait_for(lambda: self.answers()[line] >= before + more, seconds=30, what=f"{more} answers {line!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.answers().most_common(20)}") from None


@contextmanager
def connected_pair(world: World) -> Iterator[Pair]:
    """Both services, started; gone at the end."""
    with deployed(world) as client, deployed(world) as server:
        made = Pair(world, server, client)
        made.start()
        yield made
