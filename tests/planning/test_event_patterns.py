"""The pattern language of EventBridge, by tables from its documentation and by properties."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.event_patterns import InvalidPatternError, compile_pattern, read


def matches(pattern: Any, event: Any) -> bool:
    return compile_pattern(json.dumps(pattern)).matches(read(json.dumps(event)))


MATCHING: list[tuple[str, Any, Any]] = [
    ("one of several values", {"source": ["aws.ec2", "aws.ecs"]}, {"source": "aws.ecs"}),
    ("a nested field", {"detail": {"state": ["running"]}}, {"detail": {"state": "running", "x": 1}}),
    ("an array shares a value", {"resources": ["b"]}, {"resources": ["a", "b"]}),
    ("an array in an array", {"r": ["b"]}, {"r": [["a"], ["b"]]}),
    ("null", {"x": [None]}, {"x": None}),
    ("empty text", {"x": [""]}, {"x": ""}),
    ("a number", {"x": [300]}, {"x": 300}),
    ("a boolean", {"x": [True]}, {"x": True}),
    ("prefix", {"time": [{"prefix": "2017-10-02"}]}, {"time": "2017-10-02T18:43:48Z"}),
    ("prefix, any case", {"x": [{"prefix": {"equals-ignore-case": "EventB"}}]}, {"x": "eventbridge"}),
    ("suffix", {"f": [{"suffix": ".png"}]}, {"f": "a.png"}),
    ("suffix, any case", {"f": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"f": "a.PNG"}),
    ("any case", {"x": [{"equals-ignore-case": "alICE"}]}, {"x": "AliCe"}),
    ("not a value", {"state": [{"anything-but": "initializing"}]}, {"state": "running"}),
    ("none of the values", {"x": [{"anything-but": [100, 200]}]}, {"x": 300}),
    ("not a text, but a number", {"x": [{"anything-but": "a"}]}, {"x": 3}),
    ("not a prefix", {"x": [{"anything-but": {"prefix": "init"}}]}, {"x": "running"}),
    ("none of the prefixes", {"x": [{"anything-but": {"prefix": ["init", "stop"]}}]}, {"x": "running"}),
    ("not a suffix", {"x": [{"anything-but": {"suffix": ".txt"}}]}, {"x": "a.rtf"}),
    ("not any case", {"x": [{"anything-but": {"equals-ignore-case": ["initializing"]}}]}, {"x": "running"}),
    ("not a wildcard", {"x": [{"anything-but": {"wildcard": "*/lib/*"}}]}, {"x": "a/bin/b"}),
    ("a range", {"x": [{"numeric": [">", 0, "<=", 5]}]}, {"x": 5}),
    ("equal numbers are one, however spelt", {"x": [{"numeric": ["=", 300]}]}, {"x": 3.0e2}),
    ("below", {"x": [{"numeric": ["<", 10]}]}, {"x": -2.5}),
    ("cidr", {"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": "10.0.0.255"}),
    ("cidr of IPv6", {"ip": [{"cidr": "2001:db8::/32"}]}, {"ip": "2001:db8:1::1"}),
    ("exists", {"x": [{"exists": True}]}, {"x": 0}),
    ("exists as null", {"x": [{"exists": True}]}, {"x": None}),
    ("does not exist", {"x": [{"exists": False}]}, {"y": 1}),
    ("does not exist below what is not there", {"a": {"x": [{"exists": False}]}}, {"y": 1}),
    ("absent or a value: absent", {"x": [{"exists": False}, "a"]}, {}),
    ("absent or a value: the value", {"x": [{"exists": False}, "a"]}, {"x": "a"}),
    ("wildcard", {"p": [{"wildcard": "dir/*/*.png"}]}, {"p": "dir/a/b/c.png"}),
    ("wildcard at both ends", {"p": [{"wildcard": "*b*"}]}, {"p": "b"}),
    ("wildcard with a star itself", {"p": [{"wildcard": "a\\*b*"}]}, {"p": "a*bc"}),
    ("wildcard with a backslash itself", {"p": [{"wildcard": "a\\\\*"}]}, {"p": "a\\x"}),
    ("or: first", {"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 1}),
    ("or: second, and more", {"c": [3], "$or": [{"a": [1]}, {"b": [2]}]}, {"b": 2, "c": 3}),
    ("or within", {"detail": {"$or": [{"a": [1]}, {"b": {"c": [2]}}]}}, {"detail": {"b": {"c": 2}}}),
    ("objects in an array", {"e": {"t": ["x"], "v": [1]}}, {"e": [{"t": "y", "v": 1}, {"t": "x", "v": 1}]}),
]

NOT_MATCHING: list[tuple[str, Any, Any]] = [
    ("another value", {"source": ["aws.ec2"]}, {"source": "aws.ecs"}),
    ("a field that is not there", {"x": ["a"]}, {}),
    ("a field of another name", {"X": ["a"]}, {"x": "a"}),
    ("text and number", {"x": ["300"]}, {"x": 300}),
    ("numbers spelt differently", {"x": [300]}, {"x": 300.0}),
    ("true and one", {"x": [1]}, {"x": True}),
    ("null and nothing", {"x": [None]}, {}),
    ("null and empty text", {"x": [None]}, {"x": ""}),
    ("prefix of a number", {"x": [{"prefix": "1"}]}, {"x": 12}),
    ("a value that is not to be", {"x": [{"anything-but": ["a", "b"]}]}, {"x": "a"}),
    ("anything but, of nothing", {"x": [{"anything-but": "a"}]}, {}),
    ("below the range", {"x": [{"numeric": [">", 0, "<=", 5]}]}, {"x": 0}),
    ("a range, of text", {"x": [{"numeric": [">", 0]}]}, {"x": "5"}),
    ("outside of the network", {"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": "10.0.1.0"}),
    ("a network, of text", {"ip": [{"cidr": "10.0.0.0/24"}]}, {"ip": "x"}),
    ("exists, of an object", {"x": [{"exists": True}]}, {"x": {"y": 1}}),
    ("exists, of an empty array", {"x": [{"exists": True}]}, {"x": []}),
    ("does not exist, but does", {"x": [{"exists": False}]}, {"x": None}),
    ("wildcard with too much behind", {"p": [{"wildcard": "*.png"}]}, {"p": "a.png2"}),
    ("wildcard whose ends overlap", {"p": [{"wildcard": "aba*ba"}]}, {"p": "aba"}),
    ("neither of or", {"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 1}),
    ("fields of different objects", {"e": {"t": ["x"], "v": [1]}}, {"e": [{"t": "y", "v": 1}, {"t": "x", "v": 2}]}),
    ("an object in place of a value", {"x": ["a"]}, {"x": {"a": "a"}}),
    ("a value in place of an object", {"x": {"a": ["a"]}}, {"x": "a"}),
]


@pytest.mark.parametrize(("pattern", "event"), [case[1:] for case in MATCHING], ids=[case[0] for case in MATCHING])
def test_it_matches(pattern: Any, event: Any) -> None:
    assert matches(pattern, event)


@pytest.mark.parametrize(
    ("pattern", "event"), [case[1:] for case in NOT_MATCHING], ids=[case[0] for case in NOT_MATCHING]
)
def test_it_does_not_match(pattern: Any, event: Any) -> None:
    assert not matches(pattern, event)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("[]", "Filter is not an object"),
        ("{", "JSON"),
        ("{}", "Empty objects are not allowed"),
        ('{"a": {}}', "Empty objects are not allowed"),
        ('{"a": []}', "Empty arrays are not allowed"),
        ('{"source": "aws.ec2"}', '"source" must be an object or an array'),
        ('{"a": [{"foo": 1}]}', "Unrecognized match type foo"),
        ('{"a": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"a": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed in match expression"),
        ('{"a": [["b"]]}', "Match value must be String, number, true, false, or null"),
        ('{"a": [{"exists": "yes"}]}', "exists match pattern must be either true or false."),
        ('{"a": [{"numeric": []}]}', "Invalid member in numeric match"),
        ('{"a": [{"numeric": [">"]}]}', "Value of > must be numeric"),
        ('{"a": [{"numeric": ["~", 1]}]}', "Unrecognized numeric range operator: ~"),
        ('{"a": [{"numeric": [">", 5, "<", 5]}]}', "Bottom must be less than top"),
        ('{"a": [{"numeric": [">", 6000000000]}]}', "between -5.0E9 and 5.0E9"),
        ('{"a": [{"cidr": "10.0.0.0"}]}', "Malformed CIDR"),
        ('{"a": [{"cidr": "10.0.0.0/33"}]}', "Malformed CIDR"),
        ('{"a": [{"wildcard": "a**b"}]}', "Consecutive wildcard characters at pos 1"),
        ('{"a": [{"wildcard": "a\\\\b"}]}', "Invalid escape character at pos 1"),
        ('{"a": [{"anything-but": []}]}', "Empty arrays are not allowed"),
        ('{"a": [{"anything-but": ["a", 1]}]}', "mixed type is not supported"),
        ('{"a": [{"anything-but": {"numeric": [1]}}]}', "Unsupported anything-but pattern: numeric"),
        ('{"$or": [{"a": [1]}]}', "at least 2 Objects"),
    ],
)
def test_it_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(InvalidPatternError) as raised:
        compile_pattern(pattern)
    assert why in str(raised.value)


def test_too_many_combinations_are_refused() -> None:
    either = [{f"f{n}": [1]} for n in range(11)]
    nested: dict[str, Any] = {"a": {"$or": either}, "b": {"$or": either}, "c": {"$or": either}}
    with pytest.raises(InvalidPatternError, match="too complex"):
        compile_pattern(json.dumps(nested))


def test_what_kinds_of_event_a_pattern_wants_is_known() -> None:
    pattern = compile_pattern('{"source": ["a", "b"], "detail-type": [{"prefix": "x"}]}')
    assert (pattern.sources, pattern.detail_types) == (frozenset({"a", "b"}), None)


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-1000, 1000), st.text(max_size=5))
_NAMES = st.sampled_from("abcd")
_EVENTS = st.dictionaries(
    _NAMES,
    st.one_of(_SCALARS, st.lists(_SCALARS, min_size=1, max_size=3), st.dictionaries(_NAMES, _SCALARS, min_size=1)),
)


def pattern_of(event: dict[str, Any]) -> dict[str, Any]:
    """The pattern that asks for everything an event has."""
    return {
        name: pattern_of(value) if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for name, value in event.items()
    }


@given(_EVENTS.filter(bool), st.dictionaries(_NAMES.map(str.upper), _SCALARS))
def test_an_event_matches_its_own_values_whatever_else_it_has(event: dict[str, Any], more: dict[str, Any]) -> None:
    assert matches(pattern_of(event), {**event, **more})


@given(_EVENTS.filter(bool), _NAMES, _SCALARS)
def test_a_value_is_one_or_is_anything_but_it(event: dict[str, Any], name: str, value: Any) -> None:
    found = event.get(name)
    if type(value) in (str, int) and not isinstance(found, list | dict) and name in event:
        assert matches({name: [value]}, event) != matches({name: [{"anything-but": value}]}, event)


@given(_EVENTS, _NAMES)
def test_a_field_exists_or_does_not(event: dict[str, Any], name: str) -> None:
    assert matches({name: [{"exists": True}]}, event) != matches({name: [{"exists": False}]}, event)


@given(st.lists(st.sampled_from("ab*"), max_size=6), st.text("ab", max_size=6))
def test_wildcards_are_those_of_regular_expressions(parts: list[str], text: str) -> None:
    import re

    wildcard = re.sub(r"\*+", "*", "".join(parts))
    expected = re.fullmatch(wildcard.replace("*", ".*"), text) is not None
    assert matches({"x": [{"wildcard": wildcard}]}, {"x": text}) == expected
