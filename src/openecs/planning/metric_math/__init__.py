"""Metric math: the expression language of GetMetricData, alarms and graphs.  Pure.

``parse`` a text, bring the expressions of a request into ``evaluation_order``, then ``evaluate``
each over the results of the queries that it names.  ``check`` does the same without data, for
whoever only stores an expression.
"""

from openecs.planning.metric_math.evaluation import Context, Result, check, evaluate, evaluation_order
from openecs.planning.metric_math.search import MAX_RESULTS, Search, find
from openecs.planning.metric_math.series import Array, MetricMathError, Range, Series
from openecs.planning.metric_math.syntax import Expression, parse

__all__ = [
    "MAX_RESULTS",
    "Array",
    "Context",
    "Expression",
    "MetricMathError",
    "Range",
    "Result",
    "Search",
    "Series",
    "check",
    "evaluate",
    "evaluation_order",
    "find",
    "parse",
]
