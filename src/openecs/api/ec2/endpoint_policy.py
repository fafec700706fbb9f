"""The form of an endpoint's policy, which EC2 checks before it keeps it.  Pure.

Only the grammar of policies; whether an action or a principal exists is nobody's business here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from openecs.errors import AWSError

#: Characters, blanks included.
LONGEST = 20_480
_VERSIONS = ("2008-10-17", "2012-10-17")
_MEMBERS = frozenset({"Version", "Id", "Statement"})


def checked(text: str) -> str:
    """The policy as it was given.  Raises InvalidPolicyDocument."""
    if len(text) > LONGEST:
        raise _invalid(f"It has more than {LONGEST} characters.")
    try:
        policy = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _invalid(f"Syntax error at position ({error.lineno},{error.colno})") from None
    except RecursionError:
        raise _invalid("It is nested too deeply.") from None
    if not isinstance(policy, dict):
        raise _invalid("It must be a JSON object.")
    _known(policy, _MEMBERS, "the policy")
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise _invalid(f"Version must be one of {', '.join(_VERSIONS)}.")
    if not isinstance(policy.get("Id", ""), str):
        raise _invalid("Id must be a string.")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise _invalid("Statement must hold at least one statement.")
    for statement in statements:
        _check_statement(statement)
    return text


def _check_statement(statement: Any) -> None:
    if not isinstance(statement, dict):
        raise _invalid("A statement must be a JSON object.")
    _known(statement, _STATEMENT.keys(), "a statement")
    for name, (fits, what) in _STATEMENT.items():
        if name in statement and not fits(statement[name]):
            raise _invalid(f"{name} must be {what}.")
    if "Effect" not in statement:
        raise _invalid("A statement must have Effect.")
    for name in ("Principal", "Action", "Resource"):
        if (name in statement) == (f"Not{name}" in statement):
            raise _invalid(f"A statement must have either {name} or Not{name}.")


def _known(members: Mapping[str, Any], names: Any, what: str) -> None:
    unknown = [name for name in members if name not in names]
    if unknown:
        raise _invalid(f"{unknown[0][:64]} is no member of {what}.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))


def _is_principal(value: Any) -> bool:
    return value == "*" or (isinstance(value, dict) and bool(value) and all(map(_is_texts, value.values())))


def _is_condition(value: Any) -> bool:
    tests = value.values() if isinstance(value, dict) else (None,)
    return all(isinstance(test, dict) and all(map(_is_condition_value, test.values())) for test in tests)


def _is_condition_value(value: Any) -> bool:
    return all(isinstance(each, str | int | float) for each in (value if isinstance(value, list) else [value]))


_TEXTS = (_is_texts, "a string or a list of strings")
_PRINCIPAL = (_is_principal, '"*" or an object of principals')
#: Member of a statement → whether a value is one of it, and what it must be.
_STATEMENT: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Sid": (_is_text, "a string"),
    "Effect": (lambda value: value in ("Allow", "Deny"), "Allow or Deny"),
    "Principal": _PRINCIPAL,
    "NotPrincipal": _PRINCIPAL,
    "Action": _TEXTS,
    "NotAction": _TEXTS,
    "Resource": _TEXTS,
    "NotResource": _TEXTS,
    "Condition": (_is_condition, "an object of tests with their keys and values"),
}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _invalid("A member is given more than once.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is no JSON.")


def _invalid(why: str) -> AWSError:
    return AWSError("InvalidPolicyDocument", f"The Policy Document is not valid. {why}")
