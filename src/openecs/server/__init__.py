"""The control plane as a process: composition root, own routes, listening.

Everything is built here by constructors and runs in one ``TaskGroup``.  Nothing else imports
this package but the command line.
"""

from openecs.server.run import run_server

__all__ = ["run_server"]
