"""A pause of launching is a lease: it ends by itself."""

from __future__ import annotations

import pytest
from control_kit import World, cluster, definition

from openecs.clock import ManualClock
from openecs.control.launch_spec import LaunchSpec
from openecs.errors import Retryable


def launch(world: World, clock: ManualClock) -> int:
    spec = LaunchSpec(cluster=cluster(), definition=definition(1), count=1, launch_type="EC2", group="family:web")
    with world.state.transaction() as tx:
        return len(world.launcher.launch(tx, spec, now=clock.now(), ids=world.ids).tasks)


def test_nothing_is_launched_until_it_ends_or_is_ended() -> None:
    clock = ManualClock()
    world = World(clock)
    world.add_node("a")
    world.launcher.pause(until=clock.now() + 30)
    with pytest.raises(Retryable):
        launch(world, clock)
    clock.advance(29)
    assert world.launcher.paused(clock.now())
    world.launcher.pause(until=clock.now() + 30)
    clock.advance(29)
    with pytest.raises(Retryable):
        launch(world, clock)
    clock.advance(1)
    assert launch(world, clock) == 1
    world.launcher.pause(until=clock.now() + 30)
    world.launcher.resume()
    assert launch(world, clock) == 1
