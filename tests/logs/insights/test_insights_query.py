"""Queries of Logs Insights over a handful of events: AWS's documented examples, and what odd lines come to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.logs.insights.lexer import MalformedQueryError
from openecs.logs.insights.query import parse
from openecs.logs.insights.row import event_row

START = 1_700_000_000_000


def run(query: str, *messages: str | dict, step: int = 60_000, limit: int | None = None) -> list[dict[str, str]]:
    """The results over messages that came a minute apart, given newest first."""
    running = parse(query).run(limit)
    texts = [message if isinstance(message, str) else json.dumps(message) for message in messages]
    for number, message in reversed(list(enumerate(texts))):
        at = START + number * step
        if not running.take(event_row(message, at, at + 5, "stream", "000000000000:/app", f"p{number}")):
            break
    return [dict(row) for row in running.results()]


def column(query: str, *messages: str | dict, name: str = "x") -> list[str | None]:
    return [row.get(name) for row in run(query, *messages)]


REQUESTS = (
    {"path": "/a", "latency": 10, "user": {"id": 1}, "tags": ["x", "y"]},
    {"path": "/b", "latency": 30, "user": {"id": 2}},
    {"path": "/a", "latency": 20, "user": {"id": 1}, "error": None},
    "plain text",
)


def test_without_fields_the_message_and_its_time_are_shown_newest_first() -> None:
    assert run("filter @message like /./", "one", "two") == [
        {"@timestamp": "2023-11-14 22:14:20.000", "@message": "two", "@ptr": "p1"},
        {"@timestamp": "2023-11-14 22:13:20.000", "@message": "one", "@ptr": "p0"},
    ]


def test_fields_of_json_are_found() -> None:
    rows = run("fields path, user.id, tags.1 as second, @logStream, @log | filter ispresent(tags.0)", *REQUESTS)
    assert rows == [
        {"path": "/a", "user.id": "1", "second": "y", "@logStream": "stream", "@log": "000000000000:/app", "@ptr": "p0"}
    ]


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("latency > 10", ["/a", "/b"]),
        ("latency >= 10 and path = '/a'", ["/a", "/a"]),
        ('path in ["/b", "/c"]', ["/b"]),
        ('path not in ["/b"] and ispresent(path)', ["/a", "/a"]),
        ("path like 'b' or latency = 10", ["/b", "/a"]),
        ("path =~ /^.b$/", ["/b"]),
        ("path not like /a/ and latency < 100", ["/b"]),
        ("not (latency < 25) and ispresent(latency)", ["/b"]),
        ("latency + 10 * 2 = 40", ["/a"]),
        ("(latency + 10) * 2 = 40", ["/a"]),
        ("latency % 20 = 10 and latency / 3 = 10", ["/b"]),
        ("latency ^ 2 = 400", ["/a"]),
        ("user.id = '2'", ["/b"]),
        ("-latency < -25", ["/b"]),
    ],
)
def test_filters(condition: str, paths: list[str]) -> None:
    assert column(f"fields path | filter {condition}", *REQUESTS, name="path") == paths


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("abs(0 - 5)", "5"),
        ("ceil(1.2)", "2"),
        ("floor(0 - 1.2)", "-2"),
        ("greatest(1, 7, 3)", "7"),
        ("least(4, 2)", "2"),
        ("sqrt(2)", "1.4142"),
        ("log(0)", None),
        ("strlen(@message)", "5"),
        ("toupper(@message)", "HELLO"),
        ("substr(@message, 1, 3)", "ell"),
        ("replace(@message, 'l', 'L')", "heLLo"),
        ("strcontains(@message, 'ell')", "1"),
        ("concat(@message, '-', 1)", "hello-1"),
        ("trim('  x ')", "x"),
        ("ltrim('xxy', 'x')", "y"),
        ("coalesce(nothing, 'other')", "other"),
        ("isempty(nothing)", "1"),
        ("isblank('  ')", "1"),
        ("ispresent(@message)", "1"),
        ("isValidIp('10.0.0.1')", "1"),
        ("isIpv4InSubnet('10.1.2.3', '10.0.0.0/8')", "1"),
        ("isIpInSubnet('x', '10.0.0.0/8')", "0"),
        ("toMillis(@timestamp)", str(START)),
        ("fromMillis(0)", "1970-01-01 00:00:00.000"),
        ("bin(1h)", "2023-11-14 22:00:00.000"),
        ("datefloor(@timestamp, 1d)", "2023-11-14 00:00:00.000"),
        ("dateceil(@timestamp, 1d)", "2023-11-15 00:00:00.000"),
        ("1 / 0", None),
        ("9 ^ 9999", None),
        ("@message * 2", None),
        ("base64Decode(base64Encode('é'))", "é"),
        ("urlDecode(urlEncode('a b/ü'))", "a b/ü"),
    ],
)
def test_functions(expression: str, shown: str | None) -> None:
    assert column(f"fields {expression} as x", "hello") == [shown]


def test_parse_with_stars() -> None:
    message = "user=bob, method:GET, latency := 12"
    rows = run(
        "parse @message 'user=*, method:*, latency := *' as user, method, ms | display user, method, ms + 1 as y",
        message,
    )
    assert rows == [{"user": "bob", "method": "GET", "y": "13", "@ptr": "p0"}]
    assert run("parse 'id=*' as id | filter ispresent(id)", "other") == []


def test_parse_with_a_regular_expression() -> None:
    query = r"parse @message /(?<level>[A-Z]+) (?<rest>.*)/ | stats count(*) as n by level | sort level asc"
    rows = run(query, "INFO a", "WARN b", "INFO c", "nothing")
    assert rows == [{"n": "1"}, {"level": "INFO", "n": "2"}, {"level": "WARN", "n": "1"}]


def test_stats() -> None:
    query = (
        "filter ispresent(latency) | stats count(*), sum(latency), avg(latency) as mean, min(latency), max(latency), "
        "pct(latency, 50), stddev(latency), count_distinct(path), earliest(path), latest(latency) by user.id "
        "| sort mean desc"
    )
    rows = run(query, *REQUESTS)
    assert [row["mean"] for row in rows] == ["30", "15"]
    assert rows[1] == {
        "user.id": "1",
        "count(*)": "2",
        "sum(latency)": "30",
        "mean": "15",
        "min(latency)": "10",
        "max(latency)": "20",
        "pct(latency, 50)": "10",
        "stddev(latency)": "5",
        "count_distinct(path)": "1",
        "earliest(path)": "/a",
        "latest(latency)": "20",
    }


def test_stats_by_time_and_sorting_by_the_name_of_a_call() -> None:
    rows = run("stats count(*) by bin(2m) as t | sort count(*) desc, t asc", *"abcde")
    assert [(row["t"], row["count(*)"]) for row in rows] == [
        ("2023-11-14 22:14:00.000", "2"),
        ("2023-11-14 22:16:00.000", "2"),
        ("2023-11-14 22:12:00.000", "1"),
    ]


def test_stats_of_stats() -> None:
    query = "stats count(*) as n by path | filter ispresent(path) | stats max(n) as most"
    assert run(query, *REQUESTS) == [{"most": "2"}]


def test_stats_of_nothing_is_one_row() -> None:
    assert run("filter @message = 'none' | stats count(*) as n, avg(x)", "a") == [{"n": "0"}]


def test_sort_limit_and_dedup() -> None:
    assert column("fields path, latency as x | sort latency desc | limit 2", *REQUESTS) == ["30", "20"]
    assert column("fields latency as x | filter ispresent(x) | sort path asc, x desc", *REQUESTS) == ["20", "10", "30"]
    assert column("fields path as x | filter ispresent(path) | dedup path", *REQUESTS) == ["/a", "/b"]
    assert column("fields @message as x | limit 1", "a", "b") == ["b"]
    assert len(run("fields @message", *"abcdef", limit=3)) == 3


def test_display_takes_the_place_of_fields() -> None:
    assert run("fields path, latency | display latency | limit 1", REQUESTS[0]) == [{"latency": "10", "@ptr": "p0"}]


def test_quoted_names_comments_and_case() -> None:
    query = "FIELDS `a-b` as x # the rest does not count | nonsense\n| FILTER NOT isEmpty(x)"
    assert column(query, {"a-b": 3}) == ["3"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nonsense x", "the command nonsense is unknown"),
        ("pattern @message", "is not supported by OpenECS"),
        ("fields", "the end of the query"),
        ("filter (a = 1", "expected )"),
        ("filter a = ", "the end of the query"),
        ("limit 0", "whole number"),
        ("limit 1.5", "whole number"),
        ("stats average(x)", "expected a function of stats"),
        ("stats pct(x, 101)", "wrong arguments"),
        ("fields nothing(x)", "unknown function nothing"),
        ("fields strlen()", "wrong number of arguments"),
        ("parse @message '*' as a, b", "as many names"),
        ("parse @message /(x)/", "needs a name"),
        ("filter a like /(/", "cannot be read"),
        ("filter a like /x", "no end"),
        ("fields bin(5 parsecs)", "a period"),
        ("filter a = 1 b", "unexpected symbol found b"),
        ("filter a = 'x", "unexpected symbol found '"),
    ],
)
def test_what_cannot_be_read(query: str, message: str) -> None:
    with pytest.raises(MalformedQueryError, match=message.replace("(", r"\(").replace(")", r"\)")) as caught:
        parse(query)
    assert 0 <= caught.value.start <= caught.value.end <= len(query)


@given(st.text(alphabet=st.sampled_from(list("fieldsatr |,()='\"/*@.0123bin`[]+-<>")), max_size=60))
def test_any_text_is_a_query_or_malformed(query: str) -> None:
    try:
        run(query, "a", {"f": 1})
    except MalformedQueryError:
        return


messages = st.lists(st.one_of(st.text(max_size=8), st.dictionaries(st.sampled_from("ab"), st.integers())), max_size=8)


@given(messages, st.integers(1, 5))
def test_laws(found: list[str | dict], count: int) -> None:
    everything = run("fields a, b", *found)
    assert len(everything) == len(found)
    assert run(f"fields a, b | limit {count}", *found) == everything[:count]
    assert run("stats count(*) as n", *found) == [{"n": str(len(found))}]
    kept, dropped = run("filter a > 3", *found), run("filter not (a > 3)", *found)
    assert len(kept) + len(dropped) == len(found)
    descending = column("fields a as x | filter ispresent(a) | sort a desc", *found)
    assert descending == sorted(descending, key=lambda value: -int(value or 0))
