"""Graphs over time: lines or stacked areas between two vertical axes, with annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from openecs.metrics.plot_canvas import Box, Canvas, Color, Point, rgb
from openecs.metrics.plot_line import NO_DATA, Line
from openecs.metrics.plot_scale import Scale, time_scale, value_scale, written_time, written_value
from openecs.planning.metric_widget import Annotation, Axis, Widget

SMALL = 11
_LINE_WIDTH = 1.7
#: Data points farther apart than so many periods are not connected.
_GAP = 1.5
_SHADE = 0.14


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where times and values are in the image."""

    box: Box
    time: Scale
    left: Scale
    right: Scale

    def x(self, at: float) -> float:
        return self.box.left + self.time.share(at) * self.box.width

    def y(self, value: float, *, right: bool) -> float:
        share = (self.right if right else self.left).share(value)
        # Far outside is as good as just outside, and Pillow's numbers end somewhere.
        return self.box.bottom - max(-9.0, min(10.0, share)) * self.box.height


def draw_over_time(canvas: Canvas, box: Box, widget: Widget, lines: Sequence[Line]) -> None:
    """The whole graph within ``box``: axes with their labels, data, annotations."""
    shown = _stacked(lines) if widget.stacked else [(line, line.values, None) for line in lines]
    frame = _frame(canvas, box, widget, [(line, top) for line, top, _ in shown])
    _axes(canvas, frame, widget, uses_right=any(line.right for line in lines))
    canvas.clip(frame.box)
    for line, top, floor in reversed(shown):
        if floor is not None:
            _draw_area(canvas, frame, line, top, floor)
    canvas.blend()
    for annotation in widget.horizontal:
        _shade_horizontal(canvas, frame, annotation)
    for annotation in widget.vertical:
        _shade_vertical(canvas, frame, annotation)
    # A line at an end of its axis is not cut in half.
    canvas.clip(replace(frame.box, top=frame.box.top - 1, bottom=frame.box.bottom + 1))
    for line, top, _ in shown:
        for part in _connected(frame, line, top):
            canvas.line(part, line.color, _LINE_WIDTH)
    canvas.blend()
    if not any(line.values for line in lines):
        middle = (frame.box.left + frame.box.right) / 2, (frame.box.top + frame.box.bottom) / 2
        canvas.text(middle, canvas.fitting(NO_DATA, 14, frame.box.width), 14, canvas.theme.faint, across="m")
    for annotation in widget.horizontal:
        _draw_horizontal(canvas, frame, annotation)
    for annotation in widget.vertical:
        _draw_vertical(canvas, frame, annotation)


def _frame(canvas: Canvas, box: Box, widget: Widget, shown: Sequence[tuple[Line, Sequence[float]]]) -> _Frame:
    """The scales, and what room they leave to the data."""
    ticks = max(1, round((box.height - 40) / 45))
    left = _scale(widget.left, widget, shown, right=False, ticks=ticks)
    right = _scale(widget.right, widget, shown, right=True, ticks=ticks)
    uses_right = any(line.right for line, _ in shown)
    labelled = bool(widget.left.label or widget.right.label)
    inner = Box(
        box.left + _label_width(canvas, left) + 8,
        box.top + (20 if labelled else 8),
        box.right - (_label_width(canvas, right) + 8 if uses_right else 16),
        box.bottom - 22,
    )
    inner = replace(inner, right=max(inner.right, inner.left + 4), bottom=max(inner.bottom, inner.top + 4))
    wide = canvas.text_width("00/00 00:00" if widget.end - widget.start > 86_400 else "00:00", SMALL) + 24
    time = time_scale(widget.start, widget.end, ticks=max(1, int(inner.width / wide)), offset=widget.offset)
    return _Frame(inner, time, left, right)


def _scale(
    axis: Axis, widget: Widget, shown: Sequence[tuple[Line, Sequence[float]]], *, right: bool, ticks: int
) -> Scale:
    values = [value for line, top in shown if line.right == right for value in top]
    for annotation in widget.horizontal:
        if annotation.right == right:
            values += [value for value in (annotation.value, annotation.until) if value is not None]
    if widget.stacked and values and min(values) > 0 and axis.min is None:
        values.append(0.0)
    return value_scale(values, axis.min, axis.max, ticks=ticks)


def _label_width(canvas: Canvas, scale: Scale) -> float:
    return max((canvas.text_width(text, SMALL) for text in _tick_labels(scale)), default=0.0)


def _tick_labels(scale: Scale) -> list[str]:
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else 0.0
    return [written_value(tick, step) for tick in scale.ticks]


def _axes(canvas: Canvas, frame: _Frame, widget: Widget, *, uses_right: bool) -> None:
    box, theme = frame.box, canvas.theme
    for tick, label in zip(frame.left.ticks, _tick_labels(frame.left), strict=True):
        y = frame.y(tick, right=False)
        canvas.rule((box.left, y), (box.right, y), theme.grid)
        canvas.text((box.left - 6, y), label, SMALL, theme.faint, across="r")
    if uses_right:
        for tick, label in zip(frame.right.ticks, _tick_labels(frame.right), strict=True):
            canvas.text((box.right + 6, frame.y(tick, right=True)), label, SMALL, theme.faint)
    for tick in frame.time.ticks:
        x = frame.x(tick)
        label = written_time(tick, frame.time, widget.offset)
        half = canvas.text_width(label, SMALL) / 2
        canvas.rule((x, box.bottom), (x, box.bottom + 4), theme.axis)
        if canvas.box.left <= x - half and x + half <= canvas.box.right:
            canvas.text((x, box.bottom + 13), label, SMALL, theme.faint, across="m")
    canvas.rule((box.left, box.bottom), (box.right, box.bottom), theme.axis)
    canvas.text((box.left, box.top - 12), widget.left.label, SMALL, theme.faint)
    canvas.text((box.right, box.top - 12), widget.right.label, SMALL, theme.faint, across="r")


