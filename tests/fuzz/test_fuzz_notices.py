"""The fuzzing itself: its checks notice the mistakes that they are there for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fuzz_plane import Plane
from fuzz_world import World
from test_fuzz_operations import SERVICES, check

from openecs.errors import invalid_parameter
from openecs.shapes import ecs
from openecs.wire.call import Call
from openecs.wire.gateway import Gateway
from openecs.wire.served import ServedService


def replaced(plane: Plane, handler: Any) -> None:
    """Have DeleteCluster done by another handler."""
    handlers = {**plane.served["ecs"].handlers, "DeleteCluster": handler}
    served = {**plane.served, "ecs": ServedService(SERVICES["ecs"], handlers)}
    old = plane.gateway
    plane.gateway = Gateway(
        services=served,
        verifier=old._verifier,
        account=old._account,
        clock=plane.clock,
        ids=plane.ids,
        barrier=plane.state.store.durable,
        authorize=old._authorize,
        routes={},
    )


def test_mistakes_are_noticed(product_bugs: list[str]) -> None:
    with Plane() as plane:
        World(plane)

        def bug(call: Call, request: ecs.DeleteClusterRequest) -> ecs.DeleteClusterResponse:
            raise KeyError(request.cluster)

        def half_done(call: Call, request: ecs.DeleteClusterRequest) -> ecs.DeleteClusterResponse:
            cluster = next(iter(plane.state.clusters))
            with plane.state.transaction() as tx:
                tx.put(msgspec.structs.replace(cluster, created_at=cluster.created_at + 1))
            raise invalid_parameter("too late")

        def not_of_the_model(call: Call, request: ecs.DeleteClusterRequest) -> ecs.DeleteClusterResponse:
            return ecs.DeleteClusterResponse(cluster=ecs.Cluster(tags=({"key": 1},)))  # type: ignore[arg-type]

        for handler in (bug, half_done, not_of_the_model):
            replaced(plane, handler)
            before = plane.picture()
            reply = plane.ask("ecs", "DeleteCluster", cluster="empty")
            with pytest.raises((AssertionError, msgspec.ValidationError)):
                check(plane, SERVICES["ecs"].operations["DeleteCluster"], b"", reply, before, product_bugs)
        assert any("KeyError" in text for text in product_bugs)
