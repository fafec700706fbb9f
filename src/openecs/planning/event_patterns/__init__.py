"""The pattern language of EventBridge rules: patterns compiled to functions.  Pure.

``compile_pattern`` refuses what EventBridge refuses; the ``Pattern`` it gives tells whether an
event, read by ``json_text.read``, matches.
"""

from openecs.planning.event_patterns.compiler import Pattern, compile_pattern
from openecs.planning.event_patterns.errors import InvalidPatternError
from openecs.planning.event_patterns.json_text import read

__all__ = ["InvalidPatternError", "Pattern", "compile_pattern", "read"]
