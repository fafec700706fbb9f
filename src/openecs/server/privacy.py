"""What is stored is its owner's business: modes of files that an earlier version or a copy left open.

New files are made private by the serving processes' umask.
"""

from __future__ import annotations

from pathlib import Path


def make_private(state: Path) -> None:
    """Take the others' permissions off the journal's files and the folder of the log groups."""
    for path in (*state.glob("journal.db*"), state / "logs"):
        if path.exists():
            path.chmod(path.stat().st_mode & 0o700)
