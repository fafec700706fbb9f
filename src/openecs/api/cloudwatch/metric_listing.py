"""ListMetrics: which metrics have had data lately."""

from __future__ import annotations

import hashlib

import msgspec

from openecs.api.cloudwatch.errors import invalid_value
from openecs.errors import AWSError
from openecs.metrics.metric import MetricKey
from openecs.metrics.query import LISTED_FOR
from openecs.metrics.retention import HOUR
from openecs.metrics.store import MetricStore
from openecs.shapes import cloudwatch as cw
from openecs.wire.call import Call, Handlers
from openecs.wire.pagination import Pagination

PAGE_SIZE = 500
#: Seconds of ``PT3H``.
RECENTLY = 3 * HOUR


class MetricListing:
    """The operation that lists metrics."""

    def __init__(self, store: MetricStore, pagination: Pagination) -> None:
        self._store = store
        self._pagination = pagination

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {"ListMetrics": self.list_all}

    def list_all(self, call: Call, request: cw.ListMetricsInput) -> cw.ListMetricsOutput:
        """The metrics of a region that fit all filters, by namespace, name and dimensions."""
        if request.include_linked_accounts or request.owning_account not in (None, call.account):
            raise invalid_value("The parameters IncludeLinkedAccounts and OwningAccount are not supported by OpenECS.")
        since = call.now - (RECENTLY if request.recently_active else LISTED_FOR)
        found = sorted(
            (
                key
                for key in self._store.metrics(call.region, request.namespace, request.metric_name)
                if self._store.last(key) >= since and _has(key, request.dimensions or ())
            ),
            key=_sorted_by,
        )
        asked = msgspec.json.encode(msgspec.structs.replace(request, next_token=None))
        try:
            page, token = self._pagination.paginate(
                found,
                max_results=None,
                next_token=request.next_token,
                default=PAGE_SIZE,
                limit=PAGE_SIZE,
                scope=f"ListMetrics/{call.region}/{hashlib.sha256(asked).hexdigest()}",
                key=_sorted_by,
            )
        except AWSError:
            raise invalid_value("Request parameter validation failed: Invalid nextToken") from None
        return cw.ListMetricsOutput(metrics=tuple(map(_view, page)), next_token=token)


def _has(key: MetricKey, wanted: tuple[cw.DimensionFilter, ...]) -> bool:
    values = dict(key.dimensions)
    return all(one.name in values and one.value in (None, values[one.name]) for one in wanted)


def _sorted_by(key: MetricKey) -> str:
    return "\0".join([key.namespace, key.name, *(part for pair in key.dimensions for part in pair)])


def _view(key: MetricKey) -> cw.Metric:
    return cw.Metric(
        namespace=key.namespace,
        metric_name=key.name,
        dimensions=tuple(cw.Dimension(name=name, value=value) for name, value in key.dimensions),
    )
