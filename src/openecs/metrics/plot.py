"""Graphs of metrics as PNG images.

Drawing a large image takes tens of milliseconds: not a thing to do on the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from openecs.metrics.plot_canvas import DARK, LIGHT, Box, Canvas
from openecs.metrics.plot_legend import draw_legend
from openecs.metrics.plot_line import NO_DATA, Line
from openecs.metrics.plot_parts import draw_bars, draw_numbers, draw_pie
from openecs.metrics.plot_time import draw_over_time
from openecs.planning.metric_widget import Widget

#: The colours of lines for which none is given, in turn.
PALETTE = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
_MARGIN = 12
_TITLE = 16


def draw(widget: Widget, lines: Sequence[Line]) -> bytes:
    """The graph of the lines as a PNG of the widget's size."""
    canvas = Canvas(widget.width, widget.height, DARK if widget.dark else LIGHT)
    margin = min(_MARGIN, widget.width // 20, widget.height // 20)
    box = Box(margin, margin, widget.width - margin, widget.height - margin)
    if widget.title:
        title = canvas.fitting(widget.title, _TITLE, box.width)
        canvas.text((widget.width / 2, box.top + _TITLE / 2), title, _TITLE, across="m")
        box = Box(box.left, box.top + _TITLE + 10, box.right, box.bottom)
    if widget.view in {"timeSeries", "pie"}:
        box = draw_legend(canvas, box, lines, widget.legend)
    if box.width < 8 or box.height < 8:
        return canvas.png()
    if widget.view == "timeSeries":
        draw_over_time(canvas, box, widget, lines)
    elif not lines:
        middle = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        canvas.text(middle, NO_DATA, 14, canvas.theme.faint, across="m")
    elif widget.view == "bar":
        draw_bars(canvas, box, lines, widget.left)
    elif widget.view == "pie":
        draw_pie(canvas, box, lines)
    else:
        draw_numbers(canvas, box, lines)
    return canvas.png()
