"""Comparing a reply with the one that a page documents, and the differences that are meant.

Compared are names and JSON types, not values: a member that the page shows must be in the
reply, with the same type.  Of the objects in a list, what one has, some object of the reply's
list must have.
"""

from __future__ import annotations

import re
from typing import Any

#: (example, path), both regular expressions → why the documented member is not in the reply.
EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (
        r"ecs/(create-service#[13]|update-service#[1245])",
        r"\$\.service\.roleArn",
        "AWS shows the service-linked role of IAM, which OpenECS does not have: its scheduler needs no role.",
    ),
    (
        r"ecs/(deregister-container-instance|describe-container-instances|update-container-instances-state)#1",
        r"\$\.containerInstances?(\[\])?\.ec2InstanceId",
        "The machine is no EC2 instance, and an id is not made up.",
    ),
    (
        r"ecs/(describe-clusters#2|create-cluster#2|put-cluster-capacity-providers#[13])",
        r"\$\.clusters?(\[\])?\.attachments",
        "AWS lists scaling policies that it makes for Auto Scaling groups; OpenECS makes none.",
    ),
    (
        r"ecs/put-cluster-capacity-providers#3",
        r"\$\.cluster\.attachmentsStatus",
        "The cluster has no capacity provider any more, so there is no status of them.",
    ),
    (
        r"ecs/describe-tasks#2",
        r"\$\.tasks\[\]\.ephemeralStorage",
        "On AWS every Fargate task has 20 GiB; here nothing limits what a task writes, so no size is shown.",
    ),
    (
        r"ecs/run-task#1",
        r"\$\.tasks\[\]\.capacityProviderName",
        "The page's cluster has a default strategy; here the task was started by its launch type.",
    ),
    (
        r"ecs/describe-service-revisions#1",
        r"\$\.serviceRevisions\[\]\.serviceConnectConfiguration",
        "The page's service is in a namespace; the one that is made for the example is not.",
    ),
    (
        r"ecs/update-cluster#1",
        r"\$\.cluster\.serviceConnectDefaults",
        "The page's cluster has a namespace for Service Connect.",
    ),
    (
        r"ecs/update-cluster#[12]",
        r"\$\.cluster\.(capacityProviders|defaultCapacityProviderStrategy|attachments|attachmentsStatus)",
        "The page's cluster has capacity providers, and AWS lists what it makes for these and for Service Connect.",
    ),
    (
        r"ecs/update-service#[25]",
        r"\$\.service\.deployments\[\]\.taskkDefinition",
        "A slip of the page: the member is taskDefinition.",
    ),
    (
        r"ecs/update-service#4",
        r"\$\.service\.deployments\[\]\.volumeConfigurations",
        "Volume configurations are refused, so no service has one.",
    ),
)


def differences(documented: Any, got: Any, path: str = "$") -> list[str]:
    """What the reply lacks, as ``path: what``."""
    if isinstance(documented, dict):
        if not isinstance(got, dict):
            return [f"{path}: an object is documented, the reply has {_kind(got)}"]
        found: list[str] = []
        for name, value in documented.items():
            if name in got:
                found += differences(value, got[name], f"{path}.{name}")
            else:
                found.append(f"{path}.{name}: absent")
        return found
    if isinstance(documented, list):
        if not isinstance(got, list):
            return [f"{path}: a list is documented, the reply has {_kind(got)}"]
        if documented and not got:
            return [f"{path}: the documented list has items, the reply's has none"]
        found = []
        for item in documented:
            # The best match counts: items are of several kinds, and in any order.
            tries = [differences(item, other, f"{path}[]") for other in got]
            found += min(tries, key=len)
        return list(dict.fromkeys(found))
    if _kind(documented) != _kind(got) and not _timestamps(documented, got):
        return [f"{path}: {_kind(documented)} is documented, the reply has {_kind(got)}"]
    return []


def unexplained(example: str, found: list[str]) -> list[str]:
    """The differences that the table has no reason for, and the table's that are none any more."""
    paths = {difference: difference.partition(":")[0] for difference in found}
    expected = [path for page, path, _ in EXPLAINED if re.fullmatch(page, example)]
    unexpected = [text for text, at in paths.items() if not any(re.fullmatch(path, at) for path in expected)]
    gone = [path for path in expected if not any(re.fullmatch(path, at) for at in paths.values())]
    return unexpected + [f"{path}: no difference any more, take it out of the table" for path in gone]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return {dict: "an object", list: "a list"}.get(type(value), "null")


def _timestamps(documented: Any, got: Any) -> bool:
    """Pages show times as the CLI v1 prints them (numbers) or as v2 does (ISO 8601)."""
    return (
        isinstance(documented, str)
        and re.match(r"\d{4}-\d\d-\d\dT", documented) is not None
        and _kind(got) == "a number"
    )
