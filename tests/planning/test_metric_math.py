"""Metric math by the tables of CloudWatch's documentation, and what must hold for any input."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.metric_math import (
    Context,
    MetricMathError,
    Range,
    Result,
    Series,
    check,
    evaluate,
    evaluation_order,
    parse,
)
from openecs.planning.metric_math.functions import FUNCTIONS

STEP = 60
#: 2023-11-14 (a Tuesday), 22:13 UTC.
START = 1_700_000_000 - 1_700_000_000 % STEP


def series(*values: float | None, label: str = "") -> Series:
    """One value a minute from START; ``None`` is a missing data point."""
    points = [(float(START + index * STEP), value) for index, value in enumerate(values) if value is not None]
    return Series([at for at, _ in points], [value for _, value in points], STEP, label)


def shown(result: Result, length: int) -> object:
    """A result as ``series`` is written."""
    if isinstance(result, tuple):
        return [shown(member, length) for member in result]
    known = dict(zip(result.timestamps, result.values, strict=True))
    assert set(known) <= {START + index * STEP for index in range(length)}
    return [known.get(START + index * STEP) for index in range(length)]


def calculate(text: str, /, **queries: Series) -> object:
    length = 5
    context = Context(Range(START, START + length * STEP, STEP), metrics=list(queries))
    return shown(evaluate(parse(text), queries, context), length)


DOCUMENTED = {"metric1": series(30, 20, 0, 0), "metric2": series(20, None, 20, None)}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("metric1 < metric2", [0, 0, 1, 0, None]),
        ("metric1 >= 30", [1, 0, 0, 0, None]),
        ("(metric1 > 15 AND metric2 > 15)", [1, 0, 0, 0, None]),
        ("metric1 > 15 && metric2 > 15", [1, 0, 0, 0, None]),
        ("metric1 > 15 OR metric2 > 15", [1, 1, 1, 0, None]),
        ("metric1 > 15 || metric2 > 15", [1, 1, 1, 0, None]),
        ("metric1 == metric2", [0, 0, 0, 1, None]),
        ("metric1 != 0", [1, 1, 0, 0, None]),
        ("metric1 <= 20", [0, 1, 1, 1, None]),
    ],
)
def test_comparisons_of_the_documentation(expression: str, expected: object) -> None:
    assert calculate(expression, **DOCUMENTED) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("IF(metric1, metric2, metric3)", [30, 0, 20, 0, None]),
        ("IF(metric1, metric2)", [30, 0, None, None, None]),
        ("IF(metric1, 5, metric3)", [5, 5, 20, None, None]),
        ("IF(metric1, metric2, 5)", [30, 0, 5, 5, None]),
        ("IF(metric1, 1, 0)", [1, 1, 0, 0, None]),
        ("IF(metric1, 1)", [1, 1, None, None, None]),
        ("IF(1, metric2, metric3)", [30, None, 0, 0, 30]),
        ("IF(0, metric2, metric3)", [0, 0, 20, None, 20]),
        ("IF(0, metric2)", [None] * 5),
        ("IF(metric2 < 20, metric2)", [None, None, 0, 0, None]),
    ],
)
def test_if_of_the_documentation(expression: str, expected: object) -> None:
    queries = {
        "metric1": series(1, 1, 0, 0, None),
        "metric2": series(30, None, 0, 0, 30),
        "metric3": series(0, 0, 20, None, 20),
    }
    assert calculate(expression, **queries) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Arithmetic: a missing data point is 0, a division by zero drops the point.
        ("m1 + m2", [11, 2, 30, 4, None]),
        ("m1 - m2", [-9, 2, -30, 4, None]),
        ("m2 / m1", [10, 0, None, 0, None]),
        ("m1 / 0", [None] * 5),
        ("5 * m1", [5, 10, None, 20, None]),
        ("-5*m1", [-5, -10, None, -20, None]),
        ("-m1 ^ 2", [-1, -4, None, -16, None]),
        ("2 ^ 3 ^ 0 * m1", [2, 4, None, 8, None]),
        ("m1 - 1 - 1", [-1, 0, None, 2, None]),
        ("1 + m1 * 2", [3, 5, None, 9, None]),
        ("(0 - m1) ^ 0.5", [None] * 5),
        ("PERIOD(m1)/60 + m1", [2, 3, None, 5, None]),
        ("SUM(100/[m1, m2])", [110, 50, 100 / 30, 25, None]),
        ("AVG([m1,m2]/m1)", [5.5, 0.5, None, 0.5, None]),
        ("SUM(-[m1, m2])", [-11, -2, -30, -4, None]),
        ("METRICS()*100", [[100, 200, None, 400, None], [1000, None, 3000, None, None]]),
        ("1 - METRICS()", [[0, -1, None, -3, None], [-9, None, -29, None, None]]),
        # Functions of one series.
        ("ABS(m1-m2)", [9, 2, 30, 4, None]),
        ("CEIL(m1/3)", [1, 1, None, 2, None]),
        ("FLOOR(m1/3)", [0, 0, None, 1, None]),
        ("LOG10(m2)", [1, None, math.log10(30), None, None]),
        ("LOG(m1)", [0, math.log(2), None, math.log(4), None]),
        ("LOG(0-m1)", [None] * 5),
        ("DIFF(m1)", [None, 1, None, 2, None]),
        ("DIFF_TIME(m1)", [None, 60, None, 120, None]),
        ("RATE(m1)", [None, 1 / 60, None, 2 / 120, None]),
        ("RUNNING_SUM(m1)", [1, 3, None, 7, None]),
        # Scalars of one series.
        ("m1 - AVG(m1)", [1 - 7 / 3, 2 - 7 / 3, None, 4 - 7 / 3, None]),
        ("m1 - MIN(m1)", [0, 1, None, 3, None]),
        ("MAX(m1)/m1", [4, 2, None, 1, None]),
        ("m1*0 + SUM(m1)/DATAPOINT_COUNT(m1)", [7 / 3, 7 / 3, None, 7 / 3, None]),
        ("m2/STDDEV(m2)", [1, None, 3, None, None]),
        # Across an array.
        ("AVG(METRICS())", [5.5, 1, 15, 2, None]),
        ("SUM(METRICS())", [11, 2, 30, 4, None]),
        ("MIN(METRICS())", [1, 2, 30, 4, None]),
        ("MAX([m1, m2])", [10, 2, 30, 4, None]),
        ("STDDEV([m1, m2])", [4.5, 0, 0, 0, None]),
        ("DATAPOINT_COUNT(METRICS())", [2, 1, 1, 1, None]),
        ("m1/METRIC_COUNT(METRICS())", [0.5, 1, None, 2, None]),
        ('SUM(METRICS("2"))', [10, None, 30, None, None]),
        ('SUM([METRICS("1"), METRICS("2")])', [11, 2, 30, 4, None]),
        # Arrays.
        ("FIRST(METRICS())", [1, 2, None, 4, None]),
        ("LAST(METRICS())", [10, None, 30, None, None]),
        ("FIRST(SORT(METRICS(), AVG, DESC))", [10, None, 30, None, None]),
        ("FIRST(SORT(METRICS(), MAX, ASC))", [1, 2, None, 4, None]),
        ("SORT(METRICS(), SUM, DESC, 1)", [[10, None, 30, None, None]]),
        ("SLICE(SORT(METRICS(), MIN, ASC), 1)", [[10, None, 30, None, None]]),
        ("SLICE(METRICS(), 0, 1)", [[1, 2, None, 4, None]]),
        ("REMOVE_EMPTY([m1, IF(0, m2)])", [[1, 2, None, 4, None]]),
        # FILL.
        ("FILL(m1, 10)", [1, 2, 10, 4, 10]),
        ("FILL(m1, REPEAT)", [1, 2, 2, 4, 4]),
        ("FILL(m1, LINEAR)", [1, 2, 3, 4, None]),
        ("FILL(m2, m1)", [10, 2, 30, 4, None]),
        ("FILL(m1, MIN(m1))", [1, 2, 1, 4, 1]),
        ("FILL(METRICS(), 0)", [[1, 2, 0, 4, 0], [10, 0, 30, 0, 0]]),
        # Without gaps.
        ("TIME_SERIES(10)", [10] * 5),
        ("TIME_SERIES(5*MAX(m1))", [20] * 5),
        ("MINUTE(m1)", [13, 14, 15, 16, 17]),
        ("HOUR(m1)", [22] * 5),
        ("DAY(m1)", [2] * 5),
        ("DAY(m1) ^ DAY(m1)", [4] * 5),
        ("DATE(m1)", [14] * 5),
        ("MONTH(m1)", [11] * 5),
        ("YEAR(m1)", [2023] * 5),
        ("EPOCH(m1)", [START + index * STEP for index in range(5)]),
        ("IF(DAY(m1)<6,m1)", [1, 2, 0, 4, 0]),
    ],
)
def test_functions(expression: str, expected: object) -> None:
    got = calculate(expression, m1=series(1, 2, None, 4, None), m2=series(10, None, 30, None, None))
    assert _close(got, expected), got


def _close(got: object, expected: object) -> bool:
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(_close, got, expected))
    if isinstance(got, float) and isinstance(expected, float | int):
        return math.isclose(got, expected, rel_tol=1e-9, abs_tol=1e-9)
    return got == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("AVG(m1)", "not '[Scalar]'"),
        ("5", "not '[Scalar]'"),
        ("'text'", "not '[String]'"),
        ("REPEAT", "not '[REPEAT]'"),
        ("m9 + 1", "ID 'm9' not found"),
        ("SUM(5)", "Unsupported operand type(s) for SUM: '[Scalar]'"),
        ("SUM(m1, m2)", "Unsupported operand type(s) for SUM: '[TimeSeries, TimeSeries]'"),
        ("METRICS() + METRICS()", "Unsupported operand type(s) for +: '[Array[TimeSeries], Array[TimeSeries]]'"),
        ("METRICS() > 5", "Unsupported operand type(s) for >: '[Array[TimeSeries], Scalar]'"),
        ("m1 + 'a'", "Unsupported operand type(s) for +: '[TimeSeries, String]'"),
        ("-REPEAT", "Unsupported operand type(s) for -: '[REPEAT]'"),
        ("[m1, 5]", "Unsupported operand type(s) for []: '[Scalar]'"),
        ("IF(METRICS(), m1, m2)", "Unsupported operand type(s) for IF"),
        ("IF(1, 2, 3)", "Unsupported operand type(s) for IF"),
        ("FILL(m1)", "Unsupported operand type(s) for FILL"),
        ("FILL(5, 0)", "Unsupported operand type(s) for FILL"),
        ("FILL(m1, METRICS())", "Unsupported operand type(s) for FILL"),
        ("FILL(m1, LATER)", "Unsupported operand type(s) for FILL: '[TimeSeries, LATER]'"),
        ("SORT(METRICS(), STDDEV, ASC)", "Unsupported operand type(s) for SORT"),
        ("SORT(m1, AVG, ASC)", "Unsupported operand type(s) for SORT"),
        ("REMOVE_EMPTY(m1)", "Unsupported operand type(s) for REMOVE_EMPTY"),
        ("DAY(METRICS())", "Unsupported operand type(s) for DAY"),
        ("METRIC_COUNT(m1)", "Unsupported operand type(s) for METRIC_COUNT"),
        ("TIME_SERIES(m1)", "Unsupported operand type(s) for TIME_SERIES"),
        ("PERIOD(m1*2) + m1", "Unsupported operand type(s) for PERIOD: '[TimeSeries]'"),
        ("METRICS(5)", "Unsupported operand type(s) for METRICS: '[Scalar]'"),
        ("avg(m1)", "Unsupported function 'avg'"),
        ("SERVICE_QUOTA(m1)", "SERVICE_QUOTA is not supported by OpenECS"),
        ("ANOMALY_DETECTION_BAND(m1, 2)", "ANOMALY_DETECTION_BAND is not supported by OpenECS"),
        ("LAMBDA('f')", "LAMBDA is not supported by OpenECS"),
        ("SELECT AVG(x) FROM y", "Metrics Insights queries"),
        ("", "Unexpected end"),
        ("m1 +", "Unexpected end"),
        ("(m1", "Unexpected end"),
        ("m1 m2", "Unexpected 'm2'"),
        ("[m1 m2]", "Unexpected 'm2'"),
        ("m1 = 5", "Unexpected character at position 3"),
        ("m1 + ]", "Unexpected ']'"),
        ("SEARCH(m1)", "SEARCH takes a query and a statistic"),
        ("SEARCH('{', 'Sum')", "SEARCH: The schema"),
        ("-" * 500 + "m1", "nested too deeply"),
        ("(" * 500, "nested too deeply"),
    ],
)
def test_mistakes_are_named(expression: str, message: str) -> None:
    with pytest.raises(MetricMathError) as caught:
        calculate(expression, m1=series(1), m2=series(2))
    assert message in str(caught.value)


def test_labels_stay_where_series_stay_apart() -> None:
    result = evaluate(
        parse("FILL(METRICS(), 0) * 2"),
        {"a": series(1, label="one"), "b": series(2, label="two")},
        Context(Range(START, START + STEP, STEP), metrics=["a", "b"]),
    )
    assert isinstance(result, tuple)
    assert [member.label for member in result] == ["one", "two"]


def test_a_very_long_sum_is_no_deep_tree() -> None:
    text = "+".join(["m1"] * 2000)
    assert calculate(text, m1=series(1)) == [2000, None, None, None, None]
    assert parse(text).names() == {"m1"}


def test_expressions_come_after_what_they_need() -> None:
    expressions = {"e3": parse("e2 + 1"), "e1": parse("m1 * 2"), "e2": parse("e1 + SUM(METRICS())")}
    assert evaluation_order(expressions) == ["e1", "e2", "e3"]
    with pytest.raises(MetricMathError, match="Circular dependency between the expressions"):
        evaluation_order({"e1": parse("e2"), "e2": parse("e1")})


OPERATORS = ["+", "-", "*", "/", "^", "<", "==", "AND", "OR"]
EXPRESSIONS = st.recursive(
    st.sampled_from(["m1", "m2", "e1", "METRICS()", "0", "2", "1e308", "SEARCH('x', 'Sum')", "'t'", "REPEAT", "AVG"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda p: f"({' '.join(p)})"),
        inner.map(lambda text: f"-{text}"),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        st.tuples(
            st.sampled_from([*FUNCTIONS, "METRICS", "PERIOD"]),
            st.lists(inner, max_size=3),
        ).map(lambda call: f"{call[0]}({', '.join(call[1])})"),
    ),
    max_leaves=12,
)
VALUES = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=5)


@given(EXPRESSIONS, VALUES, VALUES)
def test_any_expression_gives_finite_points_or_its_own_error(
    text: str, one: list[float | None], two: list[float | None]
) -> None:
    queries: dict[str, Result] = {"m1": series(*one), "m2": series(*two), "e1": (series(1), series(None, 3))}
    context = Context(Range(START, START + 5 * STEP, STEP), metrics=["m1", "m2"])
    kinds: dict[str, Result] = {"m1": Series(), "m2": Series(), "e1": ()}
    mistake = None
    try:
        result = evaluate(parse(text), queries, context)
    except MetricMathError as error:
        mistake = str(error)
    if mistake is not None:
        # A check without data finds the very same mistake.
        with pytest.raises(MetricMathError) as caught:
            check(parse(text), kinds, ["m1", "m2"])
        assert str(caught.value) == mistake
        return
    assert isinstance(check(parse(text), kinds, ["m1", "m2"]), tuple) == isinstance(result, tuple)
    for member in result if isinstance(result, tuple) else (result,):
        assert len(member.timestamps) == len(member.values)
        assert list(member.timestamps) == sorted(set(member.timestamps))
        assert all(map(math.isfinite, member.values))


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(MetricMathError):
        parse(text)


@given(VALUES, st.floats(allow_nan=False, allow_infinity=False))
def test_laws_of_fill_and_if(values: list[float | None], filler: float) -> None:
    metric = series(*values)
    queries = {"m1": metric}
    context = Context(Range(START, START + 5 * STEP, STEP), metrics=["m1"])
    number = f"({filler!r})"
    filled = evaluate(parse(f"FILL(m1, {number})"), queries, context)
    assert isinstance(filled, Series)
    # FILL leaves no gap, changes no data point, and does nothing the second time.
    assert len(filled.values) == 5
    known = dict(zip(metric.timestamps, metric.values, strict=True))
    assert [known.get(at, filler) for at in filled.timestamps] == list(filled.values)
    again = evaluate(parse(f"FILL(FILL(m1, {number}), 1)"), queries, context)
    assert again == filled
    # IF with a true condition is its second argument, with a false one its third.
    assert evaluate(parse("IF(m1 == m1, m1, 7)"), queries, context) == metric
    assert evaluate(parse("IF(m1 != m1, 7, m1)"), queries, context) == metric
