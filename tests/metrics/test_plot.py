"""Images of graphs: what is in them is told by the colours of their pixels."""

from __future__ import annotations

import io
import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from openecs.metrics.plot import draw
from openecs.metrics.plot_canvas import DARK, LIGHT, rgb
from openecs.metrics.plot_line import Line
from openecs.metrics.plot_scale import time_scale, value_scale, written_time, written_value
from openecs.planning.metric_widget import Annotation, Axis, Graphed, Widget

END = 1_700_000_400.0
START = END - 3600
RED, GREEN, BLUE = (214, 39, 40), (44, 160, 44), (31, 119, 180)


def widget(**members: Any) -> Widget:
    graphed = Graphed(id="m1", metric=("N", "m"), expression="", stat="Average", period=60)
    return Widget(**{"metrics": (graphed,), "start": START, "end": END, "width": 300, "height": 200, **members})


def line(
    *values: float, color: tuple[int, int, int] = RED, label: str = "", step: int = 60, right: bool = False
) -> Line:
    return Line(label, color, [START + index * step for index in range(len(values))], values, 60, right)


def image(plotted: Widget, *lines: Line) -> Image.Image:
    return Image.open(io.BytesIO(draw(plotted, lines))).convert("RGB")


def rows(picture: Image.Image, color: tuple[int, int, int]) -> list[int]:
    """The rows of the image in which some pixel has just this colour."""
    width = picture.width
    pixels = list(picture.get_flattened_data())
    return [y for y in range(picture.height) if color in pixels[y * width : (y + 1) * width]]


@pytest.mark.parametrize(
    ("size", "view"),
    [
        *itertools.product([(1, 1), (1, 2000), (60, 40), (600, 400)], ["timeSeries", "bar", "pie", "singleValue"]),
        ((2000, 2000), "timeSeries"),
    ],
)
def test_images_have_the_size_that_was_asked_for(size: tuple[int, int], view: str) -> None:
    picture = image(
        widget(width=size[0], height=size[1], view=view, title="Title", legend="right"),
        line(1, 2, 3, label="a" * 50_000),
    )
    assert picture.size == size


@pytest.mark.parametrize("view", ["timeSeries", "bar", "pie"])
def test_lines_are_there_in_their_colours(view: str) -> None:
    picture = image(widget(view=view, legend="hidden"), line(*[1.0] * 60), line(*[2.0] * 60, color=BLUE))
    assert rows(picture, RED)
    assert rows(picture, BLUE)
    assert not rows(picture, GREEN)


def test_larger_values_are_higher_up_and_a_fixed_axis_holds() -> None:
    low, high = line(*[20.0] * 60), line(*[80.0] * 60, color=BLUE)
    picture = image(widget(legend="hidden", left=Axis(0, 100)), low, high)
    red, blue = rows(picture, RED), rows(picture, BLUE)
    assert max(blue) < min(red)
    # 60 of 100 apart: the axis goes from 0 to 100 over some 170 pixels.
    assert 80 < min(red) - max(blue) < 110
    outside = image(widget(legend="hidden", left=Axis(0, 10)), low)
    assert not rows(outside, RED)


def test_each_axis_has_its_own_scale() -> None:
    picture = image(
        widget(legend="hidden", left=Axis(0, 100), right=Axis(0, 1000)),
        line(*[50.0] * 60),
        line(*[500.0] * 60, color=BLUE, right=True),
    )
    # The same height: the second line covers the first.
    assert rows(picture, BLUE)
    assert not rows(picture, RED)


def test_stacked_lines_stand_on_one_another() -> None:
    lines = line(*[30.0] * 60), line(*[30.0] * 60, color=BLUE)
    apart = image(widget(legend="hidden", left=Axis(0, 100), stacked=True), *lines)
    assert max(rows(apart, BLUE)) < min(rows(apart, RED))


def test_missing_data_points_are_a_gap() -> None:
    whole, gap = line(*[1.0] * 60), line(1.0, 1.0, 1.0)
    sparse = Line("", RED, [START, START + 60, END - 60], (1.0, 1.0, 1.0), 60)
    count = [
        sum(pixel == RED for pixel in image(widget(legend="hidden"), one).get_flattened_data())
        for one in (whole, gap, sparse)
    ]
    assert count[0] > 5 * count[1]
    assert count[0] > 5 * count[2] > 0


