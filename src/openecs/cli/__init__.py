"""The ``openecs`` command: each command parses, then calls one function."""
