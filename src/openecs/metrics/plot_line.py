"""One line of a graph, and how lines are summed up where there is no time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openecs.metrics.plot_canvas import Color

#: What stands where nothing can be drawn.
NO_DATA = "No data available"


@dataclass(frozen=True, slots=True)
class Line:
    """Data points in ascending order of time, and how they are shown."""

    label: str
    color: Color
    timestamps: Sequence[float]
    values: Sequence[float]
    #: Seconds; data points farther apart are not connected.
    period: float = 60.0
    #: Whether it belongs to the right axis.
    right: bool = False

    @property
    def last(self) -> float | None:
        """The newest value, which stands for the line where there is no time axis."""
        return self.values[-1] if self.values else None
