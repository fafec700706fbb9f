"""Which patterns are refused because they may never come to an end, and which are not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.pattern_cost import takes_too_long


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "t2.small", "g2.*", "[st][12].(small|large)", "(t2|t3).*", ".*-prod-.*", ".*a.*b.*c.*", "a?b?c?"),
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
