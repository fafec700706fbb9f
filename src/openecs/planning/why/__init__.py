"""``openecs why``: the causal timeline of a task, a service, a deployment or a schedule.  Pure.

Records (if still there) and history entries in, answers out.  An answer begins with one
sentence, the cause, and tells what happened in the order in which it did.
"""

from openecs.planning.why.answer import Answer, Failures, Line
from openecs.planning.why.schedule import ScheduleStory, why_schedule
from openecs.planning.why.service import FAILURE_KINDS, ORDER_KINDS, ServiceStory, why_deployment, why_service
from openecs.planning.why.task import TaskStory, final_record, why_remembered, why_task

__all__ = [
    "FAILURE_KINDS",
    "ORDER_KINDS",
    "Answer",
    "Failures",
    "Line",
    "ScheduleStory",
    "ServiceStory",
    "TaskStory",
    "final_record",
    "why_deployment",
    "why_remembered",
    "why_schedule",
    "why_service",
    "why_task",
]
