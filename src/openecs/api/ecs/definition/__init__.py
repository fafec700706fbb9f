"""What RegisterTaskDefinition checks and fills in, one concern a module.

The checks are pure: they get a typed request and raise ``AWSError`` or return the part with
AWS's defaults.  None reads or writes state, except ``lookup``, which reads it.
"""
