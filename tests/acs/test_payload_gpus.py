"""How the agent is told which GPUs a container has."""

from __future__ import annotations

import json

import msgspec
from test_payload import AROUND, definition, task

from openecs.acs.payload import render_task
from openecs.shapes import ecs


def test_each_gpu_is_an_association_with_one_container() -> None:
    shape = definition(ecs.ContainerDefinition(name="a"), ecs.ContainerDefinition(name="b"))
    plain = task(shape)
    first, second = plain.containers
    first = msgspec.structs.replace(first, gpu_ids=("GPU-1", "GPU-2"))
    owning = msgspec.structs.replace(plain, containers=(first, msgspec.structs.replace(second, gpu_ids=("GPU-3",))))
    sent = json.loads(msgspec.json.encode(render_task(owning, shape, AROUND)))
    nothing = {"encoding": "base64", "value": ""}
    assert sent["associations"] == [
        {"name": "GPU-1", "containers": ["a"], "content": nothing, "type": "gpu"},
        {"name": "GPU-2", "containers": ["a"], "content": nothing, "type": "gpu"},
        {"name": "GPU-3", "containers": ["b"], "content": nothing, "type": "gpu"},
    ]
    assert json.loads(msgspec.json.encode(render_task(plain, shape, AROUND)))["associations"] == []