def test_annotations_are_lines_and_shades() -> None:
    none = image(widget(legend="hidden", left=Axis(0, 100)), line(*[50.0] * 60, color=BLUE))
    marked = image(
        widget(
            legend="hidden",
            left=Axis(0, 100),
            horizontal=(Annotation(80, color="#2ca02c", fill="above"),),
            vertical=(Annotation(START + 1800, color="#d62728"),),
        ),
        line(*[50.0] * 60, color=BLUE),
    )
    assert not rows(none, GREEN)
    (at,) = rows(marked, GREEN)
    assert at < min(rows(marked, BLUE))
    assert len(rows(marked, RED)) > 50
    # The shade is above the line only.
    shaded = marked.getpixel((100, at - 5)), none.getpixel((100, at - 5))
    assert shaded[0] != shaded[1]
    assert marked.getpixel((100, at + 5)) == none.getpixel((100, at + 5))


def test_the_legend_is_where_it_should_be() -> None:
    def squares(position: Any) -> list[tuple[int, int]]:
        picture = image(widget(legend=position, left=Axis(0, 1)), line(5.0, label="load"))
        return [(x, y) for y in range(200) for x in range(300) if picture.getpixel((x, y)) == RED]

    assert squares("hidden") == []
    bottom, right = squares("bottom"), squares("right")
    assert len(bottom) == len(right) == 100
    assert all(y > 150 for _, y in bottom)
    assert all(x > 200 and y < 50 for x, y in right)


def test_themes() -> None:
    assert image(widget(), line(1.0)).getpixel((0, 0)) == LIGHT.background
    assert image(widget(dark=True), line(1.0)).getpixel((0, 0)) == DARK.background


def test_no_lines_and_no_values_are_no_error() -> None:
    for view in ("timeSeries", "bar", "pie", "singleValue"):
        empty = image(widget(view=view, title="t"))
        assert image(widget(view=view, title="t"), line(label="l")).size == empty.size
        # Something says that there is nothing.
        assert len(empty.getcolors(100_000)) > 2


EXTREME = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(EXTREME, max_size=4), max_size=3),
    st.sampled_from(["timeSeries", "bar", "pie", "singleValue"]),
    st.booleans(),
)
def test_any_values_can_be_drawn(values: list[list[float]], view: Any, stacked: bool) -> None:
    image(widget(view=view, stacked=stacked, width=120, height=80), *[line(*some) for some in values])


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=30))
def test_any_text_can_be_written(text: str) -> None:
    marks = (Annotation(2.0, label=text), Annotation(START + 60, label=text))
    image(
        widget(width=120, height=80, title=text, left=Axis(label=text), horizontal=marks[:1], vertical=marks[1:]),
        line(1.0, 2.0, label=text),
    )


@given(st.lists(st.floats(-1e300, 1e300), max_size=5), st.none() | st.floats(-1e9, 1e9), st.integers(1, 10))
def test_scales_show_all_values_with_round_ticks(values: list[float], low: float | None, ticks: int) -> None:
    scale = value_scale(values, low, None, ticks=ticks)
    assert scale.low < scale.high
    assert list(scale.ticks) == sorted(scale.ticks)
    assert len(scale.ticks) <= 2 * ticks + 4
    assert not any(math.isnan(scale.share(value)) for value in values)
    slack = (scale.high - scale.low) * 1e-6
    assert all(value <= scale.high + slack for value in values)
    if low is None:
        assert all(scale.low - slack <= value for value in values)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 7, [0, 2, 4, 6, 8]),
        (95, 99, [95, 96, 97, 98, 99]),
        (3, 97, [0, 20, 40, 60, 80, 100]),
    ],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert list(value_scale([low, high], None, None, ticks=5).ticks) == expected


@pytest.mark.parametrize(
    ("value", "step", "expected"),
    [
        (0, 0.2, "0"),
        (0.4, 0.2, "0.4"),
        (0.25, 0.25, "0.25"),
        (250_000, 50_000, "250k"),
        (1_500_000, 500_000, "1.5M"),
        (2_000_000_000, 0, "2B"),
        (36.349, 0, "36.35"),
        (0.00001, 0, "1.00e-05"),
        (-1234, 0, "-1.234k"),
    ],
)
def test_numbers(value: float, step: float, expected: str) -> None:
    assert written_value(value, step) == expected


@pytest.mark.parametrize(
    ("hours", "offset", "expected"),
    [
        (3, 0, ["19:00", "20:00", "21:00"]),
        (3, 5400, ["21:00", "22:00", "23:00"]),
        (48, 0, ["11/13 00:00", "11/13 12:00", "11/14 00:00", "11/14 12:00"]),
        (24 * 20, 0, ["10/26", "11/02", "11/09"]),
    ],
)
def test_times_are_round_in_their_zone(hours: int, offset: int, expected: list[str]) -> None:
    end = END - END % 86_400 + 21.75 * 3600
    scale = time_scale(end - hours * 3600, end, ticks=4, offset=offset)
    assert [written_time(at, scale, offset) for at in scale.ticks] == expected


def test_colours() -> None:
    assert rgb("#1f77b4") == BLUE
    assert rgb("#abc") == (0xAA, 0xBB, 0xCC)
