"""Graphs without a time axis: bars, pies and plain numbers, of the newest value of each line."""

from __future__ import annotations

import math
from collections.abc import Sequence

from openecs.metrics.plot_canvas import Box, Canvas
from openecs.metrics.plot_line import NO_DATA, Line
from openecs.metrics.plot_scale import value_scale, written_value
from openecs.planning.metric_widget import Axis

_SIZE = 12
_NONE = "--"


def draw_bars(canvas: Canvas, box: Box, lines: Sequence[Line], axis: Axis) -> None:
    """One horizontal bar for each line, with its label on the left and its value at the end."""
    values = [line.last for line in lines]
    known = [value for value in values if value is not None]
    scale = value_scale([0.0, *known], axis.min, axis.max, ticks=max(1, int(box.width / 110)))
    labels = [canvas.fitting(line.label, _SIZE, box.width * 0.3) for line in lines]
    left = box.left + max(canvas.text_width(label, _SIZE) for label in labels) + 10
    inner = Box(left, box.top, max(left + 4, box.right - 48), box.bottom - 20)
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else 0.0
    for tick in scale.ticks:
        x = inner.left + scale.share(tick) * inner.width
        canvas.rule((x, inner.top), (x, inner.bottom), canvas.theme.grid)
        canvas.text((x, inner.bottom + 11), written_value(tick, step), 11, canvas.theme.faint, across="m")
    row = inner.height / len(lines)
    zero = inner.left + min(1.0, max(0.0, scale.share(0.0))) * inner.width
    for number, (line, label, value) in enumerate(zip(lines, labels, values, strict=True)):
        middle = inner.top + (number + 0.5) * row
        thick = min(row * 0.7, 44.0)
        canvas.text((inner.left - 8, middle), label, _SIZE, across="r")
        end = zero
        if value is not None:
            end = inner.left + min(1.0, max(0.0, scale.share(value))) * inner.width
            canvas.block(Box(min(zero, end), middle - thick / 2, max(zero, end), middle + thick / 2), line.color)
        text = _NONE if value is None else written_value(value)
        canvas.text((max(zero, end) + 6, middle), text, _SIZE, canvas.theme.faint)
    canvas.rule((zero, inner.top), (zero, inner.bottom), canvas.theme.axis)


def draw_pie(canvas: Canvas, box: Box, lines: Sequence[Line]) -> None:
    """A pie of the positive values; pieces that are wide enough tell their share."""
    values = [max(0.0, line.last or 0.0) for line in lines]
    total = sum(values)
    radius = max(2.0, min(box.width, box.height) / 2 - 4)
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    if not 0 < total < math.inf:
        canvas.text((x, y), NO_DATA, 14, canvas.theme.faint, across="m")
        return
    canvas.clip(box)
    at = -90.0
    middles = []
    for line, value in zip(lines, values, strict=True):
        wide = 360.0 * value / total
        if wide:
            canvas.slice(Box(x - radius, y - radius, x + radius, y + radius), at, at + wide, line.color)
        middles.append((at + wide / 2, value / total))
        at += wide
    canvas.blend()
    for angle, share in middles:
        if share >= 0.05 and radius > 40:
            turned = math.radians(angle)
            spot = x + math.cos(turned) * radius * 0.68, y + math.sin(turned) * radius * 0.68
            canvas.text(spot, f"{share:.0%}", 13, (255, 255, 255), across="m")


def draw_numbers(canvas: Canvas, box: Box, lines: Sequence[Line]) -> None:
    """A large number for each line in cells of the same size, its label above."""
    across = max(1, min(len(lines), int(box.width / 150)))
    down = math.ceil(len(lines) / across)
    width, height = box.width / across, box.height / down
    size = max(10, min(44, int(height * 0.4), int(width * 0.2)))
    for number, line in enumerate(lines):
        left = box.left + number % across * width + 8
        middle = box.top + (number // across + 0.5) * height
        canvas.block(Box(left, middle - size * 0.95 - 5, left + 10, middle - size * 0.95 + 5), line.color)
        label = canvas.fitting(line.label, _SIZE, width - 32)
        canvas.text((left + 16, middle - size * 0.95), label, _SIZE, canvas.theme.faint)
        canvas.text((left, middle + size * 0.2), _NONE if line.last is None else written_value(line.last), size)
