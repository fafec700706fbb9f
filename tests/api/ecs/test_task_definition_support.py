"""The table of honoured and refused fields: complete, in force, and as documented."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect
from task_definition_kit import body, complete, container

from openecs.api.ecs.definition import support
from openecs.errors import AWSError
from openecs.shapes import ecs

ROOT = Path(__file__).resolve().parents[3]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("compatibility_table", ROOT / "tools" / "compatibility_table.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shape_paths(kind: inspect.Type, path: str) -> Iterator[str]:
    """Every path of the request, inner nodes and leaves."""
    if isinstance(kind, inspect.UnionType):
        (kind,) = (part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        if path:
            yield path
        for field in kind.fields:
            yield from shape_paths(field.type, f"{path}.{field.encode_name}" if path else field.encode_name)
    elif isinstance(kind, inspect.VarTupleType):
        yield path
        yield from shape_paths(kind.item_type, f"{path}[]")
    else:
        yield path


def test_the_table_says_something_of_every_field_and_of_nothing_else() -> None:
    every = set(shape_paths(inspect.type_info(ecs.RegisterTaskDefinitionRequest), ""))
    named = {field.path for field in support.FIELDS}
    assert len(named) == len(support.FIELDS)
    assert named <= every, "paths that the model does not have"
    leaves = {path for path in every if not any(other.startswith((f"{path}.", f"{path}[")) for other in every)}
    uncovered = {
        leaf for leaf in leaves if not any(leaf == path or leaf.startswith((f"{path}.", f"{path}[")) for path in named)
    }
    assert uncovered == set()


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (body(container(secrets=[{"name": "A", "valueFrom": "b"}])), "containerDefinitions[0].secrets"),
        (
            body(container(environmentFiles=[{"value": "arn", "type": "s3"}])),
            "containerDefinitions[0].environmentFiles",
        ),
        (body(container(repositoryCredentials={"credentialsParameter": "x"})), "repositoryCredentials"),
        (
            body(container(resourceRequirements=[{"type": "NeuronDevice", "value": "ALL"}])),
            "containerDefinitions[0].resourceRequirements[0].type NeuronDevice",
        ),
        (
            body(container(resourceRequirements=[{"type": "InferenceAccelerator", "value": "a"}])),
            "containerDefinitions[0].resourceRequirements[0].type InferenceAccelerator",
        ),
        (
            body(container(resourceRequirements=[{"type": "GPU", "value": "ALL"}])),
            "containerDefinitions[0].resourceRequirements[0].value ALL",
        ),
        (
            body(container(resourceRequirements=[{"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 512}}}])),
            "containerDefinitions[0].resourceRequirements[0].sharingStrategy",
        ),
        (body(container(credentialSpecs=["x"])), "credentialSpecs"),
        (
            body(container(), container(name="b", logConfiguration={"logDriver": "splunk"})),
            "containerDefinitions[1].logConfiguration.logDriver splunk",
        ),
        (
            body(
                container(logConfiguration={"logDriver": "syslog", "secretOptions": [{"name": "a", "valueFrom": "b"}]})
            ),
            "containerDefinitions[0].logConfiguration.secretOptions",
        ),
        (
            body(volumes=[{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs"}}]),
            "volumes[0].efsVolumeConfiguration",
        ),
        (
            body(volumes=[{"name": "v", "s3filesVolumeConfiguration": {"fileSystemArn": "fs"}}]),
            "s3filesVolumeConfiguration",
        ),
        (body(volumes=[{"name": "v", "configuredAtLaunch": True}]), "volumes[0].configuredAtLaunch"),
        (body(proxyConfiguration={"containerName": "web"}), "proxyConfiguration"),
        (body(inferenceAccelerators=[{"deviceName": "a", "deviceType": "b"}]), "inferenceAccelerators"),
        (body(ephemeralStorage={"sizeInGiB": 21}), "ephemeralStorage"),
        (body(enableFaultInjection=True), "enableFaultInjection"),
        (body(trustedExecutionConfiguration={"isolationMode": "SHARED"}), "trustedExecutionConfiguration"),
        (body(pidMode="task"), "pidMode task"),
        (body(ipcMode="task"), "ipcMode task"),
        (body(requiresCompatibilities=["MANAGED_INSTANCES"]), "requiresCompatibilities[0] MANAGED_INSTANCES"),
        (
            body(runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}),
            "runtimePlatform.operatingSystemFamily WINDOWS_SERVER_2022_CORE",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(data: dict[str, Any], path: str) -> None:
    with pytest.raises(AWSError) as caught:
        complete(data)
    assert caught.value.code == "ClientException"
    assert caught.value.message.endswith(f"{path} is not supported by OpenECS.")


def test_what_asks_for_nothing_is_accepted() -> None:
    nothing = container(
        secrets=[], environmentFiles=[], resourceRequirements=[], credentialSpecs=[], privileged=False,
        logConfiguration={"logDriver": "syslog", "secretOptions": []},
    )  # fmt: skip
    asked = body(nothing, enableFaultInjection=False, volumes=[{"name": "v", "configuredAtLaunch": False}])
    kept = msgspec.json.decode(msgspec.json.encode(complete(asked)))
    assert kept["containerDefinitions"][0]["secrets"] == []
    assert kept["enableFaultInjection"] is False


def test_every_windows_family_of_the_model_is_refused() -> None:
    families = set(ecs.OSFamily.__args__) - {"LINUX"}
    for family in families:
        with pytest.raises(AWSError, match=family):
            complete(body(runtimePlatform={"operatingSystemFamily": family}))


def test_the_document_is_what_the_table_gives() -> None:
    table = tool()
    text = table.DOCUMENT.read_text()
    assert table.render(text, table.examples_folder()) == text


def examples() -> list[Any]:
    table = tool()
    folder = table.examples_folder()
    return [
        pytest.param(kind, file, id=f"{kind}/{file.name}")
        for kind in table.KINDS
        for file in sorted((folder / kind).glob("*.json"))
    ]


def words_of(value: Any) -> Iterator[str]:
    """Names of members and values that a request itself contains."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from words_of(member)
    elif isinstance(value, list):
        for member in value:
            yield from words_of(member)


@pytest.mark.skipif(not tool().examples_folder().is_dir(), reason="the folder of real-world examples is not here")
@pytest.mark.parametrize(("kind", "file"), examples())
def test_real_world_requests_are_accepted_or_refused_by_field(kind: str, file: Path) -> None:
    refused = tool().outcome(kind, file.read_bytes())
    if refused is not None:
        assert refused.code in ("ClientException", "InvalidParameterException")
        known = {name.lower() for name in words_of(msgspec.json.decode(file.read_bytes()))} | {"executionrolearn"}
        assert any(name in refused.message.lower() for name in known)
