"""Filter patterns: the language of FilterLogEvents, metric and subscription filters and Live Tail.

``pattern.parse`` makes a pattern of a text.  Nothing here reads or stores events.
"""
