"""The rules of composite alarms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.alarms.rule import RuleError, children, holds, parse, supporters

STATES = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA"}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("TRUE", True),
        ("False", False),
        ('ALARM("a")', True),
        ("ALARM(a)", True),
        ("ALARM( 'a' )", True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:000000000000:alarm:a")', True),
        ("OK(a)", False),
        ("INSUFFICIENT_DATA(c)", True),
        ("NOT OK(b)", False),
        ("NOT NOT ALARM(a)", True),
        ("ALARM(a) OR ALARM(b) AND ALARM(c)", True),
        ("(ALARM(a) OR ALARM(b)) AND ALARM(c)", False),
        ("NOT ALARM(b) AND OK(b)", True),
        ("ALARM(a)\n AND\tOK(b)", True),
        ("ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)", False),
    ],
)
def test_rules(text, truth):
    assert holds(parse(text), STATES) is truth


NO_RULES = ["", " ", "x", "ALARM", "ALARM()", "ALARM(a", "ALARM(a) OK(b)", "ALARM(a) AND", "AND", "NOT", "MAYBE(a)"]
NO_BRACKETS = ["(TRUE", "TRUE)"]
TOO_LONG = ["(" * 5000 + "TRUE" + ")" * 5000, " OR ".join(f"ALARM(a{n})" for n in range(101))]


@pytest.mark.parametrize("text", [*NO_RULES, *NO_BRACKETS, *TOO_LONG])
def test_what_is_no_rule(text):
    with pytest.raises(RuleError):
        parse(text)


def test_children_are_named_once_in_their_order():
    assert children(parse('ALARM(b) OR (OK("a") AND NOT ALARM("b"))')) == ("b", "a")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ALARM(a) OR ALARM(b)", ("a",)),
        ("ALARM(a) AND OK(b)", ("a", "b")),
        ("ALARM(b) OR ALARM(c)", ("b", "c")),
        ("ALARM(a) AND ALARM(c)", ("c",)),
        ("NOT ALARM(a)", ("a",)),
        ("ALARM(gone)", ()),
    ],
)
def test_which_alarms_made_it_so(text, names):
    assert supporters(parse(text), STATES) == names


leaf = st.builds(lambda state, name: f"{state}({name})", st.sampled_from(["ALARM", "OK"]), st.sampled_from("abc"))
rules = st.recursive(
    leaf | st.sampled_from(["TRUE", "FALSE"]),
    lambda inner: (
        st.builds(lambda a, word, b: f"({a} {word} {b})", inner, st.sampled_from(["AND", "OR"]), inner)
        | inner.map(lambda a: f"NOT {a}")
    ),
    max_leaves=8,
)


@given(rules)
def test_supporters_alone_decide(text):
    rule = parse(text)
    states = dict(STATES)
    truth = holds(rule, states)
    assert holds(parse(f"NOT ({text})"), states) is not truth
    for other in set(states) - set(supporters(rule, states)):
        for changed in ("ALARM", "OK", "INSUFFICIENT_DATA"):
            assert holds(rule, states | {other: changed}) is truth
