"""Account settings, tags, the caller's identity and the agents' address through boto3."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError


def settings(ecs: Any, **query: Any) -> dict[str, str]:
    return {s["name"]: s["value"] for s in ecs.list_account_settings(**query)["settings"]}


def test_effective_settings_are_all_names_with_their_defaults(apart: Any) -> None:
    effective = settings(apart, effectiveSettings=True)
    assert effective["taskLongArnFormat"] == "enabled"
    assert effective["containerInsights"] == "disabled"
    assert effective["fargateTaskRetirementWaitPeriod"] == "7"
    names = apart.meta.service_model.operation_model("ListAccountSettings").input_shape.members["name"].enum
    assert set(effective) == set(names)
    assert settings(apart) == {}


def test_one_name_has_exactly_one_effective_entry(apart: Any) -> None:
    """Clients that ask for one name loop for ever on an empty list."""
    for name in settings(apart, effectiveSettings=True):
        assert list(settings(apart, name=name, effectiveSettings=True)) == [name]


def test_a_principals_choice_is_laid_over_the_accounts(apart: Any, fake: Any) -> None:
    user = f"arn:aws:iam::{fake.credentials.get('AWS_ACCOUNT_ID', '000000000000')}:user/somebody"
    apart.put_account_setting_default(name="awsvpcTrunking", value="enabled")
    apart.put_account_setting(name="awsvpcTrunking", value="disabled", principalArn=user)
    assert settings(apart, name="awsvpcTrunking", effectiveSettings=True) == {"awsvpcTrunking": "enabled"}
    assert settings(apart, principalArn=user) == {"awsvpcTrunking": "disabled"}
    apart.delete_account_setting(name="awsvpcTrunking", principalArn=user)
    assert settings(apart, name="awsvpcTrunking", principalArn=user, effectiveSettings=True) == {
        "awsvpcTrunking": "enabled"
    }


def test_the_settings_paginator_lists_all_once(apart: Any) -> None:
    whole = settings(apart, effectiveSettings=True)
    paginator = apart.get_paginator("list_account_settings")
    pages = paginator.paginate(effectiveSettings=True, PaginationConfig={"PageSize": 4})
    names = [entry["name"] for page in pages for entry in page["settings"]]
    assert len(names) == len(whole)
    assert set(names) == set(whole)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("fargateFIPSMode", "enabled"), ("taskLongArnFormat", "disabled"), ("awsvpcTrunking", "maybe")],
)
def test_what_is_not_honoured_is_refused_and_not_stored(apart: Any, setting: str, value: str) -> None:
    with pytest.raises(ClientError, match=setting) as caught:
        apart.put_account_setting(name=setting, value=value)
    assert caught.value.response["Error"]["Code"] in ("ClientException", "InvalidParameterException")
    assert settings(apart) == {}


def test_every_kind_of_resource_takes_tags(ecs: Any, name: str) -> None:
    main = {"name": "m", "image": "busybox", "memory": 8}
    cluster = ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]
    definition = ecs.register_task_definition(family=name, containerDefinitions=[main])["taskDefinition"]
    service = ecs.create_service(cluster=name, serviceName=name, taskDefinition=name, desiredCount=0)["service"]
    task = ecs.run_task(taskDefinition=name)["tasks"][0]
    instance = ecs.list_container_instances()["containerInstanceArns"][0]
    arns = [cluster, definition["taskDefinitionArn"], service["serviceArn"], task["taskArn"], instance]
    for arn in arns:
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "3"}])
        found = {tag["key"]: tag["value"] for tag in ecs.list_tags_for_resource(resourceArn=arn)["tags"]}
        assert found == {"a": "3", "b": "2"}
        ecs.untag_resource(resourceArn=arn, tagKeys=["a", "b", "c"])
        assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == []
    ecs.stop_task(task=task["taskArn"])
    ecs.delete_service(cluster=name, service=name)


def test_tags_have_rules(ecs: Any, cluster: str) -> None:
    arn = ecs.describe_clusters(clusters=[cluster])["clusters"][0]["clusterArn"]
    for tags in ([{"key": "aws:x", "value": "1"}], [{"key": f"k{n}", "value": ""} for n in range(51)]):
        with pytest.raises(ClientError) as caught:
            ecs.tag_resource(resourceArn=arn, tags=tags)
        assert caught.value.response["Error"]["Code"] in ("InvalidParameterException", "ClientException")
    assert ecs.list_tags_for_resource(resourceArn=arn)["tags"] == []
    with pytest.raises(ClientError):
        ecs.tag_resource(resourceArn=f"{arn}-not", tags=[{"key": "a", "value": "1"}])


def test_the_caller_is_root(fake: Any) -> None:
    identity = fake.client("sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{identity['Account']}:root"
    assert identity["UserId"] == identity["Account"]


@pytest.mark.parametrize("service", ["ecs", "logs", "sts"])
def test_a_wrong_secret_is_told_as_aws_tells_it(fake: Any, service: str) -> None:
    client = fake.session().client(
        service,
        region_name="us-east-1",
        endpoint_url=fake.endpoint,
        aws_access_key_id=fake.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key="wrong",
        config=Config(retries={"max_attempts": 0}),
    )
    call = {"ecs": "list_clusters", "logs": "describe_log_groups", "sts": "get_caller_identity"}[service]
    with pytest.raises(ClientError) as caught:
        getattr(client, call)()
    assert caught.value.response["Error"]["Code"] in ("InvalidSignatureException", "SignatureDoesNotMatch")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_agents_are_told_where_to_connect(ecs: Any, fake: Any) -> None:
    reply = ecs.discover_poll_endpoint(containerInstance="any", cluster="default")
    assert reply["endpoint"].startswith(fake.endpoint)
    assert reply["telemetryEndpoint"].startswith(fake.endpoint)
