"""The cluster query language: a parser and what its expressions say of an instance.

``attribute:ecs.instance-type == t2.small and (runningTasksCount < 5 or task:group in [a, b])``

Used by memberOf placement constraints and the filter of ListContainerInstances.  Pure: it
gets facts and says yes or no.  Errors point at the column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from openecs.planning.pattern_cost import takes_too_long


class QueryError(ValueError):
    """The text is no expression; ``column`` counts from 1."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"{message} at column {column}")
        self.column = column


@dataclass(slots=True)
class InstanceFacts:
    """What an expression may ask of a container instance.

    Count and groups of tasks may change; nothing else does.
    """

    agent_connected: bool = False
    agent_version: str = ""
    ec2_instance_id: str = ""
    #: Seconds since the epoch.
    registered_at: float = 0.0
    running_tasks_count: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    #: Groups of the tasks that run on it: ``service:web``, ``family:job``.
    task_groups: Collection[str] = frozenset()


Predicate = Callable[[InstanceFacts], bool]
Reader = Callable[[InstanceFacts], Hashable]

#: As long as an expression may be on AWS.
MAX_LENGTH = 2000
#: Subjects whose values change as tasks come and go.
_OF_TASKS = frozenset({"runningTasksCount", "task:group"})
#: Answers that one expression remembers at most.
_MAX_ANSWERS = 512


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; equal to every other of the same text."""

    text: str
    #: The test whether the expression holds for an instance.
    test: Predicate = field(compare=False)
    #: What it asks for: ``attribute:stack``, ``agentVersion``, …
    subjects: frozenset[str] = field(compare=False)

    @property
    def asks_for_tasks(self) -> bool:
        """Whether tasks that come and go can change the answer for an instance."""
        return not _OF_TASKS.isdisjoint(self.subjects)

    def matches(self, facts: InstanceFacts) -> bool:
        """Whether the expression holds for an instance."""
        return self.test(facts)


def _remembering(predicate: Predicate, readers: tuple[Reader, ...]) -> Predicate:
    """The predicate, asked once for each combination of what it reads: many instances share one."""
    answers: dict[Hashable, bool] = {}
    only = readers[0] if len(readers) == 1 else None

    def remembered(facts: InstanceFacts) -> bool:
        values = only(facts) if only is not None else tuple([read(facts) for read in readers])
        known = answers.get(values)
        if known is None:
            if len(answers) >= _MAX_ANSWERS:
                answers.clear()
            known = answers[values] = predicate(facts)
        return known

    return remembered


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<symbol>&&|\|\||==|!=|>=|<=|=~|!~|[()\[\],]|>|<|!(?=exists|in\b|\(|\s))
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[^\s()\[\],"'=!<>&|~]+(?:[!&|](?![&|=~])[^\s()\[\],"'=!<>&|~]*)*)
      | (?P<bang>!)""",
    re.VERBOSE,
)

_COMPARISONS = {
    "==": "==",
    "equals": "==",
    "!=": "!=",
    "not_equals": "!=",
    ">": ">",
    "greater_than": ">",
    ">=": ">=",
    "greater_than_equal": ">=",
    "<": "<",
    "less_than": "<",
    "<=": "<=",
    "less_than_equal": "<=",
    "=~": "=~",
    "matches": "=~",
    "!~": "!~",
    "not_matches": "!~",
}
_PRESENCE = {"exists": True, "!exists": False, "not_exists": False}
_MEMBERSHIP = {"in": True, "!in": False, "not_in": False}
_EQUALITY = frozenset({"==", "equals", "!=", "not_equals"})
_PATTERNS = frozenset({"=~", "matches", "!~", "not_matches"})
_ORDERED = frozenset(_COMPARISONS) - _PATTERNS
_CHOICES = _EQUALITY | _PATTERNS | _MEMBERSHIP.keys()
_ALLOWED = {
    "agentConnected": _CHOICES,
    "agentVersion": _ORDERED,
    "ec2InstanceId": _CHOICES,
    "registeredAt": _ORDERED,
    "runningTasksCount": _ORDERED,
    "task:group": _CHOICES,
}
#: 2018-06-18T22:28:28+00:00, 2018-06-18T22:28:28Z, 2018-06-18T22:28:28, 2018-06-18
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_SUBJECTS = ("agentConnected", "agentVersion", "ec2InstanceId", "registeredAt", "runningTasksCount", "task:group")


@lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """The expression of a text; raises ``QueryError``."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"more than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    parser = _Parser(_tokenize(text), len(text))
    predicate = parser.disjunction()
    parser.expect_end()
    asks_for_tasks = not _OF_TASKS.isdisjoint(parser.readers)
    test = predicate if asks_for_tasks else _remembering(predicate, tuple(parser.readers.values()))
    return Expression(text, test, frozenset(parser.readers))


def _tokenize(text: str) -> list[_Token]:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise QueryError(f"unexpected character {text[position]!r}", position + 1)
        kind = match.lastgroup or ""
        if kind != "space":
            value = match.group()
            if kind == "quoted":
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            tokens.append(_Token("symbol" if kind == "bang" else kind, value, position + 1))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: disjunction, conjunction, negation, comparison."""

    #: Deeper nesting than anybody writes; keeps hostile input from exhausting the stack.
    MAX_DEPTH = 50

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end_column = length + 1
        self._depth = 0
        #: Reader of each subject met so far.
        self.readers: dict[str, Reader] = {}

    def disjunction(self) -> Predicate:
        terms = [self._conjunction()]
        while self._accept("||", "or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda facts: any(term(facts) for term in terms)

    def expect_end(self) -> None:
        if token := self._peek():
            raise QueryError(f"unexpected {token.text!r}", token.column)

    def _conjunction(self) -> Predicate:
        terms = [self._negation()]
        while self._accept("&&", "and"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else lambda facts: all(term(facts) for term in terms)

    def _negation(self) -> Predicate:
        token = self._peek()
        self._depth += 1
        if self._depth > self.MAX_DEPTH:
            raise QueryError("nested too deeply", token.column if token else self._end_column)
        try:
            if self._accept("!", "not"):
                inner = self._negation()
                return lambda facts: not inner(facts)
            if self._accept("("):
                inside = self.disjunction()
                self._expect(")")
                return inside
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Predicate:
        subject = self._take("a subject")
        read = self.readers[subject.text] = _subject(subject)
        operator = self._take("an operator")
        name = operator.text
        if name == "!" and (following := self._peek()) and following.text in ("exists", "in"):
            self._next += 1
            name = "!" + following.text
        _check_operator(subject, operator, name)
        if name in _PRESENCE:
            wanted = _PRESENCE[name]
            return lambda facts: (read(facts) is not None) == wanted
        if name in _MEMBERSHIP:
            wanted, values = _MEMBERSHIP[name], self._list()
            compare = [_comparison(subject, "==", value) for value in values]
            return lambda facts: any(one(read(facts)) for one in compare) == wanted
        value = self._pattern() if name in _PATTERNS else self._take("a value")
        holds = _comparison(subject, _COMPARISONS[name], value)
        return lambda facts: holds(read(facts))

    def _pattern(self) -> _Token:
        """A pattern without quotes goes on to the next space, or to the end of its parentheses."""
        pattern = self._take("a value")
        if pattern.kind == "quoted":
            return pattern
        text, depth = pattern.text, (pattern.text == "(") - (pattern.text == ")")
        while (token := self._peek()) and token.column == pattern.column + len(text) and token.kind != "quoted":
            depth += (token.text == "(") - (token.text == ")")
            if depth < 0:
                break
            text += token.text
            self._next += 1
        return pattern._replace(text=text)

    def _list(self) -> list[_Token]:
        opening = self._take("a list")
        if opening.text != "[":
            raise QueryError("expected a list in brackets", opening.column)
        values = [self._take("a value")]
        while self._accept(","):
            values.append(self._take("a value"))
        self._expect("]")
        return values

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            raise QueryError(f"expected {what}", self._end_column)
        self._next += 1
        return token

    def _accept(self, *texts: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "quoted" or token.text not in texts:
            return False
        self._next += 1
        return True

    def _expect(self, text: str) -> None:
        token = self._take(f"{text!r}")
        if token.text != text:
            raise QueryError(f"expected {text!r}", token.column)


def _check_operator(subject: _Token, operator: _Token, name: str) -> None:
    """Every subject has the operators that AWS documents for it; attributes have all."""
    allowed = _ALLOWED.get(subject.text)
    known = _COMPARISONS.keys() | _PRESENCE.keys() | _MEMBERSHIP.keys()
    if operator.kind == "quoted" or name not in known:
        raise QueryError(f"unknown operator {operator.text!r}", operator.column)
    if allowed is not None and name not in allowed:
        raise QueryError(f"{subject.text} cannot be used with {name}", operator.column)


def _subject(token: _Token) -> Reader:
    """The reader of a subject; an absent attribute reads as ``None``."""
    name = token.text
    if name.startswith("attribute:") and len(name) > len("attribute:"):
        attribute = name.removeprefix("attribute:")
        return lambda facts: facts.attributes.get(attribute)
    readers: dict[str, Reader] = {
        "agentConnected": lambda facts: "true" if facts.agent_connected else "false",
        "agentVersion": lambda facts: facts.agent_version or None,
        "ec2InstanceId": lambda facts: facts.ec2_instance_id or None,
        "registeredAt": lambda facts: facts.registered_at,
        "runningTasksCount": lambda facts: float(facts.running_tasks_count),
        "task:group": lambda facts: frozenset(facts.task_groups),
    }
    if name not in readers:
        known = ", ".join(_SUBJECTS)
        raise QueryError(f"unknown subject {name!r} (known: attribute:NAME, {known})", token.column)
    return readers[name]


def _comparison(subject: _Token, operator: str, value: _Token) -> Callable[[object], bool]:
    """A test of one subject's value.  An absent value only satisfies the negative operators."""
    if operator in ("=~", "!~"):
        try:
            pattern = re.compile(value.text)
            too_long = takes_too_long(value.text)
        except (re.error, OverflowError, RecursionError) as error:
            raise QueryError(f"invalid pattern: {error}", value.column) from None
        if too_long:
            raise QueryError(
                "pattern that may take too long: repeat nothing that is itself repeated, and use * and + twice at most",
                value.column,
            )
        wanted = operator == "=~"
        return lambda actual: any(pattern.fullmatch(text) for text in _texts(actual)) == wanted
    if operator in ("==", "!="):
        wanted = operator == "=="
        if subject.text in ("registeredAt", "runningTasksCount"):
            number = _number(subject, value)
            return lambda actual: (actual == number) == wanted
        return lambda actual: (value.text in _texts(actual)) == wanted
    return _ordering(subject, operator, value)


def _ordering(subject: _Token, operator: str, value: _Token) -> Callable[[object], bool]:
    tests: dict[str, Callable[[object, object], bool]] = {
        ">": lambda a, b: a > b,  # type: ignore[operator]
        ">=": lambda a, b: a >= b,  # type: ignore[operator]
        "<": lambda a, b: a < b,  # type: ignore[operator]
        "<=": lambda a, b: a <= b,  # type: ignore[operator]
    }
    test = tests[operator]
    if subject.text == "agentVersion":
        version = _version(value.text)
        return lambda actual: isinstance(actual, str) and test(_version(actual), version)
    if subject.text in ("registeredAt", "runningTasksCount"):
        number = _number(subject, value)
        return lambda actual: actual is not None and test(actual, number)
    return lambda actual: _ordered(actual, value.text, test)


def _ordered(actual: object, expected: str, test: Callable[[object, object], bool]) -> bool:
    """Compare attribute values as numbers when both are numbers, as texts otherwise."""
    if not isinstance(actual, str):
        return False
    try:
        return test(float(actual), float(expected))
    except ValueError:
        return test(actual, expected)


def _texts(actual: object) -> frozenset[str] | tuple[str, ...]:
    if isinstance(actual, frozenset):
        return actual
    return () if actual is None else (str(actual),)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,18}", text))


def _number(subject: _Token, value: _Token) -> float:
    """Seconds since the epoch of a date, or a number of tasks."""
    if subject.text == "registeredAt":
        try:
            if not _DATE.fullmatch(value.text):
                raise ValueError
            moment = datetime.fromisoformat(value.text)
        except ValueError:
            expected = "a date like 2018-06-18 or 2018-06-18T22:28:28Z"
            raise QueryError(f"{value.text!r} is not {expected}", value.column) from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not value.text.isascii() or not value.text.isdigit():
        raise QueryError(f"{value.text!r} is no number", value.column)
    return float(value.text)
