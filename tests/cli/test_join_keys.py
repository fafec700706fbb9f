"""The keys of other machines' agents, from ``join-key`` to their end, with a real agent."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from openecs.cli.client import CallError, Client
from openecs.cli.installation import Installation
from openecs.cli.supervisor import program


class Site:
    """A control plane without a machine of its own, and one other machine."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder / "home")
        self.agent_data = folder / "other"

    def openecs(self, *words: str) -> str:
        environ = {**os.environ, "OPENECS_DATA_DIR": str(self.installation.home)}
        done = subprocess.run(program(*words), env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def client(self) -> Client:
        return Client(self.installation.credentials())

    def nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.client.get("/_openecs/status")["nodes"]
        return nodes

    def connected(self) -> bool:
        return [node["agent_connected"] for node in self.nodes()] == [True]

    def instances(self) -> list[str]:
        arns: list[str] = self.client.call("ecs", "ListContainerInstances")["containerInstanceArns"]
        return arns

    @contextmanager
    def agent(self, pair: dict[str, str]) -> Iterator[None]:
        endpoint = self.installation.credentials().endpoint
        words = ("agent", "--endpoint", endpoint, "--runtime", "fake", "--data-dir", str(self.agent_data))
        process = subprocess.Popen(
            program(*words), env={**os.environ, **pair}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def pair_in(printed: str) -> dict[str, str]:
    found = dict(re.findall(r"^export (\w+)='?([^'\n]+)'?$", printed, re.MULTILINE))
    assert set(found) == {"OPENECS_AGENT_ACCESS_KEY_ID", "OPENECS_AGENT_SECRET_KEY"}
    return found


@pytest.fixture(scope="module", params=[(), ("--ephemeral",)], ids=["durable", "ephemeral"])
def site(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Each test leaves it without any key."""
    site = Site(tmp_path_factory.mktemp("site"))
    site.openecs("up", "--detach", "--port", "0", "--no-agent", "--runtime", "fake", *request.param)
    site.client.call("ecs", "CreateCluster")
    yield site
    site.openecs("down")


def test_a_key_from_its_making_to_its_end(site: Site) -> None:
    assert "No machine has a key" in site.openecs("join-key", "--list")
    first = pair_in(site.openecs("join-key"))
    key = first["OPENECS_AGENT_ACCESS_KEY_ID"]
    assert re.fullmatch(rf"{key}  \S+ \S+  not used yet\n", site.openecs("join-key", "--list"))
    with site.agent(first):
        wait_for(site.connected)
        (node,) = site.nodes()
        assert site.openecs("join-key", "--list").endswith(f"  {node['node_id']}\n")
        instances = site.instances()
        second = pair_in(site.openecs("join-key", "--replace", key))
        # The old key ends with the connection that it opened.
        wait_for(lambda: not site.connected())
    with site.agent(second):
        # The machine is the same, and still its own.
        wait_for(site.connected)
        assert site.instances() == instances
        assert [n["node_id"] for n in site.nodes()] == [node["node_id"]]
        replaced = second["OPENECS_AGENT_ACCESS_KEY_ID"]
        assert "is revoked" in site.openecs("join-key", "--revoke", replaced)
        wait_for(lambda: not site.connected())
        assert "No machine has a key" in site.openecs("join-key", "--list")


@pytest.mark.parametrize("path", ["revoke", "replace"])
@pytest.mark.parametrize("body", [{}, {"access_key_id": "AKIANOBODY"}, {"access_key_id": 1}])
def test_what_cannot_be_ended_is_refused(site: Site, path: str, body: dict[str, Any]) -> None:
    local = site.installation.layout().agent_credentials_file.read_text()
    root = site.installation.credentials().access_key_id
    mine = re.search(r"AKIA\w+", local)
    assert mine is not None
    for asked in (body, {"access_key_id": root}, {"access_key_id": mine[0]}):
        with pytest.raises(CallError) as refused:
            site.client.post(f"/_openecs/agent-keys/{path}", **asked)
        assert refused.value.status in (400, 404)
    assert site.client.get("/_openecs/agent-keys") == {"keys": []}
