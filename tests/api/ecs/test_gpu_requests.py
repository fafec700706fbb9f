"""GPUs through the API: definitions, overrides, container instances, and what tasks show."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from task_definition_kit import body, complete, container, fargate_body
from test_container_instances import World as Machines
from test_run_tasks import Api

from openecs.errors import AWSError
from openecs.shapes import ecs

TWO = [{"type": "GPU", "value": "2"}]


def asking(requirements: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return body(container(resourceRequirements=requirements), **changes)


def test_a_definition_keeps_what_was_asked() -> None:
    kept = complete(asking(TWO))
    shown = msgspec.json.decode(msgspec.json.encode(kept))
    assert shown["containerDefinitions"][0]["resourceRequirements"] == TWO
    assert kept.compatibilities == ("EXTERNAL", "EC2")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "01", "two", "", " 1", "1000000000", None])
def test_only_whole_gpus_are_counted(value: str | None) -> None:
    requirement = {"type": "GPU"} if value is None else {"type": "GPU", "value": value}
    with pytest.raises(AWSError, match="setting for container 'web'"):
        complete(asking([requirement]))


def test_a_type_is_given_once() -> None:
    with pytest.raises(AWSError, match="Resource type GPU is given more than once"):
        complete(asking([*TWO, *TWO]))


def test_fargate_has_none() -> None:
    with pytest.raises(AWSError, match="Fargate compatible task definitions do not support resourceRequirements"):
        complete(fargate_body(container(memory=None, resourceRequirements=TWO)))
    # Without a word about Fargate the definition suits everything else.
    fitting = asking(TWO, networkMode="awsvpc", cpu="256", memory="512")
    assert complete(fitting).compatibilities == ("EC2",)


@pytest.fixture
def api() -> Api:
    api = Api()
    api.define("gpu", container={"resourceRequirements": TWO}, compatibilities=["EXTERNAL", "EC2"])
    arn = api.machine("m1")
    node = api.state.nodes.get("m1")
    assert node is not None
    api.put(msgspec.structs.replace(node, gpus=("GPU-a", "GPU-b", "GPU-c")))
    assert arn
    return api


def override(*requirements: dict[str, Any]) -> dict[str, Any]:
    return {"containerOverrides": [{"name": "app", "resourceRequirements": list(requirements)}]}


def test_a_task_shows_its_gpus(api: Api) -> None:
    (task,) = api.run("gpu")["tasks"]
    assert [c["gpuIds"] for c in task["containers"]] == [["GPU-a", "GPU-b"]]
    (plain,) = api.run("web")["tasks"]
    assert "gpuIds" not in plain["containers"][0]
    (described,) = api("DescribeTasks", tasks=[task["taskArn"]])["tasks"]
    assert described["containers"][0]["gpuIds"] == ["GPU-a", "GPU-b"]
    assert [f["reason"] for f in api.run("gpu")["failures"]] == ["RESOURCE:GPU"]


def test_an_override_asks_instead(api: Api) -> None:
    (task,) = api.run("gpu", overrides=override({"type": "GPU", "value": "1"}))["tasks"]
    assert task["containers"][0]["gpuIds"] == ["GPU-a"]
    instance = api.state.container_instances.by("node", "m1")[0].arn
    answer = api("StartTask", taskDefinition="web", containerInstances=[instance], overrides=override(*TWO))
    assert answer["tasks"][0]["containers"][0]["gpuIds"] == ["GPU-b", "GPU-c"]
    answer = api("StartTask", taskDefinition="gpu", containerInstances=[instance])
    assert [f["reason"] for f in answer["failures"]] == ["RESOURCE:GPU"]


@pytest.mark.parametrize(
    ("requirement", "text"),
    [
        ({"type": "GPU", "value": "0"}, "Invalid 'resourceRequirements' override for container 'app'."),
        ({"type": "GPU", "value": "ALL"}, r"resourceRequirements\[0\].value ALL is not supported"),
        ({"type": "NeuronDevice", "value": "1"}, r"resourceRequirements\[0\].type NeuronDevice is not supported"),
        ({"type": "InferenceAccelerator", "value": "a"}, "type InferenceAccelerator is not supported"),
        ({"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 5}}}, "sharingStrategy is not supported"),
    ],
)
def test_overrides_that_cannot_be_honoured_start_nothing(api: Api, requirement: dict[str, Any], text: str) -> None:
    with pytest.raises(AWSError, match=text):
        api.run("web", overrides=override(requirement))
    assert not list(api.state.tasks)


def test_a_fargate_task_cannot_be_given_one(api: Api) -> None:
    with pytest.raises(AWSError, match="Fargate launch type do not support GPU"):
        api.run("web", launchType="FARGATE", overrides=override(*TWO))


def gpus(*ids: str) -> tuple[ecs.PlatformDevice, ...]:
    return tuple(ecs.PlatformDevice(id=one, type="GPU") for one in ids)


def test_a_container_instance_shows_its_gpus() -> None:
    machines = Machines()
    instance = machines.register(platform_devices=gpus("GPU-a", "GPU-b"))
    for resources in (instance.registered_resources, instance.remaining_resources):
        (shown,) = [r for r in resources or () if r.name == "GPU"]
        assert (shown.type, shown.string_set_value) == ("STRINGSET", ("GPU-a", "GPU-b"))
    again = machines.register(container_instance_arn=instance.container_instance_arn)
    assert "GPU" not in {r.name for r in again.registered_resources or ()}


@pytest.mark.parametrize(
    "devices",
    [
        gpus("GPU-a", "GPU-a"),
        gpus(""),
        gpus("a,b"),
        gpus("a b"),
        gpus("a" * 129),
        (ecs.PlatformDevice(id="0", type="NEURON_DEVICE"),),
    ],
)
def test_devices_that_cannot_be_are_refused(devices: tuple[ecs.PlatformDevice, ...]) -> None:
    machines = Machines()
    with pytest.raises(AWSError):
        machines.register(platform_devices=devices)
    assert not list(machines.state.nodes)
