"""Prometheus' text format."""

from __future__ import annotations

import math

import pytest

from openecs.http.process_metrics import process_metrics
from openecs.http.prometheus_text import Family, Sample, counter, gauge, histogram, render


def test_a_page() -> None:
    families = [
        counter("calls_total", "Calls.", 12.0),
        gauge("share", 'A "share"\nof \\ it.', 0.25),
        Family("none", "gauge", "Nothing of it.", ()),
        Family("tasks", "gauge", "Tasks.", [Sample(3, {"cluster": 'a"b\\c\nd', "status": "RUNNING"})]),
    ]
    assert render(families).decode() == (
        "# HELP calls_total Calls.\n"
        "# TYPE calls_total counter\n"
        "calls_total 12\n"
        '# HELP share A "share"\\nof \\\\ it.\n'
        "# TYPE share gauge\n"
        "share 0.25\n"
        "# HELP tasks Tasks.\n"
        "# TYPE tasks gauge\n"
        'tasks{cluster="a\\"b\\\\c\\nd",status="RUNNING"} 3\n'
    )


def test_a_histogram_adds_up() -> None:
    samples = histogram((0.1, 1.0), (2, 1, 4), 33.5, {"service": "ecs"})
    page = render([Family("took", "histogram", "Time.", samples)]).decode()
    assert page.splitlines()[2:] == [
        'took_bucket{service="ecs",le="0.1"} 2',
        'took_bucket{service="ecs",le="1"} 3',
        'took_bucket{service="ecs",le="+Inf"} 7',
        'took_sum{service="ecs"} 33.5',
        'took_count{service="ecs"} 7',
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e20, "1e+20"), (-2.0, "-2"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (0.1 + 0.2, "0.30000000000000004")],
)
def test_numbers(value: float, text: str) -> None:
    assert render([gauge("x", "x", value)]).splitlines()[-1].decode() == f"x {text}"


def test_a_process_tells_of_itself() -> None:
    found = {family.name: family.samples[0].value for family in process_metrics("test")}
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["process_open_fds"] >= 3
