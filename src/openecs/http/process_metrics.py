"""What a process tells Prometheus of itself, under the names that all programs use.  Reads ``/proc`` and the clock."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from openecs import __version__
from openecs.http.prometheus_text import Family, Sample, counter, gauge

_PAGE = os.sysconf("SC_PAGE_SIZE")


def process_metrics(program: str) -> list[Family]:
    """CPU, memory, files; ``program`` is ``server`` or ``agent``."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = [
        Family("openecs_build_info", "gauge", "Which OpenECS this is.", (Sample(1, _build(program)),)),
        counter("process_cpu_seconds_total", "CPU time of the process.", used.ru_utime + used.ru_stime),
    ]
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        found.append(gauge("process_resident_memory_bytes", "Memory that the process holds.", pages * _PAGE))
        found.append(gauge("process_open_fds", "Open files and connections.", len([*Path("/proc/self/fd").iterdir()])))
    except (OSError, ValueError, IndexError):
        # Only Linux has these files; the others stand for themselves.
        pass
    return found


def _build(program: str) -> dict[str, str]:
    return {"version": __version__, "program": program}
