"""The filter-pattern language: tables after the AWS documentation, and properties."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.pattern import expressions, parse

THREE = ("ERROR WARN message", "ERROR message", "WARN message")
TRAIL = json.dumps(
    {
        "eventType": "UpdateTrail",
        "sourceIPAddress": "111.111.111.111",
        "arrayKey": ["value", "another value"],
        "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
        "SomeObject": None,
        "ThisFlag": True,
        "latency": 512.5,
        "errorCode": 400,
        "code": "400",
        "small": 0.005,
        "two words": "x",
    }
)
USERS = json.dumps(
    {
        "user": {"id": 1, "email": "John.Stiles@example.com"},
        "users": [{"id": 2, "email": "John.Doe@example.com"}, {"id": 3, "email": "Jane.Doe@example.com"}],
        "actions": ["GET", "PUT", "DELETE"],
        "coordinates": [[0, 1, 2], [4, 5, 6], [7, 8, 9]],
    }
)
APACHE = (
    '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 200 1534',
    '127.0.0.1 - frank [10/Oct/2000:13:35:22 -0700] "GET /apache_pb.gif HTTP/1.0" 500 5324',
    '127.0.0.1 - frank [10/Oct/2000:13:50:35 -0700] "GET /index.html HTTP/1.0" 404 4355',
)


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("", "123"),
        ("ERROR", "12"),
        ("error", ""),
        ("RRO", "12"),
        ("ERROR WARN", "1"),
        ("ERROR -WARN", "2"),
        ('"ERROR" - "WARN"', "2"),
        ("-ERROR", "3"),
        ("?ERROR ?WARN", "123"),
        ("?nothing ?WARN", "13"),
        ("ERROR ?nothing", "12"),
        ('"ERROR m"', "2"),
        ("%ERR+OR%", "12"),
        ("%^WARN%", "3"),
        ("%WARN|nothing%", "13"),
        ("message -%^[E-F]%", "3"),
        ("[w1=ERROR, w2]", "2"),
        ("[w1=ERROR || w1=WARN, w2]", "23"),
        ("[w1=ERROR, ...]", "12"),
        ("[..., w=message]", "123"),
        ("[w1!=ERROR, ...]", "3"),
        ("[a, b, c]", "1"),
    ],
)
def test_which_of_three_messages_match(pattern: str, matching: str) -> None:
    parsed = parse(pattern)
    assert "".join(str(n) for n, message in enumerate(THREE, 1) if parsed.matches(message)) == matching


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ $.eventType = "UpdateTrail" }', True),
        ("{ $.eventType = UpdateTrail }", True),
        ('{ $.eventType = "*Trail" }', True),
        ('{ $.eventType = "Up*ail" }', False),
        ('{ $.eventType = "*"}', True),
        ("{ $.eventType != Other* }", True),
        ("{ $.sourceIPAddress != 123.123.* }", True),
        ("{ $.sourceIPAddress = 111.* }", True),
        ("{ $.sourceIPAddress = %^1{3}\\.% }", True),
        ("{ $.sourceIPAddress != %^1{3}\\.% }", False),
        ('{ $.arrayKey[0] = "value" }', True),
        ('{ $.arrayKey[2] = "value" }', False),
        ('{ $.arrayKey[*] = "another value" }', True),
        ("{ $.objectList[1].id = 2 }", True),
        ("{ $.objectList[*].id = 2 }", True),
        ("{ $.objectList[*].id = 3 }", False),
        ("{ $.objectList = 1 }", False),
        ("{ $.objectList != 1 }", False),
        ("{ $.SomeObject IS NULL }", True),
        ("{ $.eventType IS NULL }", False),
        ("{ $.missing IS NULL }", False),
        ("{ $.SomeOtherObject NOT EXISTS }", True),
        ("{ $.SomeObject NOT EXISTS }", False),
        ("{ $.ThisFlag IS TRUE }", True),
        ("{ $.ThisFlag is false }", False),
        ("{ $.missing != 1 }", False),
        ("{ $.latency >= 500 }", True),
        ("{ $.latency > +1000 }", False),
        ("{ $.small < 10e-3 }", True),
        ("{ $.errorCode = 400 }", True),
        ("{ $.errorCode != 500 }", True),
        ("{ $.errorCode = 4e2 }", True),
        ("{ $.code = 400 }", True),
        ("{ $.eventType < 3 }", False),
        ("{ $.['two words'] = x }", True),
        ('{ $["two words"] = x }', True),
    ],
)
def test_conditions_on_json(pattern: str, matches: bool) -> None:
    assert parse(pattern).matches(TRAIL) is matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ('{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }', True),
        ('{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }', False),
        (
            '{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch && $.actions[2] = nomatch }',
            True,
        ),
        (
            '{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = nonmatch) && $.actions[2] = no }',
            False,
        ),
        ("{ $.users != 1 }", False),
        ("{ $.coordinates[*][*] = 8 }", True),
        ("{ $.*.id = 1 }", True),
    ],
)
def test_compound_conditions(pattern: str, matches: bool) -> None:
    assert parse(pattern).matches(USERS) is matches


@pytest.mark.parametrize("message", ["plain", "", "{", '{"a": 1', "12", '"a"', "null"])
def test_what_is_no_json_object_matches_no_json_pattern(message: str) -> None:
    assert not parse("{ $.a NOT EXISTS }").matches(message)


@pytest.mark.parametrize(
    ("pattern", "matching"),
    [
        ("[ip, user, username, timestamp, request, status_code, bytes]", "123"),
        ("[..., status_code, bytes]", "123"),
        ("[ip, user, ...]", "123"),
        ("[ip, user]", ""),
        ("[ip, user, username, timestamp, request, status_code, bytes > 4500]", "2"),
        ("[ip, user, username, timestamp, request, status_code = 200, bytes]", "1"),
        ("[ip, user, username, timestamp, request, status_code = 4*, bytes]", "3"),
        ("[ip, user, username, timestamp, request = *html*, status_code = 4*, bytes]", "3"),
        ("[..., status_code = 4* && status_code != 404, bytes]", ""),
        ("[..., (status_code = 4* || status_code = 5*) && status_code != 404, bytes]", "2"),
        (r"[ip=%127\.0\.0\.[1-9]%, ...]", "123"),
        ("[ip, ..., bytes < 2000]", "1"),
    ],
)
def test_columns(pattern: str, matching: str) -> None:
    parsed = parse(pattern)
    assert "".join(str(n) for n, message in enumerate(APACHE, 1) if parsed.matches(message)) == matching


def test_columns_are_extracted_by_name_or_number() -> None:
    pattern = parse("[..., request=*.html*, status_code=4*,]")
    assert pattern.columns(APACHE[2]) == {
        "$1": "127.0.0.1",
        "$2": "-",
        "$3": "frank",
        "$4": "10/Oct/2000:13:50:35 -0700",
        "$request": "GET /index.html HTTP/1.0",
        "$status_code": "404",
        "$7": "4355",
    }
    assert pattern.value(APACHE[2], "$7") == "4355"
    assert pattern.columns(APACHE[0]) == {}


def test_values_of_json_messages() -> None:
    pattern = parse("{ $.latency = * }")
    assert pattern.value(TRAIL, "$.latency") == "512.5"
    assert pattern.value(TRAIL, "$.missing") is None
    assert pattern.value(TRAIL, "$.objectList") is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a-b", r"Invalid character\(s\) in term 'a-b'"),
        ('"open', "unexpected character"),
        ("{ $.a = 1", "must end with }"),
        ("[a, b", "must end with ]"),
        ("{}", "Expected a property selector"),
        ("{ a = 1 }", "no property selector"),
        ("{ $.a }", "Expected an operator"),
        ("{ $.a = }", "Expected a value"),
        ('{ $.a > "x" }', "needs a number"),
        ("{ ($.a = 1 }", "closing parenthesis"),
        ("{ $.a = 1 $.b = 2 }", "Expected && or"),
        ("{ $.a IS MAYBE }", "Expected TRUE, FALSE or NULL"),
        ("{ $.a NOT HERE }", "Expected EXISTS"),
        ("{ $.a[x] = 1 }", "not valid|unexpected"),
        ("{ $.a[*][*][*][*] = 1 }", "more than 3 wildcards"),
        ("{ $.a = %x% || $.a = %y% || $.a = %z% }", "no more than 2"),
        ("[a, a]", "same name"),
        ("[..., a, ...]", "only one ellipsis"),
        ("[a=1 b]", "Expected a comma"),
        ("[a=1 && b=2]", "needs one name"),
        ("%(a)%", "unsupported character"),
        ("%a!%", "unsupported character"),
        ("%é%", "unsupported character"),
        (r"%\B%", "unsupported escape"),
        ("%a**%", "repeats a repetition"),
        ("%[%", "not valid"),
        ("%a{1001}%", "not valid"),
        ("{" + "(" * 70 + "$.a=1" + ")" * 70 + "}", "fewer parentheses"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        parse(pattern)


def test_expressions_are_counted_outside_of_quotes() -> None:
    assert expressions('{ $.a = "%x%" && $.b = %y% }') == 1


@given(st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = parse(text)
    except PatternError:
        return
    for message in (*THREE, TRAIL, APACHE[0], ""):
        found = pattern.matches(message)
        assert not found or all(any(text in message for text in group) for group in pattern.needles)


@given(st.text("{}[]()$.=!<>&|*%\"' abAND019NOTEXISTS,?-\\", max_size=40))
def test_texts_that_look_like_patterns_never_break_anything(text: str) -> None:
    test_any_text_is_a_pattern_or_refused.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_quoted_term_matches_exactly_the_messages_that_contain_it(term: str, before: str, after: str) -> None:
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", term) + '"'
    assert parse(quoted).matches(before + term + after)
    assert parse(quoted).matches(before) == (term in before)
    assert parse(f"-{quoted}").matches(before) == (term not in before)


VALUES = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6).map(lambda x: round(x, 3)))


@given(VALUES, VALUES)
def test_numbers_compare_as_numbers(value: float, other: float) -> None:
    message = json.dumps({"n": value})
    for sign, wanted in (
        ("<", value < other),
        ("<=", value <= other),
        (">", value > other),
        (">=", value >= other),
        ("=", value == other),
        ("!=", value != other),
    ):
        assert parse(f"{{ $.n {sign} {other!r} }}").matches(message) is wanted


@given(st.lists(st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), min_size=2, max_size=8), st.data())
def test_an_ellipsis_stands_for_any_number_of_columns(words: list[str], data: st.DataObject) -> None:
    left = data.draw(st.integers(0, len(words)))
    right = data.draw(st.integers(0, len(words) - left))
    names = [f"l{n}" for n in range(left)] + ["..."] + [f"r{n}" for n in range(right)]
    columns = parse(f"[{','.join(names)}]").columns(" ".join(words))
    assert [columns[f"$l{n}"] for n in range(left)] == words[:left]
    assert [columns[f"$r{n}"] for n in range(right)] == words[len(words) - right :]
    assert len(columns) == len(words)
