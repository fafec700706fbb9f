"""All operations of CloudWatch."""

from __future__ import annotations

from openecs.api.cloudwatch.alarm_history import AlarmHistory
from openecs.api.cloudwatch.alarm_mute_rules import AlarmMuteRules
from openecs.api.cloudwatch.alarm_records import AlarmRecords
from openecs.api.cloudwatch.alarms import Alarms
from openecs.api.cloudwatch.composite_alarms import CompositeAlarms
from openecs.api.cloudwatch.dashboards import Dashboards
from openecs.api.cloudwatch.metric_data import MetricData
from openecs.api.cloudwatch.metric_listing import MetricListing
from openecs.api.cloudwatch.metric_statistics import MetricStatistics
from openecs.api.cloudwatch.metric_widget import MetricWidget
from openecs.api.cloudwatch.tags import CloudWatchTags
from openecs.control.alarm_changes import AlarmChanges
from openecs.metrics.store import MetricStore
from openecs.state.state import State
from openecs.wire.call import Handlers
from openecs.wire.pagination import Pagination


class CloudWatch:
    """CloudWatch over the installation's state and measurements."""

    def __init__(self, state: State, pagination: Pagination, alarm_changes: AlarmChanges, metrics: MetricStore) -> None:
        self._parts = (
            MetricData(metrics),
            MetricStatistics(metrics, pagination),
            MetricListing(metrics, pagination),
            MetricWidget(metrics),
            CloudWatchTags(state),
            Dashboards(state, pagination),
            Alarms(state, pagination, alarm_changes),
            CompositeAlarms(state, AlarmRecords(state, alarm_changes)),
            AlarmHistory(state, pagination),
            AlarmMuteRules(state, pagination),
        )

    def handlers(self) -> Handlers:
        """Operation name → handler."""
        return {name: handler for part in self._parts for name, handler in part.handlers().items()}
