"""Placement: on which node does a task run, and if nowhere, why not.

Filters in ECS's order, then the constraints, then the strategies in the order in which they
are listed.  Pure: candidates, demands and a random source in; choices and explanations out.
An ``Offer`` holds the candidates of a cluster or of the Fargate pool.
"""

from openecs.planning.placement.candidate import ZONE, Candidate
from openecs.planning.placement.demand import DEFAULT_STRATEGY, Demand, Scope, Strategy
from openecs.planning.placement.filters import DISTINCT, FILTERS, MEMBER_OF, Rejection, closest, explain
from openecs.planning.placement.offer import Offer
from openecs.planning.placement.view import View

__all__ = [
    "DEFAULT_STRATEGY",
    "DISTINCT",
    "FILTERS",
    "MEMBER_OF",
    "ZONE",
    "Candidate",
    "Demand",
    "Offer",
    "Rejection",
    "Scope",
    "Strategy",
    "View",
    "closest",
    "explain",
]
