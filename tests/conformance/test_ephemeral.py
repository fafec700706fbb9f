"""Ephemeral installations: nothing on disk, and a reset that leaves a machine as if just started."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from conformance_support import Installation, wait_for

CONTAINER = {"name": "main", "image": "busybox", "memory": 16}


@pytest.fixture(scope="module")
def ephemeral(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("ephemeral"), "--runtime", "fake", "--ephemeral")
    installation.up()
    yield installation
    installation.down()


def post(installation: Installation, path: str) -> int:
    keys = installation.credentials
    request = AWSRequest("POST", keys["AWS_ENDPOINT_URL"] + path, data=b"")
    SigV4Auth(Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]), "ecs", "us-east-1").add_auth(
        request
    )
    prepared = request.prepare()
    plain = urllib.request.Request(prepared.url, data=b"", headers=dict(prepared.headers.items()), method="POST")
    return status_of(plain)


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            status: int = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    return status


def test_reset_wipes_everything_and_tasks_run_again_at_once(ephemeral: Installation) -> None:
    ecs: Any = ephemeral.client("ecs")
    logs: Any = ephemeral.client("logs")
    for _ in range(2):
        assert ecs.list_task_definition_families()["families"] == []
        ecs.create_cluster(clusterName="mine")
        ecs.register_task_definition(family="f", containerDefinitions=[CONTAINER])
        ecs.create_service(serviceName="s", taskDefinition="f", desiredCount=2)
        logs.create_log_group(logGroupName="g")
        (task,) = ecs.run_task(taskDefinition="f")["tasks"]
        assert task["taskDefinitionArn"].endswith(":task-definition/f:1")
        wait_for(lambda: ecs.describe_services(services=["s"])["services"][0]["runningCount"] == 2)
        assert post(ephemeral, "/_openecs/reset") == 200
        assert ecs.list_services()["serviceArns"] == []
        assert ecs.list_tasks()["taskArns"] == ecs.list_tasks(desiredStatus="STOPPED")["taskArns"] == []
        assert logs.describe_log_groups()["logGroups"] == []
        assert [arn.rsplit("/", 1)[-1] for arn in ecs.list_clusters()["clusterArns"]] == ["default"]
        assert len(ecs.list_container_instances()["containerInstanceArns"]) == 1


def test_nothing_durable_is_on_disk(ephemeral: Installation) -> None:
    names = {path.name for path in ephemeral.home.rglob("*") if path.is_file()}
    assert not names & {"journal.db", "master.key", "catalogue.sqlite"}


def test_a_durable_installation_cannot_be_reset(fake: Installation) -> None:
    assert post(fake, "/_openecs/reset") == 400


def test_reset_needs_a_signature(ephemeral: Installation) -> None:
    request = urllib.request.Request(ephemeral.credentials["AWS_ENDPOINT_URL"] + "/_openecs/reset", data=b"")
    assert status_of(request) in (400, 403)
    assert ephemeral.client("ecs").list_clusters()["clusterArns"]
