"""A counter that Envoy lacks: answers that it gave in a target's place.  Pure.

Envoy counts them with those of the target group's targets; AWS has its own metrics for either.
Only failed requests pass here: for the others a filter looks at one number.
"""

from __future__ import annotations

from openecs.agent.edge.envoy_resources import Resource

#: What stands before a cluster's name in the name of its counter.
FAILED = "openecs.failed.cluster."
#: Reasons of the load balancer's own, for which Envoy blames the cluster too.
_FLAGS = ["UF", "UC", "UT", "UPE", "UR", "LR", "UH", "UO"]


def count_failures() -> Resource:
    """The logger of a connection manager that counts them by cluster."""
    failed = {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "openecs.none"}}}
    tag = {"name": "cluster", "value_format": "%UPSTREAM_CLUSTER_RAW%"}
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {
            "and_filter": {"filters": [{"response_flag_filter": {"flags": _FLAGS}}, {"status_code_filter": failed}]}
        },
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "openecs",
            "counters": [{"stat": {"name": "failed", "tags": [tag]}, "value_fixed": 1}],
        },
    }
