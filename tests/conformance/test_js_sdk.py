"""The AWS SDK for JavaScript v3 against an installation: paginators, waiters, error classes.

The SDK comes from npm, pinned by ``js/package-lock.json``, into ``js/node_modules``.
``OPENECS_TEST_NO_NODE=1`` leaves these tests out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from conformance_support import Installation

NO_NODE = "OPENECS_TEST_NO_NODE"
FOLDER = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def node() -> str:
    """The path of ``node``, with the SDK installed; a failure with a clear message without."""
    if os.environ.get(NO_NODE) == "1":
        pytest.skip(f"{NO_NODE}=1")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail(
            f"node and npm are needed for these tests (apt-get install nodejs npm); {NO_NODE}=1 leaves them out.",
            pytrace=False,
        )
    lock = FOLDER / "package-lock.json"
    stamp = FOLDER / "node_modules" / ".installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    # Several test processes share the folder.
    with (Path(tempfile.gettempdir()) / "openecs-test-npm.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            done = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                cwd=FOLDER,
                capture_output=True,
                text=True,
                timeout=110,
                check=False,
            )
            if done.returncode != 0:
                pytest.fail(
                    f"npm could not install the SDK; {NO_NODE}=1 leaves these tests out.\n{done.stderr}", pytrace=False
                )
            stamp.write_text(wanted)
    return node


class Journeys:
    """Runs the script's journeys in one region."""

    def __init__(self, installation: Installation, node: str) -> None:
        self._installation = installation
        self._node = node

    def __call__(
        self, journey: str, name: str, region: str = "us-east-1", script: str = "journey.mjs"
    ) -> dict[str, Any]:
        environ = {**self._installation.client_environ(), "AWS_REGION": region}
        done = subprocess.run(
            [self._node, str(FOLDER / script), journey, name],
            env=environ,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen


@pytest.fixture
def journey(fake: Installation, node: str) -> Journeys:
    return Journeys(fake, node)


def test_paginators_list_everything_once(journey: Journeys, name: str) -> None:
    seen = journey("pages", name, region=name)
    assert [len(page) for page in seen["clusters"]] == [2, 2, 1]
    assert [arn.rpartition("/")[2] for page in seen["clusters"] for arn in page] == [f"{name}-{n}" for n in range(5)]
    assert [arn.rpartition(":")[2] for page in seen["definitions"] for arn in page] == ["1", "2", "3", "4", "5"]
    assert [arn.rpartition("/")[2] for page in seen["services"] for arn in page] == ["s0", "s1", "s2"]


def test_a_task_with_its_waiters(journey: Journeys, name: str) -> None:
    seen = journey("task", name)
    assert (seen["running"], seen["stopped"], seen["reason"]) == ("SUCCESS", "SUCCESS", "enough")
    assert seen["registeredAtIsDate"]
    assert seen["stoppedAtIsDate"]
    assert "FAILURE" in seen["again"]["message"]


def test_a_service_with_its_waiters(journey: Journeys, name: str) -> None:
    seen = journey("service", name)
    assert seen["states"] == ["SUCCESS", "SUCCESS", "SUCCESS"]
    assert (len(seen["before"]), len(seen["after"])) == (2, 1)
    assert not set(seen["before"]) & set(seen["after"])
    assert seen["status"] == "INACTIVE"
    assert "FAILURE" in seen["missing"]["message"]


def test_errors_are_of_the_sdks_classes(journey: Journeys, name: str) -> None:
    seen = journey("errors", name)
    cluster = seen["cluster"]
    assert cluster["clusterNotFound"]
    assert (cluster["name"], cluster["message"]) == ("ClusterNotFoundException", "Cluster not found.")
    assert (cluster["fault"], cluster["status"]) == ("client", 400)
    assert cluster["requestId"]
    assert seen["notBuilt"]["name"] == "UnsupportedOperationException"
    assert "ExecuteCommand" in seen["notBuilt"]["message"]
    assert seen["notBuilt"]["ofService"]
    assert seen["signature"]["name"] == "InvalidSignatureException"


def test_ec2_in_xml(journey: Journeys, name: str) -> None:
    seen = journey("ec2", "172.31", region=name, script="networks.mjs")
    assert (seen["waited"], seen["tags"], seen["isDefault"]) == ("SUCCESS", ["a & b <é>"], False)
    assert seen["associations"] == ["associated"]
    missing = seen["missing"]
    assert (missing["name"], missing["status"]) == ("InvalidVpcID.NotFound", 400)
    assert missing["message"].startswith("The vpc ID 'vpc-")
    assert missing["requestId"]


def test_load_balancing_in_xml(journey: Journeys, name: str) -> None:
    seen = journey("elbv2", name, region=name, script="networks.mjs")
    assert seen["createdAtIsDate"]
    assert seen["pages"] == [["a", "b"], ["c"]]
    assert seen["response"] == {"StatusCode": "404", "ContentType": "text/plain"}
    assert seen["notFound"]


@pytest.mark.parametrize(("kind", "body"), [("json", "application/x-amz-json-1.1"), ("cbor", "application/cbor")])
def test_cloud_map_in_json_and_in_cbor(journey: Journeys, name: str, kind: str, body: str) -> None:
    seen = journey("servicediscovery", kind, region=name, script="networks.mjs")
    assert seen["bodies"] == [body]
    assert seen["createdAtIsDate"]
    attributes = seen["attributes"]
    assert (attributes["AWS_INSTANCE_IPV4"], attributes["version"]) == ("10.0.0.7", "1 a")
    assert seen["notFound"]
