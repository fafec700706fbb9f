"""SEARCH by the examples of CloudWatch's documentation."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.metric_math import MAX_RESULTS, Context, Range, Series, evaluate, find, parse
from openecs.planning.metric_math.search import matches
from openecs.planning.metric_math.search_syntax import SearchSyntaxError, parse_search
from openecs.planning.metric_math.search_tokens import tokens


class Metric(NamedTuple):
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CustomCount1", ("custom", "count", "1")),
        ("SDBFailure", ("sdb", "failure")),
        ("Project2-trial333", ("project", "2", "trial", "333")),
        ("Network-Errors_2", ("network", "errors", "2")),
        ("couNT", ("cou", "nt")),
        ("t2.micro", ("t", "2", "micro")),
        ("größe", ("gr", "öß", "e")),
        ("--", ()),
    ],
)
def test_tokens_of_the_documentation(text: str, expected: tuple[str, ...]) -> None:
    assert tokens(text).lower == expected


CUSTOM = Metric("MyNamespace", "CustomCount1")
NETWORK = Metric("My Namespace", "NetworkErrors2", (("Dimension@Name", "Network-Errors-2"),))
EUROPE = Metric("N", "Europe\\France Traffic(Network)")
I1 = Metric("AWS/EC2", "CPUUtilization", (("InstanceId", "i-1234567890123456"),))
I2 = Metric("AWS/EC2", "CPUUtilization", (("InstanceId", "i-0abc"),))
MICRO = Metric("AWS/EC2", "CPUUtilization", (("InstanceType", "t2.micro"),))
BOTH = Metric("AWS/EC2", "CPUUtilization", (("ImageId", "ami"), ("InstanceId", "i-0abc")))
EBS = Metric("AWS/EBS", "VolumeReadOps", (("VolumeId", "vol-ProjectA"),))
ERRORS = Metric("AWS/Lambda", "Errors", (("FunctionName", "any"),))
INVOKED_A = Metric("AWS/Lambda", "Invocations", (("FunctionName", "myProjectA"),))
INVOKED_C = Metric("AWS/Lambda", "Invocations", (("FunctionName", "myProjectC"),))
METRICS = [CUSTOM, NETWORK, EUROPE, I1, I2, MICRO, BOTH, EBS, ERRORS, INVOKED_A, INVOKED_C]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # One token in any case; several as they stand.
        ("count", [CUSTOM]),
        ("COUNT", [CUSTOM]),
        ("couNT", []),
        ("CustomCount", [CUSTOM]),
        ("Count1", [CUSTOM]),
        ("customcount", []),
        ("count1", []),
        ("customcount1", [CUSTOM]),
        *[(term, [NETWORK]) for term in ("network/errors", "network+errors", "network-errors", "Network_Errors")],
        # Exact matches.
        ('{MyNamespace}, "CustomCount1" ', [CUSTOM]),
        ('{MyNamespace}, "customcount1" ', []),
        ('{MyNamespace}, "Custom" ', []),
        ('{"My Namespace", "Dimension@Name"}, "Network-Errors-2"', [NETWORK]),
        ('"Network_Errors_2"', []),
        (r'"Europe\\France Traffic\(Network\)"', [EUROPE]),
        ('"AWS/EC2" MetricName="CPUUtilization"', [I1, I2, MICRO, BOTH]),
        # Schemas: all dimensions of the metric, no more.
        ('{AWS/EC2,InstanceId} MetricName="CPUUtilization"', [I1, I2]),
        ("{AWS/EC2, InstanceId, ImageId}", [BOTH]),
        ("{AWS/EC2}", [I1, I2, MICRO, BOTH]),
        # Properties.
        ("InstanceType=micro", [MICRO]),
        ('InstanceType="t2.micro" Namespace="AWS/EC2"', [MICRO]),
        ('InstanceType="micro"', []),
        # Boolean operators.
        ('{AWS/EC2,InstanceId} MetricName="CPUUtilization" NOT i-1234567890123456', [I2]),
        ("NOT Namespace=AWS", [CUSTOM, NETWORK, EUROPE]),
        ('{AWS/EC2} NOT "i-0abc" NOT micro', [I1]),
        ("(EC2 OR EBS) AND MetricName=ReadOps", [EBS]),
        ("(EC2 OR EBS) MetricName=ReadOps", [EBS]),
        ("(EC2 OR EBS) AND ReadOps AND ProjectA", [EBS]),
        (
            '{AWS/Lambda,FunctionName} MetricName="Errors" OR (MetricName="Invocations" AND (ProjectA OR ProjectB))',
            [ERRORS, INVOKED_A],
        ),
        ("and", []),
    ],
)
def test_searches_of_the_documentation(query: str, expected: list[Metric]) -> None:
    parsed = parse_search(query)
    assert [metric for metric in METRICS if matches(parsed, metric)] == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "ends too early"),
        ("{}", "must have a namespace"),
        ("{AWS/EC2", "schema"),
        ("a OR", "ends too early"),
        ("AND a", "Unexpected 'AND'"),
        ("(a", "not closed"),
        ("a)", "Unexpected ')'"),
        ('"a', "quotation mark"),
        ("MetricName=", "must be followed by a term"),
        ("--", "neither letters nor digits"),
        (':aws.AccountId="LOCAL"', "not supported by OpenECS"),
        ("a" * 1025, "more than 1024"),
        ("(" * 100, "nested too deeply"),
        ("NOT " * 100 + "a", "nested too deeply"),
    ],
)
def test_mistakes_are_named(query: str, message: str) -> None:
    with pytest.raises(SearchSyntaxError) as caught:
        parse_search(query)
    assert message in str(caught.value)


def test_results_are_sorted_and_limited() -> None:
    many = [Metric("N", "m", (("Id", f"{number:04}"),)) for number in reversed(range(MAX_RESULTS + 5))]
    found = find(parse_search("{N,Id}"), many)
    assert found == sorted(many)[:MAX_RESULTS]


def test_a_search_is_an_array_in_expressions() -> None:
    expression = parse("""SUM(SEARCH('{AWS/Lambda, FunctionName} MetricName="Errors" ', 'Sum', 300))""")
    (search,) = expression.searches()
    assert (search.statistic, search.period) == ("Sum", 300)
    assert parse("SEARCH('x', 'p99')").searches()[0].period is None
    data = {ERRORS: Series([0.0, 300.0], [1.0, 2.0], 300), INVOKED_A: Series([0.0], [99.0], 300)}
    context = Context(
        Range(0.0, 600.0, 300), search=lambda search: [data[metric] for metric in find(search.query, data)]
    )
    result = evaluate(expression, {}, context)
    assert isinstance(result, Series)
    assert list(result.values) == [1.0, 2.0]


@given(st.text(alphabet='aB1 -"\\(){},=NOTRAD', max_size=60))
def test_any_query_is_parsed_or_refused(query: str) -> None:
    with contextlib.suppress(SearchSyntaxError):
        find(parse_search(query), METRICS)
