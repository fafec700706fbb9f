"""The records of OpenECS and the rules that only need the records themselves.

Everything here is frozen and free of I/O.  Field names are AWS's, in snake case; times are
seconds since the epoch; cpu is in CPU units (1024 to a core) and memory in MiB.
Records are what the journal stores; shapes (``openecs.shapes``) are what the wire speaks.
A field that is added to a record needs a default, or old journals could not be read.
"""
