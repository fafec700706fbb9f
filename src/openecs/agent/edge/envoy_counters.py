"""Counters that Envoy lacks: answers that it gave in a target's place, and when targets began to answer.  Pure.

Envoy counts the former with those of the target group's targets; AWS has its own metrics for either.
Only failed requests pass there: for the others a filter looks at one number.  Envoy's own time of a
request lasts until the answer's end and is in whole milliseconds; AWS's lasts until its beginning.
"""

from __future__ import annotations

from openecs.agent.edge.envoy_resources import Resource

_STATS = "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config"
#: What stands before a cluster's name in the name of its counter, and between that and the code.
FAILED, CODE = "openecs.failed.cluster.", ".code."
#: What stands before a cluster's name in the name of its histogram.
ANSWERED = "openecs.answered.cluster."
#: Reasons of the load balancer's own, for which Envoy blames the cluster too.
_FLAGS = ["UF", "UC", "UT", "UPE", "UR", "LR", "UH", "UO"]
_CLUSTER = {"name": "cluster", "value_format": "%UPSTREAM_CLUSTER_RAW%"}


def count_failures() -> Resource:
    """The logger of a connection manager that counts them by cluster and code."""
    tags = [_CLUSTER, {"name": "code", "value_format": "%RESPONSE_CODE%"}]
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {
            "and_filter": {"filters": [{"response_flag_filter": {"flags": _FLAGS}}, _at_least(500, "openecs.none")]}
        },
        "typed_config": {
            "@type": _STATS,
            "stat_prefix": "openecs",
            "counters": [{"stat": {"name": "failed", "tags": tags}, "value_fixed": 1}],
        },
    }


def time_answers() -> Resource:
    """The logger of a router for what it sends to targets: microseconds until they began to answer."""
    return {
        "name": "envoy.access_loggers.stats",
        # What was never answered has no time.
        "filter": _at_least(100, "openecs.no_answer"),
        "typed_config": {
            "@type": _STATS,
            "stat_prefix": "openecs",
            "histograms": [
                {
                    "stat": {"name": "answered", "tags": [_CLUSTER]},
                    "unit": "Microseconds",
                    "value_format": "%COMMON_DURATION(US_TX_END:US_RX_BEG:us)%",
                }
            ],
        },
    }


def _at_least(code: int, runtime_key: str) -> Resource:
    """A filter by the answer's code; Envoy wants a key by which it could be changed."""
    return {
        "status_code_filter": {"comparison": {"op": "GE", "value": {"default_value": code, "runtime_key": runtime_key}}}
    }
