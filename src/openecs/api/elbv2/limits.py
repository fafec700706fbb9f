"""The quotas of Elastic Load Balancing, at AWS's default values, and DescribeAccountLimits."""

from __future__ import annotations

from openecs.api.elbv2.paging import Pages
from openecs.shapes import elbv2
from openecs.wire.call import Call, Handlers

APPLICATION_LOAD_BALANCERS = 50
NETWORK_LOAD_BALANCERS = 50
TARGET_GROUPS = 3000
LISTENERS = 50
RULES = 100
CERTIFICATES = 25
TARGETS_PER_GROUP = 1000
GROUPS_PER_ACTION = 5
GROUPS_PER_BALANCER = 100
CONDITION_VALUES = 5
CONDITION_WILDCARDS = 6

#: The names under which AWS lists them.
LIMITS: tuple[tuple[str, int], ...] = (
    ("target-groups", TARGET_GROUPS),
    ("targets-per-application-load-balancer", 1000),
    ("listeners-per-application-load-balancer", LISTENERS),
    ("rules-per-application-load-balancer", RULES),
    ("network-load-balancers", NETWORK_LOAD_BALANCERS),
    ("targets-per-network-load-balancer", 3000),
    ("targets-per-availability-zone-per-network-load-balancer", 500),
    ("listeners-per-network-load-balancer", LISTENERS),
    ("condition-values-per-alb-rule", CONDITION_VALUES),
    ("condition-wildcards-per-alb-rule", CONDITION_WILDCARDS),
    ("target-groups-per-action-on-application-load-balancer", GROUPS_PER_ACTION),
    ("target-groups-per-action-on-network-load-balancer", 1),
    ("target-groups-per-application-load-balancer", GROUPS_PER_BALANCER),
    ("certificates-per-application-load-balancer", CERTIFICATES),
    ("certificates-per-network-load-balancer", CERTIFICATES),
    ("targets-per-target-group", TARGETS_PER_GROUP),
    ("application-load-balancers", APPLICATION_LOAD_BALANCERS),
)


class AccountLimits:
    """The operation that lists the quotas."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"DescribeAccountLimits": self.describe_account_limits}

    def describe_account_limits(
        self, call: Call, request: elbv2.DescribeAccountLimitsInput
    ) -> elbv2.DescribeAccountLimitsOutput:
        """Every quota."""
        page, marker = self._pages.page(
            sorted(LIMITS), request.page_size, request.marker, f"limits/{call.region}", lambda limit: limit[0]
        )
        return elbv2.DescribeAccountLimitsOutput(
            limits=tuple(elbv2.Limit(name=name, max=str(most)) for name, most in page), next_marker=marker
        )
