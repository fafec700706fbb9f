"""The cluster query language: what holds for an instance, and where errors point."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openecs.planning.cluster_query import InstanceFacts, QueryError, parse

FACTS = InstanceFacts(
    agent_connected=True,
    agent_version="1.105.1",
    ec2_instance_id="i-0abc",
    registered_at=1_700_000_000.0,
    running_tasks_count=3,
    attributes={"ecs.instance-type": "t2.small", "ecs.availability-zone": "us-east-1a", "stack": "prod", "gpu": ""},
    task_groups=frozenset({"service:web", "family:job"}),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("attribute:ecs.instance-type == t2.small", True),
        ("attribute:ecs.instance-type equals t2.medium", False),
        ("attribute:ecs.instance-type != t2.medium", True),
        ("attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", True),
        ("attribute:ecs.availability-zone not_in [us-east-1a, us-east-1b]", False),
        ("attribute:ecs.availability-zone !in [us-east-1c]", True),
        ("attribute:ecs.instance-type =~ t2.*", True),
        ("attribute:ecs.instance-type matches t2", False),
        ("attribute:ecs.instance-type !~ g2.*", True),
        ("attribute:ecs.instance-type =~ [st][12].(small|large)", True),
        ("attribute:ecs.instance-type =~ (t2|t3).small", True),
        ("(attribute:ecs.instance-type =~ (t2|t3).small) and agentConnected == false", False),
        ("(agentConnected == false or attribute:ecs.instance-type =~ t2.+)", True),
        ("attribute:ecs.instance-type =~ '(t2|t3) small'", False),
        ("attribute:stack exists", True),
        ("attribute:gpu exists", True),
        ("attribute:none exists", False),
        ("attribute:none !exists", True),
        ("attribute:none not_exists", True),
        ("attribute:none == x", False),
        ("attribute:none != x", True),
        ("task:group == service:web", True),
        ("task:group == service:db", False),
        ("not(task:group == database)", True),
        ("not (task:group == service:web)", False),
        ("!(task:group == service:web)", False),
        ("runningTasksCount < 5", True),
        ("runningTasksCount >= 4", False),
        ("runningTasksCount == 3", True),
        ("agentConnected == true", True),
        ("agentVersion > 1.9.0", True),
        ("ec2InstanceId in ['i-0abc', 'i-1']", True),
        ("registeredAt > 2020-01-01", True),
        ("registeredAt < 2020-01-01T00:00:00Z", False),
        ("registeredAt >= 2023-11-14T22:13:20", True),
        ("registeredAt == 2023-11-14T22:13:20+00:00", True),
        ("registeredAt != 2023-11-15T00:13:20+02:00", False),
        ("agentVersion == 1.105.1", True),
        ("agentVersion less_than_equal 1.105", False),
        ("agentVersion greater_than_equal 1.105.1", True),
        ("agentConnected in [true]", True),
        ("task:group in [service:web, service:db]", True),
        ("task:group matches service:.*", True),
        ("task:group not_equals service:web", False),
        ("ec2InstanceId =~ i-0.*", True),
        ("runningTasksCount not_equals 3", False),
        ("attribute:stack == prod and runningTasksCount < 2 or agentConnected == true", True),
        ("attribute:stack == prod && (runningTasksCount < 2 || agentConnected == false)", False),
        ('attribute:stack == "prod"', True),
    ],
)
def test_expressions(text: str, expected: bool) -> None:
    assert parse(text).matches(FACTS) is expected


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("attribute:stack", 16),
        ("attribute:stack is prod", 17),
        ("colour == red", 1),
        ("attribute:a == b extra", 18),
        ("(attribute:a == b", 18),
        ("attribute:a in us-east-1a", 16),
        ("attribute:a =~ [", 16),
        ("runningTasksCount > many", 21),
        ("task:group > a", 12),
        ("agentVersion in [1.2.3]", 14),
        ("agentVersion =~ 1.*", 14),
        ("ec2InstanceId > i-1", 15),
        ("registeredAt > 2018", 16),
        ("registeredAt < 2018-02-31", 16),
        ("runningTasksCount == 1.5", 22),
        ("runningTasksCount exists", 19),
        ("agentConnected exists", 16),
        ('attribute:a "==" b', 13),
        ("attribute:a =~ " + "(" * 1900, 16),
        ("attribute:a == " + "b" * 2000, 2001),
        ("attribute:a =~ (a+)+b", 16),
        ("attribute:b == c and attribute:a !~ '(a|a)*b'", 37),
        ("(" * 60 + "attribute:a == b" + ")" * 60, 51),
    ],
)
def test_errors_point_at_the_column(text: str, column: int) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.column == column


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        expression = parse(text)
    except QueryError:
        return
    assert expression.matches(FACTS) in (True, False)


VALUES = st.sampled_from(["prod", "dev", "t2.small"])
LEAVES = st.builds(lambda value: f"attribute:stack == {value}", VALUES)


@given(st.lists(LEAVES, min_size=1, max_size=4), st.lists(LEAVES, min_size=1, max_size=4))
def test_negation_and_precedence_agree_with_boolean_logic(left: list[str], right: list[str]) -> None:
    conjunctions = [" and ".join(left), " && ".join(right)]
    whole = parse(" or ".join(conjunctions)).matches(FACTS)
    assert whole == any(all(parse(leaf).matches(FACTS) for leaf in leaves) for leaves in (left, right))
    assert parse(f"not ({' or '.join(conjunctions)})").matches(FACTS) == (not whole)
