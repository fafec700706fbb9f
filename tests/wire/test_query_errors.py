"""The two names of an error in CloudWatch, which has both the Query protocol and JSON."""

from __future__ import annotations

import pytest

from openecs.errors import AWSError
from openecs.wire.generated import cloudwatch, ecs, elbv2
from openecs.wire.query_errors import spelled


@pytest.mark.parametrize(
    ("raised", "shape", "code"),
    [
        ("DashboardNotFoundError", "DashboardNotFoundError", "ResourceNotFound"),
        ("ResourceNotFound", "ResourceNotFound", "ResourceNotFound"),
        ("ValidationError", "ValidationException", "ValidationError"),
        ("InvalidParameterValue", "InvalidParameterValueException", "InvalidParameterValue"),
        ("LimitExceeded", "LimitExceededFault", "LimitExceeded"),
    ],
)
def test_either_name_leads_to_both(raised: str, shape: str, code: str) -> None:
    error = AWSError(raised, "text", status=404, members={"a": 1})
    named, headers = spelled(cloudwatch.SERVICE, error, form=False)
    assert (named.code, named.message, named.status, named.members) == (shape, "text", 404, {"a": 1})
    assert headers == ((b"x-amzn-query-error", f"{code};Sender".encode()),)
    form, none = spelled(cloudwatch.SERVICE, error, form=True)
    assert (form.code, none) == (code, ())


def test_faults_of_ours_are_the_receivers() -> None:
    _, headers = spelled(cloudwatch.SERVICE, AWSError("InternalServiceError", "x", status=500), form=False)
    assert headers == ((b"x-amzn-query-error", b"InternalServiceError;Receiver"),)


def test_other_errors_and_other_services_are_left_alone() -> None:
    unknown = AWSError("AccessDeniedException", "x")
    assert spelled(cloudwatch.SERVICE, unknown, form=False) == (unknown, ())
    for model, code in ((ecs.SERVICE, "ClusterNotFoundException"), (elbv2.SERVICE, "TargetGroupNotFound")):
        error = AWSError(code, "x")
        assert spelled(model, error, form=False) == (error, ())
