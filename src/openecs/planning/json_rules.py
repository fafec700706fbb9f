"""Rules for JSON documents that users write: what a value must be, and every place where it is not.

A rule is a function of a value, its path (``/widgets/0/x``) and a report.  Mistakes are
worded as CloudWatch words them.  A member that no rule knows is only warned of.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """Something to say about one place of the document."""

    path: str
    message: str


class Report:
    """What was found."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def error(self, path: str, message: str) -> None:
        """Note a mistake."""
        self.errors.append(Finding(path, message))

    def warn(self, path: str, message: str) -> None:
        """Note what is taken all the same."""
        self.warnings.append(Finding(path, message))


Rule = Callable[[Any, str, Report], None]


def anything(_value: Any, _path: str, _report: Report) -> None:
    """No rule."""


def text(pattern: str = "", *, longest: int = 0) -> Rule:
    """A string; of the pattern as a whole, and of no more than ``longest`` characters, if given."""
    compiled = re.compile(pattern)

    def check(value: Any, path: str, report: Report) -> None:
        if not isinstance(value, str):
            report.error(path, "Should be string")
        elif longest and len(value) > longest:
            report.error(path, f"Should NOT be longer than {longest} characters")
        elif pattern and not compiled.fullmatch(value):
            report.error(path, f'Should match pattern "{pattern}"')

    return check


def one_of(*allowed: str) -> Rule:
    """One of some strings."""

    def check(value: Any, path: str, report: Report) -> None:
        if value not in allowed:
            report.error(path, f"Should be equal to one of the allowed values: {', '.join(allowed)}")

    return check


def boolean(value: Any, path: str, report: Report) -> None:
    """``true`` or ``false``."""
    if not isinstance(value, bool):
        report.error(path, "Should be boolean")


def number(value: Any, path: str, report: Report) -> None:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        report.error(path, "Should be number")


def integer(smallest: int, largest: int | None = None) -> Rule:
    """A whole number in a range, both ends included."""

    def check(value: Any, path: str, report: Report) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            report.error(path, "Should be integer")
        elif value < smallest:
            report.error(path, f"Should be >= {smallest}")
        elif largest is not None and value > largest:
            report.error(path, f"Should be <= {largest}")

    return check


def array(rule: Rule, *, most: int, fewest: int = 0) -> Rule:
    """A list whose members all keep a rule."""

    def check(value: Any, path: str, report: Report) -> None:
        if not isinstance(value, list):
            report.error(path, "Should be array")
        elif len(value) > most:
            report.error(path, f"Should NOT have more than {most} items")
        elif len(value) < fewest:
            report.error(path, f"Should NOT have fewer than {fewest} items")
        else:
            for index, member in enumerate(value):
                rule(member, f"{path}/{index}", report)

    return check


def members(rules: Mapping[str, Rule], *required: str, unknown: str = ", will be ignored") -> Rule:
    """An object; ``unknown`` ends the warning of a member without a rule."""

    def check(value: Any, path: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.error(path, "Should be object")
            return
        for name in required:
            if name not in value:
                report.error(path, f"Should have required property '{name}'")
        for name, member in value.items():
            rule = rules.get(name)
            if rule is None:
                report.warn(path, f'The "{name}" property is not expected{unknown}')
            else:
                rule(member, f"{path}/{name}", report)

    return check
