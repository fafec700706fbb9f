from __future__ import annotations

from typing import Any

import pytest

from openecs.api.ecs.attributes import Attributes
from openecs.errors import AWSError
from openecs.ids import SeededIds
from openecs.model.cluster import Cluster
from openecs.model.node import ContainerInstance
from openecs.shapes import ecs
from openecs.state.journal.memory import MemoryJournal
from openecs.state.state import State
from openecs.wire.call import Call, Principal
from openecs.wire.pagination import Pagination

BASE = "arn:aws:ecs:us-east-1:111122223333:"
INSTANCES = [f"{BASE}container-instance/default/i{n}" for n in range(2)]
ROOT = Principal(arn="arn:aws:iam::111122223333:root", kind="root", access_key_id="AKIA0")


class World:
    def __init__(self) -> None:
        self.state = State(MemoryJournal())
        self.api = Attributes(self.state, Pagination(b"0123456789abcdef"))
        cluster = f"{BASE}cluster/default"
        with self.state.transaction() as tx:
            tx.put(Cluster(arn=cluster, name="default", region="us-east-1", status="ACTIVE", created_at=1.0))
            for arn in INSTANCES:
                tx.put(
                    ContainerInstance(
                        arn=arn,
                        cluster_arn=cluster,
                        region="us-east-1",
                        node_id=arn,
                        status="ACTIVE",
                        registered_at=1.0,
                        attributes=(ecs.Attribute(name="ecs.os-type", value="linux"),),
                    )
                )

    def __call__(self, operation: str, request: Any) -> Any:
        call = Call(
            service="ecs",
            operation=operation,
            request_id="r",
            account="111122223333",
            region="us-east-1",
            principal=ROOT,
            now=100.0,
            ids=SeededIds(),
            endpoint="http://127.0.0.1:4566",
        )
        return self.api.handlers()[operation](call, request)

    def put(self, *attributes: ecs.Attribute) -> Any:
        return self("PutAttributes", ecs.PutAttributesRequest(attributes=attributes)).attributes

    def delete(self, *attributes: ecs.Attribute) -> Any:
        return self("DeleteAttributes", ecs.DeleteAttributesRequest(attributes=attributes)).attributes

    def listed(self, **members: Any) -> ecs.ListAttributesResponse:
        reply: ecs.ListAttributesResponse = self(
            "ListAttributes", ecs.ListAttributesRequest(target_type="container-instance", **members)
        )
        return reply

    def of(self, arn: str) -> dict[str, str | None]:
        found = self.state.container_instances.get(arn)
        assert found is not None
        return {a.name: a.value for a in found.attributes}


@pytest.fixture
def world() -> World:
    return World()


def attribute(name: str, value: str | None = None, target: str | None = "i0") -> ecs.Attribute:
    return ecs.Attribute(name=name, value=value, target_type="container-instance", target_id=target)


def test_put_list_delete(world: World) -> None:
    put = world.put(attribute("stack", "production"), attribute("stack", "test", INSTANCES[1]), attribute("flag"))
    assert put[0] == ecs.Attribute(name="stack", value="production", target_id=INSTANCES[0])
    assert world.of(INSTANCES[0]) == {"ecs.os-type": "linux", "stack": "production", "flag": None}
    found = world.listed(attribute_name="stack").attributes
    assert found is not None
    assert [(a.target_id, a.value) for a in found] == [(INSTANCES[0], "production"), (INSTANCES[1], "test")]
    assert len(world.listed(attribute_name="stack", attribute_value="test").attributes or ()) == 1
    world.put(attribute("stack", "other"))
    assert world.of(INSTANCES[0])["stack"] == "other"
    assert world.delete(attribute("stack", "wrong"), attribute("nothing")) == ()
    assert world.delete(attribute("stack")) == (ecs.Attribute(name="stack", value="other", target_id=INSTANCES[0]),)
    assert "stack" not in world.of(INSTANCES[0])
    assert world.of(INSTANCES[1])["stack"] == "test"


def test_pages(world: World) -> None:
    world.put(*(attribute(f"a{n}", target=f"i{n % 2}") for n in range(7)))
    seen: list[tuple[str | None, str]] = []
    token = None
    while True:
        page = world.listed(max_results=4, next_token=token)
        seen += [(a.target_id, a.name) for a in page.attributes or ()]
        token = page.next_token
        if token is None:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 9


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ([], "InvalidParameterException"),
        ([attribute("x")] * 11, "InvalidParameterException"),
        ([attribute("ecs.os-type", "windows")], "InvalidParameterException"),
        ([attribute("openecs.node-id", "y")], "InvalidParameterException"),
        ([attribute("sp ace")], "InvalidParameterException"),
        ([attribute("x", " y")], "InvalidParameterException"),
        ([attribute("x", target=None)], "InvalidParameterException"),
        ([attribute("x", target="nobody")], "TargetNotFoundException"),
        ([attribute("fine"), attribute("x", target="nobody")], "TargetNotFoundException"),
    ],
)
def test_refusals_change_nothing(world: World, attributes: list[ecs.Attribute], code: str) -> None:
    revision = world.state.store.revision
    with pytest.raises(AWSError) as caught:
        world.put(*attributes)
    assert caught.value.code == code
    assert world.state.store.revision == revision


def test_ten_custom_attributes_an_instance(world: World) -> None:
    world.put(*(attribute(f"a{n}") for n in range(10)))
    world.put(attribute("a3", "new"))
    with pytest.raises(AWSError) as caught:
        world.put(attribute("eleven"))
    assert caught.value.code == "AttributeLimitExceededException"
    assert "eleven" not in world.of(INSTANCES[0])


def test_a_value_needs_a_name(world: World) -> None:
    with pytest.raises(AWSError) as caught:
        world.listed(attribute_value="x")
    assert caught.value.code == "InvalidParameterException"
