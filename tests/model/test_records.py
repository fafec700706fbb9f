"""What every record can do: be changed, and be read although it was written by an older version."""

from __future__ import annotations

import msgspec

from openecs.model.record import changed
from openecs.model.service import FailureCount, Service
from openecs.shapes import ecs

SERVICE = Service(
    arn="a",
    name="web",
    cluster_arn="c",
    region="eu-west-1",
    status="ACTIVE",
    desired_count=1,
    created_at=1.0,
    deployments=(),
    deployment_configuration=ecs.DeploymentConfiguration(),
)


def test_a_record_that_does_not_differ_stays_the_same_object():
    mark = FailureCount(count=1)
    assert changed(mark, count=1, until=0.0) is mark
    assert changed(mark, count=2) == FailureCount(count=2)


def test_members_that_records_no_longer_have_are_left_out():
    written = msgspec.json.decode(msgspec.json.encode(SERVICE)) | {"not_before": 5.0}
    assert msgspec.json.decode(msgspec.json.encode(written), type=Service) == SERVICE
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(written), type=Service) == SERVICE
