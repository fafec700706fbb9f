"""What scans look for in whole blocks, before they look at messages, never loses a message that matches."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openecs.logs import frame
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.pattern import parse

#: Few, so that documents and patterns meet; with everything that JSON writes in several ways.
TEXTS = st.sampled_from(["error", "a/b", 'say "x"', "C:\\u0065", "tab\tend", "é", "0", "10", "true", "é/error"])
NAMES = st.sampled_from(["level", "a/b", "é", 'q"q'])
NUMBERS = st.sampled_from(["0", "10", "10.0", "1e1", "0.1E2", "1.0", "-0", "4711", "47.11e2"])
SCALARS = st.one_of(
    TEXTS.flatmap(lambda text: written(text)),
    NUMBERS,
    st.sampled_from(["true", "false", "null"]),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(NAMES.flatmap(lambda name: written(name)), inner), max_size=3).map(
            lambda items: "{" + ", ".join(f"{name}: {value}" for name, value in items) + "}"
        )
    ),
    max_leaves=6,
)


@st.composite
def written(draw: st.DrawFn, text: str) -> str:
    """A text as JSON, with any of its characters as its number."""
    return '"' + "".join(draw(_character(one)) for one in text) + '"'


def _character(one: str) -> st.SearchStrategy[str]:
    usual = json.dumps(one, ensure_ascii=False)[1:-1]
    ways = [usual, usual, usual, f"\\u{ord(one):04x}", f"\\u{ord(one):04X}"]
    return st.sampled_from([*ways, "\\/"] if one == "/" else ways)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


STEPS = NAMES.map(lambda name: f"['{name}']") | st.sampled_from(["[0]", "[*]"])
COMPARISONS = st.one_of(
    st.tuples(st.sampled_from(["=", "!="]), st.sampled_from(["{}", "{}*", "*{}", "*{}*"]), TEXTS).map(
        lambda parts: f"{parts[0]} {_quoted(parts[1].format(parts[2]))}"
    ),
    st.tuples(st.sampled_from(["=", "!=", "<", ">="]), NUMBERS).map(" ".join),
    st.sampled_from(["= %err%", "= %^e.*r%", "!= %0%", "= %[01]+%", "= %true|0%"]),
    st.sampled_from(["NOT EXISTS", "IS TRUE", "IS FALSE", "IS NULL"]),
)
CONDITIONS = st.tuples(st.lists(STEPS, min_size=1, max_size=2).map("".join), COMPARISONS).map(
    lambda parts: f"${' '.join(parts)}"
)
JOINED = st.recursive(
    CONDITIONS,
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=2,
)


def found(pattern: str, messages: list[str]) -> list[str]:
    """What a scan of one block finds."""
    data = frame.encode(0, 0, list(range(len(messages))), messages)
    return [event.message for event in frame.decode(data, 1, parse(pattern))]


@settings(max_examples=300)
@example("$.n = 10*", ['{"n": 1e1}'])
@given(JOINED, st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_json_is_found_however_it_is_written(pattern: str, messages: list[str]) -> None:
    pattern = f"{{ {pattern} }}"
    assert found(pattern, messages) == [one for one in messages if parse(pattern).matches(one)]


UNITS = st.sampled_from(["a", "b", "1", " ", ".", "[ab]", "[^a]", "\\d", "\\x61", "\\.", "|", "^", "$", "[[:digit:]]"])
REPEATED = st.tuples(UNITS, st.sampled_from(["", "", "", "*", "?", "{0,2}", "+"])).map("".join)


@given(
    st.lists(REPEATED, min_size=1, max_size=6).map("".join),
    st.lists(st.text("ab1. ]x|{0,2}", max_size=12), min_size=1, max_size=4),
)
def test_whatever_an_expression_finds_is_found(expression: str, messages: list[str]) -> None:
    for pattern in (f"%{expression}%", f"?%{expression}% ?zzz", f"[..., c = %{expression}%]"):
        try:
            parsed = parse(pattern)
        except PatternError:
            continue
        assert found(pattern, messages) == [one for one in messages if parsed.matches(one)]


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ('"a b" c', (("a b",), ("c",))),
        ("?a ?bc", (("a", "bc"),)),
        ("a -b", (("a",),)),
        ("?a ?%b*%", ()),
        ("%order 47[0-9]{2} %", (("order 47",),)),
        ("%ab?c|d%", ()),
        ("{ $.level = error }", (("error", "\\u"), ('"level"', "\\u"))),
        ("{ $.a.b = 4711 }", (('"a"', "\\u"), ('"b"', "\\u"))),
        ("{ $.path = /api/orders* }", (("orders", "\\u"), ('"path"', "\\u"))),
        ("{ $.a = x || $.b != y }", (("x", "\\u", '"b"'),)),
        ("{ $.a NOT EXISTS }", ()),
        ("[a = 4*, b != x, c > 1]", (("4",),)),
    ],
)
def test_needles(pattern: str, needles: tuple[tuple[str, ...], ...]) -> None:
    assert parse(pattern).needles == needles


def test_no_expression_holds_up_a_scan() -> None:
    # A matcher that tries one way after the other would need years for one of these lines.
    lines: list[Any] = ["a" * 50_000, "a" * 50_000 + "c"]
    assert found("%a*a*a*a*a*c%", lines) == lines[1:]
