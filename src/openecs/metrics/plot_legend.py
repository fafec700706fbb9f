"""The legend of a graph: a coloured square and a label for each line, below or on the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from openecs.metrics.plot_canvas import Box, Canvas
from openecs.metrics.plot_line import Line

_SIZE = 12
_ROW = 18
_SQUARE = 10
_BESIDE = 6
_BETWEEN = 18


def draw_legend(canvas: Canvas, box: Box, lines: Sequence[Line], position: Literal["bottom", "right", "hidden"]) -> Box:
    """Draw the legend into ``box``; returns what is left of it.  It takes a third of the room at most."""
    if position == "hidden" or not lines:
        return box
    if position == "right":
        return _draw_right(canvas, box, lines)
    rows = _rows(canvas, lines, box.width)
    kept = rows[: max(1, int(box.height / 3 / _ROW))]
    top = box.bottom - len(kept) * _ROW
    for number, row in enumerate(kept):
        left = box.left
        for line, label, width in row:
            _entry(canvas, left, top + (number + 0.5) * _ROW, line, label)
            left += width
    _more(canvas, box, sum(map(len, rows)) - sum(map(len, kept)))
    return replace(box, bottom=top - 6)


def _draw_right(canvas: Canvas, box: Box, lines: Sequence[Line]) -> Box:
    widest = max(canvas.text_width(line.label, _SIZE) for line in lines) + _SQUARE + _BESIDE
    width = min(widest, box.width / 3)
    left = box.right - width
    fitting = max(1, int(box.height / _ROW))
    for number, line in enumerate(lines[:fitting]):
        label = canvas.fitting(line.label, _SIZE, width - _SQUARE - _BESIDE)
        _entry(canvas, left, box.top + (number + 0.5) * _ROW, line, label)
    _more(canvas, box, len(lines) - fitting)
    return replace(box, right=left - 12)


def _rows(canvas: Canvas, lines: Sequence[Line], width: float) -> list[list[tuple[Line, str, float]]]:
    """The entries (line, label, width) in rows that are no wider than ``width``; several rows have columns."""
    labels = [canvas.fitting(line.label, _SIZE, width - _SQUARE - _BESIDE) for line in lines]
    widths = [_SQUARE + _BESIDE + canvas.text_width(label, _SIZE) + _BETWEEN for label in labels]
    across = len(lines)
    if sum(widths) - _BETWEEN > width:
        across = max(1, int((width + _BETWEEN) / max(widths)))
        widths = [max(widths)] * len(widths)
    entries = list(zip(lines, labels, widths, strict=True))
    return [entries[at : at + across] for at in range(0, len(entries), across)]


def _entry(canvas: Canvas, left: float, middle: float, line: Line, label: str) -> None:
    canvas.block(Box(left, middle - _SQUARE / 2, left + _SQUARE, middle + _SQUARE / 2), line.color)
    canvas.text((left + _SQUARE + _BESIDE, middle), label, _SIZE)


def _more(canvas: Canvas, box: Box, count: int) -> None:
    """Say how many lines the legend has no room for."""
    if count > 0:
        text = f"+{count}"
        width = canvas.text_width(text, _SIZE) + 6
        canvas.block(Box(box.right - width, box.bottom - _ROW, box.right, box.bottom), canvas.theme.background)
        canvas.text((box.right, box.bottom - _ROW / 2), text, _SIZE, canvas.theme.faint, across="r")
