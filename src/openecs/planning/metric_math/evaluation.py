"""Evaluation of parsed expressions over given series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from openecs.planning.metric_math.functions import FUNCTIONS
from openecs.planning.metric_math.operators import negative, operate
from openecs.planning.metric_math.search import Search
from openecs.planning.metric_math.series import (
    MAX_SERIES,
    Array,
    Keyword,
    MetricMathError,
    Range,
    Series,
    Value,
    type_names,
)
from openecs.planning.metric_math.syntax import Call, Expression, Listing, Name, Negation, Node, Number, Operation, Text

#: What one query gives: a metric gives a series, an expression a series or an array.
Result = Series | Array


@dataclass(frozen=True, slots=True)
class Context:
    """What an expression may ask for besides the queries that it names."""

    range: Range
    #: The ids of the request's metrics (not its expressions) in its order: what METRICS() gives.
    metrics: Sequence[str] = ()
    #: The series of a SEARCH; the caller finds the metrics (``search.find``) and reads their data.
    search: Callable[[Search], Iterable[Series]] = field(default=lambda _search: ())


def evaluate(expression: Expression, series: Mapping[str, Result], context: Context) -> Result:
    """The expression's result; ``series`` are the results of the queries that it names, by id.

    Raises ``MetricMathError`` for what does not fit together, whatever the data are.  A result
    that is one series has no label of its own if it comes from several.
    """
    result = _Evaluation(series, context).value(expression.root)
    if isinstance(result, Series | tuple):
        return result
    raise MetricMathError(
        "The final result of an expression must be a time series or an array of time series, "
        f"not '{type_names(result)}'."
    )


def check(expression: Expression, series: Mapping[str, Result], metrics: Sequence[str]) -> Result:
    """Raise what ``evaluate`` would raise; returns an empty result of the same type.

    ``series`` needs no data: ``Series()`` for a metric, what ``check`` returned for an expression.
    """
    return evaluate(expression, series, Context(Range(0.0, 0.0, 60), metrics))


def evaluation_order(expressions: Mapping[str, Expression]) -> list[str]:
    """The ids of expressions, each after those that it refers to; raises ``MetricMathError`` for a circle."""
    graph = {name: expression.names() & expressions.keys() for name, expression in expressions.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise MetricMathError(f"Circular dependency between the expressions {' -> '.join(error.args[1])}.") from None


class _Evaluation:
    def __init__(self, series: Mapping[str, Result], context: Context) -> None:
        self._series = series
        self._context = context

    def value(self, node: Node) -> Value | str:
        match node:
            case Number():
                return node.value
            case Text():
                return node.value
            case Name():
                return self._named(node.name)
            case Negation():
                return negative(self.value(node.operand))
            case Operation():
                return self._operation(node)
            case Listing():
                return self._array(node)
            case Search():
                return tuple(self._context.search(node))
            case Call():
                return self._call(node)

    def _named(self, name: str) -> Value | str:
        found = self._series.get(name)
        if found is not None:
            return found
        if name.isupper():
            return Keyword(name)
        raise MetricMathError(f"ID '{name}' not found")

    def _operation(self, node: Operation) -> Value:
        """``m1+m2+…`` is a tree as deep as it is long, to the left: go down without recursion."""
        chain: list[Operation] = []
        left: Node = node
        while isinstance(left, Operation):
            chain.append(left)
            left = left.left
        result = self.value(left)
        for operation in reversed(chain):
            result = operate(operation.operator, result, self.value(operation.right))
        assert not isinstance(result, str)  # noqa: S101 -- the chain is not empty
        return result

    def _array(self, node: Listing) -> Array:
        array: list[Series] = []
        for member in map(self.value, node.members):
            match member:
                case Series():
                    array.append(member)
                case tuple():
                    array += member
                case _:
                    raise MetricMathError(f"Unsupported operand type(s) for []: '{type_names(member)}'")
        if len(array) > MAX_SERIES:
            raise MetricMathError(f"An array has more than {MAX_SERIES} time series.")
        return tuple(array)

    def _call(self, node: Call) -> Value:
        match node:
            case Call("METRICS", ()):
                return self._metrics("")
            case Call("METRICS", (Text(part),)):
                return self._metrics(part)
            case Call("PERIOD", (Name(name),)) if name in self._context.metrics:
                metric = self._series.get(name)
                if isinstance(metric, Series):
                    return float(metric.period)
        function = FUNCTIONS.get(node.function)
        if function is None and node.function not in {"METRICS", "PERIOD"}:
            raise MetricMathError(f"Unsupported function '{node.function}'")
        arguments = tuple(map(self.value, node.arguments))
        result = function(self._context.range, arguments) if function is not None else None
        if result is None:
            raise MetricMathError(f"Unsupported operand type(s) for {node.function}: '{type_names(*arguments)}'")
        return result

    def _metrics(self, part: str) -> Array:
        found = (self._series.get(name) for name in self._context.metrics if part in name)
        return tuple(series for series in found if isinstance(series, Series))
