"""Filter patterns as requests bring them."""

from __future__ import annotations

from openecs.api.logs.errors import invalid_parameter
from openecs.logs.patterns.errors import PatternError
from openecs.logs.patterns.pattern import Pattern, parse


def pattern_of(text: str) -> Pattern:
    """The pattern of a request's text; ``InvalidParameterException`` when it is none."""
    try:
        return parse(text)
    except PatternError as error:
        raise invalid_parameter(str(error)) from None
