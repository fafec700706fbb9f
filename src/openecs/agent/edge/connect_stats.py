"""What calls through Service Connect have done, per endpoint: a view of ``edge_stats``.  Pure.

Numbers are those of the calls that tasks of this host have made; nothing is published here.
"""

from __future__ import annotations

from openecs.agent.edge.connect_render import ALTERNATE, cluster_base
from openecs.agent.edge.edge_stats import EdgeCounters, GroupCounters

_BASE = f"targetgroup/{cluster_base('')}"


def endpoint_counters(counters: EdgeCounters) -> dict[str, GroupCounters]:
    """``namespace id/discovery name`` → the sum over this host's tasks.

    Response times are left out: percentiles of several tasks have no sum.
    """
    found: dict[str, GroupCounters] = {}
    for (key, _), group in counters.groups.items():
        if not key.startswith(_BASE) or key.startswith(f"{_BASE}ingress/"):
            continue
        total = found.setdefault(key.removeprefix(_BASE).removesuffix(ALTERNATE), GroupCounters())
        total.request_count += group.request_count
        total.active_connections += group.active_connections
        total.new_connections += group.new_connections
        total.processed_bytes += group.processed_bytes
        total.connection_errors += group.connection_errors
        for digit, number in group.targets_answered.items():
            total.targets_answered[digit] = total.targets_answered.get(digit, 0) + number
    return found
