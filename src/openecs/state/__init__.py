"""State: every resource in memory, typed and indexed, durable through a journal.

A transaction is plain synchronous Python: read, decide, put.  Committing hands the changed
records to the journal; whoever wants to tell the outside world waits with ``durable()`` until
the journal has reached the revision that they saw.
"""
