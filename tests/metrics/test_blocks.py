"""Rows: what adding up, joining, regrouping and storing keep, whatever the samples are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openecs.metrics.block import Block, StatisticSet, fold, join, regroup
from openecs.metrics.block_codec import decode_bags, decode_rows, encode_bags, encode_rows

Sample = tuple[int, float, float]
#: Whole numbers, so that sums do not depend on their order.
SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 30).map(lambda minute: minute * 60),
        st.integers(-50, 50).map(float),
        st.integers(1, 5).map(float),
    ),
    min_size=1,
    max_size=40,
)
SETS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 9), st.integers(0, 5), st.integers(6, 9)).map(
        lambda one: StatisticSet(one[0] * 60, float(one[1] + 1), float(one[1] * 6), float(one[2]), float(one[3]))
    ),
    max_size=4,
)


def folded(samples: list[Sample], sets: list[StatisticSet] | None = None) -> Block:
    columns = [list(column) for column in zip(*samples, strict=True)] if samples else [[], [], []]
    return fold(columns[0], columns[1], columns[2], sets or ())


def content(block: Block) -> list[object]:
    return [
        (time, count, total, low, high, block.distribution(row))
        for row, (time, count, total, low, high) in enumerate(
            zip(block.times, block.counts, block.sums, block.minima, block.maxima, strict=True)
        )
    ]


@given(SAMPLES, SETS)
def test_rows_add_up_what_was_measured(samples: list[Sample], sets: list[StatisticSet]) -> None:
    for time, count, total, low, high, bag in content(folded(samples, sets)):  # type: ignore[misc]
        here = [(value, times) for at, value, times in samples if at == time]
        opaque = [one for one in sets if one.time == time]
        assert count == sum(times for _, times in here) + sum(one.observations for one in opaque)
        assert total == sum(value * times for value, times in here) + sum(one.sum for one in opaque)
        assert low == min([value for value, _ in here] + [one.minimum for one in opaque])
        assert high == max([value for value, _ in here] + [one.maximum for one in opaque])
        if not opaque:
            expected: dict[float, float] = {}
            for value, times in here:
                expected[value] = expected.get(value, 0.0) + times
            assert bag == expected
        elif low != high:
            assert bag is None


@given(SAMPLES, st.integers(0, 40), st.integers(0, 40))
def test_rows_do_not_depend_on_how_samples_were_cut(samples: list[Sample], first: int, second: int) -> None:
    a, b = sorted((first, second))
    parts = [samples[:a], samples[a:b], samples[b:]]
    assert content(join([folded(part) for part in parts])) == content(folded(samples))


@given(SAMPLES, st.sampled_from([60, 120, 300, 3600]), st.integers(0, 10))
def test_rows_of_long_periods_are_those_of_the_samples(samples: list[Sample], period: int, anchor: int) -> None:
    anchor *= 60
    grouped = regroup([folded(samples)], period, anchor)
    moved = [(time - (time - anchor) % period, value, count) for time, value, count in samples]
    assert content(grouped) == content(folded(moved))


@given(SAMPLES, SETS)
def test_what_is_stored_is_what_is_read(samples: list[Sample], sets: list[StatisticSet]) -> None:
    block = folded(samples, sets)
    again = decode_rows(encode_rows(block))
    again.bags = decode_bags(encode_bags(block))
    assert content(again) == content(block)


def test_single_values_take_little_room() -> None:
    block = folded([(minute * 60, 1.0 + minute % 7 / 8, 1.0) for minute in range(360)])
    assert len(encode_rows(block)) < 600
    assert encode_bags(block) == b""
