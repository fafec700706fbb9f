"""Task definitions with a log router."""

from __future__ import annotations

from typing import Any

import pytest
from task_definition_kit import body, complete, container, fargate_body

from openecs.errors import AWSError

ROUTER = {"name": "router", "firelensConfiguration": {"type": "fluentbit"}}
TO_ROUTER = {"logDriver": "awsfirelens", "options": {"Name": "cloudwatch", "log-driver-buffer-limit": "1"}}


def router(**options: str) -> dict[str, Any]:
    return container(**ROUTER | {"firelensConfiguration": {"type": "fluentbit", "options": options}})


def to_router(**options: str) -> dict[str, Any]:
    return container(logConfiguration={"logDriver": "awsfirelens", "options": options})


def test_a_router_asks_for_hosts_that_know_it() -> None:
    file = {"config-file-type": "file", "config-file-value": "/x.conf", "enable-ecs-log-metadata": "false"}
    found = complete(body(router(**file), container(logConfiguration=TO_ROUTER), networkMode="awsvpc"))
    names = {attribute.name for attribute in found.requires_attributes or ()}
    assert names >= {
        "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
        "ecs.capability.logging-driver.awsfirelens.log-driver-buffer-limit",
        "ecs.capability.firelens.fluentbit",
        "ecs.capability.firelens.options.config.file",
    }
    assert found.container_definitions[0].firelens_configuration is not None
    assert found.container_definitions[0].firelens_configuration.options == file


def test_a_router_on_fargate() -> None:
    containers = (container(memory=None, **ROUTER), container(memory=None, logConfiguration=TO_ROUTER))
    assert "FARGATE" in (complete(fargate_body(*containers)).compatibilities or ())


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ((container(logConfiguration=TO_ROUTER),), "requires a container with a firelensConfiguration"),
        ((container(**ROUTER), container(**ROUTER | {"name": "two"})), "only one container"),
        ((container(**ROUTER, logConfiguration=TO_ROUTER),), "cannot log to itself"),
        ((router(**{"config-file-type": "s3", "config-file-value": "arn:aws:s3:::b/x"}),), "no object store"),
        ((router(**{"config-file-type": "ftp", "config-file-value": "/x"}),), "'file' or 's3'"),
        ((router(**{"config-file-type": "file"}),), "together with config-file-value"),
        ((router(**{"config-file-value": "/x"}),), "together with config-file-value"),
        ((router(**{"config-file-type": "file", "config-file-value": "x"}),), "absolute path"),
        ((router(**{"enable-ecs-log-metadata": "yes"}),), "'true' or 'false'"),
        ((router(other="x"),), "Unknown options: other"),
        ((container(**ROUTER), to_router(a="b\n[OUTPUT]")), "one line each"),
        ((container(**ROUTER), to_router(**{"log-driver-buffer-limit": "1m"})), "a number of bytes"),
    ],
)
def test_what_is_refused(containers: tuple[dict[str, Any], ...], words: str) -> None:
    with pytest.raises(AWSError) as refused:
        complete(body(*containers))
    assert refused.value.code == "ClientException"
    assert words in refused.value.message
