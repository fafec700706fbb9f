"""What CloudWatch has of something, over the last minutes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from docker_world import World

from openecs.clock import SystemClock


def measured(world: World, namespace: str, name: str, statistic: str = "Sum", **dimensions: str) -> float:
    """One statistic of the last half an hour; 0 where there is nothing."""
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    extended = statistic.startswith("p")
    found: list[dict[str, Any]] = world.installation.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=30),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        **({"ExtendedStatistics": [statistic]} if extended else {"Statistics": [statistic]}),
    )["Datapoints"]
    values = [one["ExtendedStatistics"][statistic] if extended else one[statistic] for one in found]
    return float(sum(values))