def _stacked(lines: Sequence[Line]) -> list[tuple[Line, list[float], list[float]]]:
    """Every line on top of those before it on its axis; a missing data point adds nothing."""
    heights: dict[bool, dict[float, float]] = {False: {}, True: {}}
    result = []
    for line in lines:
        height = heights[line.right]
        floor = [height.get(at, 0.0) for at in line.timestamps]
        top = [below + value for below, value in zip(floor, line.values, strict=True)]
        height.update(zip(line.timestamps, top, strict=True))
        result.append((line, top, floor))
    return result


def _connected(frame: _Frame, line: Line, values: Sequence[float]) -> Iterator[list[Point]]:
    """The line's points in the image, in parts between which there are gaps."""
    start = 0
    for end in _ends(line):
        part = zip(line.timestamps[start:end], values[start:end], strict=True)
        yield _thinned([(frame.x(at), frame.y(value, right=line.right)) for at, value in part])
        start = end


def _thinned(points: list[Point]) -> list[Point]:
    """The points, or where many share a column of pixels the first, highest, lowest and last of them."""
    if len(points) <= 2 * (points[-1][0] - points[0][0]):
        return points
    thinned: list[Point] = []
    for _, column in groupby(points, key=lambda point: round(point[0])):
        several = list(column)
        extremes = (min(several, key=lambda point: point[1]), max(several, key=lambda point: point[1]))
        thinned += dict.fromkeys((several[0], *sorted(extremes), several[-1]))
    return thinned


def _ends(line: Line) -> Iterator[int]:
    for index, (before, after) in enumerate(pairwise(line.timestamps), 1):
        if after - before > line.period * _GAP:
            yield index
    if line.timestamps:
        yield len(line.timestamps)


def _draw_area(canvas: Canvas, frame: _Frame, line: Line, top: Sequence[float], floor: Sequence[float]) -> None:
    for above, below in zip(_connected(frame, line, top), _connected(frame, line, floor), strict=True):
        if len(above) > 1:
            canvas.area([*above, *reversed(below)], line.color, 0.55)


def _within(box: Box, left: float, top: float, right: float, bottom: float) -> Box:
    return Box(max(box.left, left), max(box.top, top), min(box.right, right), min(box.bottom, bottom))


def _shade_horizontal(canvas: Canvas, frame: _Frame, annotation: Annotation) -> None:
    box, y = frame.box, frame.y(annotation.value, right=annotation.right)
    if annotation.until is not None:
        other = frame.y(annotation.until, right=annotation.right)
        y1, y2 = min(y, other), max(y, other)
    elif annotation.fill in {"above", "below"}:
        y1, y2 = (box.top, y) if annotation.fill == "above" else (y, box.bottom)
    else:
        return
    canvas.block(_within(box, box.left, y1, box.right, y2), rgb(annotation.color), _SHADE)


def _shade_vertical(canvas: Canvas, frame: _Frame, annotation: Annotation) -> None:
    box, x = frame.box, frame.x(annotation.value)
    if annotation.until is not None:
        other = frame.x(annotation.until)
        x1, x2 = min(x, other), max(x, other)
    elif annotation.fill in {"before", "after"}:
        x1, x2 = (box.left, x) if annotation.fill == "before" else (x, box.right)
    else:
        return
    canvas.block(_within(box, x1, box.top, x2, box.bottom), rgb(annotation.color), _SHADE)


def _draw_horizontal(canvas: Canvas, frame: _Frame, annotation: Annotation) -> None:
    box, color = frame.box, rgb(annotation.color)
    for value, label in ((annotation.value, annotation.label), (annotation.until, annotation.until_label)):
        if value is not None and box.top <= (y := frame.y(value, right=annotation.right)) <= box.bottom:
            canvas.rule((box.left, y), (box.right, y), color, dashed=True)
            beside = -8 if y - 16 >= box.top else 8
            text = canvas.fitting(label, SMALL, box.width - 8)
            canvas.text((box.right - 4, y + beside), text, SMALL, _readable(color, canvas), across="r")


def _draw_vertical(canvas: Canvas, frame: _Frame, annotation: Annotation) -> None:
    box, color = frame.box, rgb(annotation.color)
    for value, label in ((annotation.value, annotation.label), (annotation.until, annotation.until_label)):
        if value is not None and box.left <= (x := frame.x(value)) <= box.right:
            canvas.rule((x, box.top), (x, box.bottom), color, dashed=True)
            width = canvas.text_width(label, SMALL)
            fits = x + 4 + width <= box.right
            text = canvas.fitting(label, SMALL, box.width - 8)
            canvas.text(
                (x + 4 if fits else x - 4, box.top + 8),
                text,
                SMALL,
                _readable(color, canvas),
                across="l" if fits else "r",
            )


def _readable(color: Color, canvas: Canvas) -> Color:
    """The colour a third closer to that of texts."""
    mixed = [(2 * one + other) // 3 for one, other in zip(color, canvas.theme.text, strict=True)]
    return mixed[0], mixed[1], mixed[2]
