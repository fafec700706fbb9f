"""When schedules are due: ``rate(…)``, ``cron(…)`` and ``at(…)`` as AWS writes them.  Pure."""
