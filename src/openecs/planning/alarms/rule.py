"""The rule language of composite alarms: ``ALARM("a") AND (OK(b) OR NOT TRUE)``.  Pure.

AND binds more than OR, NOT more than AND.  A rule names alarms or their ARNs, with or without
quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from openecs.model.alarm import AlarmState

#: Alarms that one rule may name, and brackets or NOTs within each other.
MAX_CHILDREN, MAX_DEPTH = 100, 100

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<quoted>[^"]+)"|'(?P<single>[^']+)'|(?P<bare>[^()"'\s]+))\s*\)
        |(?P<constant>TRUE|FALSE)\b
        |(?P<word>AND|OR|NOT)\b
        |(?P<bracket>[()])
    )""",
    re.VERBOSE | re.IGNORECASE,
)


class RuleError(Exception):
    """The text is no rule; says why."""


class Child(NamedTuple):
    """Whether an alarm is in a state.  ``alarm`` is its name."""

    alarm: str
    state: AlarmState


class Constant(NamedTuple):
    """TRUE or FALSE."""

    value: bool


class Not(NamedTuple):
    """The opposite."""

    operand: Rule


class Several(NamedTuple):
    """All of the operands (AND) or any of them (OR)."""

    operands: tuple[Rule, ...]
    all: bool


Rule = Child | Constant | Not | Several


def parse(text: str) -> Rule:
    """The rule of a text; raises ``RuleError``."""
    parser = _Parser(list(_tokens(text)))
    rule = parser.alternatives(0)
    if parser.peek() is not None:
        raise RuleError(f"unexpected '{parser.peek()}'")
    if len(children(rule)) > MAX_CHILDREN:
        raise RuleError(f"a rule can name at most {MAX_CHILDREN} alarms")
    return rule


def children(rule: Rule) -> tuple[str, ...]:
    """The names of the alarms of a rule, each once, in their order."""
    return tuple(dict.fromkeys(child.alarm for child in _leaves(rule)))


def holds(rule: Rule, states: Mapping[str, AlarmState]) -> bool:
    """Whether a rule is true; an alarm that is not in ``states`` is in no state."""
    match rule:
        case Child(alarm, state):
            return states.get(alarm) == state
        case Constant(value):
            return value
        case Not(operand):
            return not holds(operand, states)
        case Several(operands, every):
            return (all if every else any)(holds(operand, states) for operand in operands)


def supporters(rule: Rule, states: Mapping[str, AlarmState]) -> tuple[str, ...]:
    """The alarms because of which a rule is what it is now, in the rule's order."""
    return tuple(dict.fromkeys(_supporters(rule, states)))


def _supporters(rule: Rule, states: Mapping[str, AlarmState]) -> Iterator[str]:
    match rule:
        case Child(alarm):
            if alarm in states:
                yield alarm
        case Not(operand):
            yield from _supporters(operand, states)
        case Several(operands):
            value = holds(rule, states)
            for operand in operands:
                if holds(operand, states) == value:
                    yield from _supporters(operand, states)


def _leaves(rule: Rule) -> Iterator[Child]:
    match rule:
        case Child():
            yield rule
        case Not(operand):
            yield from _leaves(operand)
        case Several(operands):
            for operand in operands:
                yield from _leaves(operand)


def name_of(reference: str) -> str:
    """The name of an alarm that is given by name or ARN."""
    return reference.partition(":alarm:")[2] if reference.startswith("arn:") else reference


def _tokens(text: str) -> Iterator[Child | Constant | str]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise RuleError(f"syntax error at '{text[at : at + 40].strip()}'")
        at = found.end()
        if found["state"]:
            reference = found["quoted"] or found["single"] or found["bare"]
            yield Child(name_of(reference), found["state"].upper())  # type: ignore[arg-type]
        elif found["constant"]:
            yield Constant(found["constant"].upper() == "TRUE")
        else:
            yield (found["word"] or found["bracket"]).upper()


class _Parser:
    """Descends recursively; one method for each kind of operator, the weakest first."""

    def __init__(self, tokens: list[Child | Constant | str]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> Child | Constant | str | None:
        """The next token."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def alternatives(self, depth: int) -> Rule:
        """Operands of OR."""
        return self._several("OR", lambda: self._several("AND", lambda: self._operand(depth)))

    def _several(self, word: str, operand: Callable[[], Rule]) -> Rule:
        operands = [operand()]
        while self.peek() == word:
            self._at += 1
            operands.append(operand())
        return operands[0] if len(operands) == 1 else Several(tuple(operands), word == "AND")

    def _operand(self, depth: int) -> Rule:
        if depth > MAX_DEPTH:
            raise RuleError("it is nested too deeply")
        found = self.peek()
        self._at += 1
        if isinstance(found, Child | Constant):
            return found
        if found == "NOT":
            return Not(self._operand(depth + 1))
        if found == "(":
            rule = self.alternatives(depth + 1)
            if self.peek() != ")":
                raise RuleError("a bracket is not closed")
            self._at += 1
            return rule
        raise RuleError("it ends too early" if found is None else f"unexpected '{found}'")
