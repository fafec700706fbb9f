"""How a strategy divides tasks among capacity providers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.provider_shares import fargate_only, shares
from openecs.shapes import ecs


def item(name: str, weight: int = 0, base: int = 0) -> ecs.CapacityProviderStrategyItem:
    return ecs.CapacityProviderStrategyItem(capacity_provider=name, weight=weight, base=base)


@pytest.mark.parametrize(
    ("strategy", "count", "there", "expected"),
    [
        ((item("a", 1),), 3, {}, {"a": 3}),
        ((item("a", 1), item("b", 4)), 5, {}, {"a": 1, "b": 4}),
        ((item("a", 1), item("b", 4)), 10, {}, {"a": 2, "b": 8}),
        ((item("a", 1, base=2), item("b", 1)), 1, {}, {"a": 1}),
        ((item("a", 1, base=2), item("b", 1)), 6, {}, {"a": 4, "b": 2}),
        ((item("a", 0, base=2), item("b", 1)), 6, {}, {"a": 2, "b": 4}),
        ((item("a", 0), item("b", 1)), 3, {}, {"b": 3}),
        # What is there already counts, for the base and for the ratio.
        ((item("a", 1, base=2), item("b", 1)), 2, {"a": 2}, {"a": 1, "b": 1}),
        ((item("a", 1), item("b", 1)), 3, {"a": 3}, {"b": 3}),
        ((item("a", 1), item("b", 1)), 0, {}, {}),
        # A lost base task comes back on its provider first.
        ((item("a", 0, base=2), item("b", 1)), 1, {"a": 1, "b": 7}, {"a": 1}),
    ],
)
def test_shares(strategy, count, there, expected) -> None:
    assert shares(strategy, count, there) == expected


weights = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


@given(weights, st.integers(0, 40))
def test_multiples_of_the_weights_are_shared_exactly(given_weights: list[int], rounds: int) -> None:
    strategy = tuple(item(f"p{n}", weight) for n, weight in enumerate(given_weights))
    got = shares(strategy, rounds * sum(given_weights), {})
    assert got == {f"p{n}": rounds * weight for n, weight in enumerate(given_weights) if rounds * weight}


@given(weights, st.integers(0, 7), st.integers(0, 60))
def test_one_at_a_time_ends_where_all_at_once_does(given_weights: list[int], base: int, count: int) -> None:
    strategy = tuple(item(f"p{n}", weight, base if n == 0 else 0) for n, weight in enumerate(given_weights))
    there: dict[str, int] = {}
    for _ in range(count):
        (name,) = shares(strategy, 1, there)
        there[name] = there.get(name, 0) + 1
    assert there == shares(strategy, count, {})


@given(weights, st.integers(0, 200), st.data())
def test_every_task_gets_a_provider(given_weights: list[int], count: int, data: st.DataObject) -> None:
    strategy = tuple(item(f"p{n}", weight) for n, weight in enumerate(given_weights))
    there = {i.capacity_provider: data.draw(st.integers(0, 30)) for i in strategy}
    got = shares(strategy, count, there)
    assert sum(got.values()) == count
    assert all(strategy[int(name[1:])].weight for name in got)


def test_fargate_only() -> None:
    assert fargate_only((item("FARGATE"), item("FARGATE_SPOT")))
    assert not fargate_only((item("group"),))
