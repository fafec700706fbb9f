"""The task engine: one serial owner per task, a pure machine that decides, a runtime that acts.

``task_machine`` decides and knows no I/O, ``worker`` carries out what it decided for one task,
``engine`` owns all workers.  No two coroutines ever change the same task.
"""
