"""GetMetricWidgetImage: reads the data of a widget and has them drawn."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from openecs.errors import AWSError
from openecs.metrics.query import QueryError, Result, evaluate
from openecs.metrics.store import MetricStore
from openecs.planning.metric_widget import Graphed, Widget, WidgetError, parse_widget
from openecs.shapes import cloudwatch as cw
from openecs.wire.call import Call, Handlers

if TYPE_CHECKING:
    from openecs.metrics.plot_line import Line


class MetricWidget:
    """The operation that gives an image."""

    def __init__(self, metrics: MetricStore) -> None:
        self._metrics = metrics
        #: One image at a time: a large one needs some 50 MB while it is drawn.
        self._drawing = asyncio.Lock()

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"GetMetricWidgetImage": self.image}

    async def image(self, call: Call, request: cw.GetMetricWidgetImageInput) -> cw.GetMetricWidgetImageOutput:
        """A PNG of the widget's graph."""
        if request.output_format not in {None, "png"}:
            raise AWSError(
                "InvalidParameterValue", f"The output format {request.output_format} is not supported; use png."
            )
        try:
            widget = parse_widget(request.metric_widget, region=call.region, now=call.now)
            results = evaluate(
                self._metrics,
                [_query(graphed) for graphed in widget.metrics],
                region=call.region,
                start=widget.start,
                # The newest minute is not complete yet; only live data show it.
                end=widget.end if widget.live else _complete(widget, call.now),
                now=call.now,
                account=call.account,
                timezone=widget.offset,
            )
        except (WidgetError, QueryError) as error:
            raise AWSError("ValidationError", str(error)) from None
        async with self._drawing:
            image = await asyncio.to_thread(_draw, widget, results)
        return cw.GetMetricWidgetImageOutput(metric_widget_image=image)


def _complete(widget: Widget, now: float) -> float:
    """The end of the widget, or of the last minute that is over."""
    return max(widget.start, min(widget.end, math.floor(now / 60) * 60))


def _query(graphed: Graphed) -> cw.MetricDataQuery:
    if graphed.expression:
        return cw.MetricDataQuery(
            id=graphed.id,
            expression=graphed.expression,
            label=graphed.label,
            period=graphed.period,
            return_data=graphed.visible,
        )
    namespace, name, *dimensions = graphed.metric
    pairs = zip(dimensions[::2], dimensions[1::2], strict=True)
    metric = cw.Metric(
        namespace=namespace,
        metric_name=name,
        dimensions=tuple(cw.Dimension(name=dimension, value=value) for dimension, value in pairs),
    )
    return cw.MetricDataQuery(
        id=graphed.id,
        metric_stat=cw.MetricStat(metric=metric, period=graphed.period, stat=graphed.stat),
        label=graphed.label,
        return_data=graphed.visible,
    )


def _draw(widget: Widget, results: Sequence[Result]) -> bytes:
    """Runs in a thread.  Pillow is loaded here, for most installations never draw anything."""
    from openecs.metrics.plot import draw

    return draw(widget, list(_lines(widget, results)))


def _lines(widget: Widget, results: Sequence[Result]) -> Iterator[Line]:
    """The results in the order of the widget; a colour that is given is that of an expression's first series."""
    from openecs.metrics.plot import PALETTE
    from openecs.metrics.plot_canvas import rgb
    from openecs.metrics.plot_line import Line

    shown = 0
    for graphed in widget.metrics:
        if not graphed.visible:
            continue
        color = graphed.color
        for result in (result for result in results if result.id == graphed.id):
            yield Line(
                label=_label(graphed, result),
                color=rgb(color or PALETTE[shown % len(PALETTE)]),
                timestamps=result.timestamps,
                values=result.values,
                period=result.period,
                right=graphed.right,
            )
            color = None
            shown += 1


def _label(graphed: Graphed, result: Result) -> str:
    """The result's label; an expression that has none but its id is shown itself."""
    unnamed = graphed.expression and graphed.label is None and result.label == graphed.id
    return graphed.expression if unnamed else result.label
