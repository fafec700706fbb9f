"""The refusal of an event pattern."""


class InvalidPatternError(ValueError):
    """The text after ``Reason:`` in EventBridge's InvalidEventPatternException."""
