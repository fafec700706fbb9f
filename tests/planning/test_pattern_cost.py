"""Which patterns are refused because they may never come to an end, and which are not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning import pattern_cost
from openecs.planning.pattern_cost import takes_too_long


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "t2.small", "g2.*", "[st][12].(small|large)", "(t2|t3).*", ".*-prod-.*", "a?b?c?"),
        *(
            "(ab|cd)*",
            "([a-z0-9])+",
            r"\d{3}-\d{4}",
            "a{500}",
            "(?i:prod)",
            "^a$",
            "(?=a)a",
            r"(a)\1",
            "a*+",
            "(?>a*)b",
        ),
        "us-east-1[a-f]|eu-west-[123][a-c]",
    ],
)
def test_ordinary_patterns_are_fine(pattern: str) -> None:
    assert not takes_too_long(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+b", "(a*)*b", "(a|a)*b", "(a|ab)*c", "(a?a?)*b", "(a{0,9}){0,99}b", "((a+)b?)+", "(?:(?:a+)+)+$"),
        *(".*a.*b.*c.*", "(?:a?){24}b", "(a{0,9})b(a{0,9})c" * 3, "a*a*a*b"),
        *("a*a*a*a*a*b", ".*.*.*.*.*", "a?" * 40 + "a" * 40, "(a|aa)" * 40, "(?=(a+)+b)a", "(a)?(?(1)(b+)+|c)"),
    ],
)
def test_patterns_with_too_many_ways_are_refused(pattern: str) -> None:
    assert takes_too_long(pattern)


ATOMS = st.sampled_from(["a", "b", ".", "[ab]"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,3}", "*?"])),
    ),
    max_leaves=8,
)


@given(PATTERNS)
def test_what_is_accepted_comes_to_an_end(pattern: str) -> None:
    # A pattern that slipped through would hang here: the value is as long as one may be, and fails.
    if not takes_too_long(pattern):
        re.compile(pattern).fullmatch("a" * 127 + "c")


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        ("a", "LITERAL"),
        ("[^a]", "NOT_LITERAL"),
        (".", "ANY"),
        (r"\d", "IN"),
        ("[ab-c]", "IN"),
        ("^", "AT"),
        (r"(a)\1", "SUBPATTERN GROUPREF"),
        ("(?!)", "FAILURE ASSERT_NOT"),
        ("a*", "MAX_REPEAT"),
        ("a*?", "MIN_REPEAT"),
        ("a*+", "POSSESSIVE_REPEAT"),
        ("(?>a)", "ATOMIC_GROUP"),
        ("(?:ab|cd)", "BRANCH SUBPATTERN"),
        ("(?=a)", "ASSERT"),
        ("(?!a)", "ASSERT_NOT"),
        ("(a)?(?(1)b|c)", "MAX_REPEAT GROUPREF_EXISTS"),
    ],
)
def test_the_parser_of_this_python_says_what_the_estimate_knows(pattern: str, kinds: str) -> None:
    said = {str(kind) for kind, _ in pattern_cost._parser.parse(pattern)}
    assert said <= set(kinds.split())
    assert not takes_too_long(pattern)


def test_what_the_parser_says_is_read_as_it_is_meant() -> None:
    ((_, (least, most, repeated)),) = pattern_cost._parser.parse("a{2,5}")
    assert (least, most, [str(kind) for kind, _ in repeated]) == (2, 5, ["LITERAL"])
    ((_, (_, endless, _)),) = pattern_cost._parser.parse("a*")
    assert endless is pattern_cost.op.MAXREPEAT
    ((_, (_, _, _, inner)),) = pattern_cost._parser.parse("(?i:a.)")
    assert [str(kind) for kind, _ in inner] == ["LITERAL", "ANY"]
    ((_, (_, alternatives)),) = pattern_cost._parser.parse("ab|.d")
    assert len(alternatives) == 2


def test_what_a_later_parser_may_come_to_say_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_cost._parser, "parse", lambda _: [("SOMETHING_NEW", None)])
    assert takes_too_long("a")
