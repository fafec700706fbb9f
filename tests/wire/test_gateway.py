"""The gateway behind a real HTTP server, with botocore as the client."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from structlog.testing import capture_logs
from toy_gateway import ACCOUNT, GUEST, ROOT, Toy, serving

from openecs.clock import SystemClock
from openecs.errors import AWSError
from openecs.shapes import ecs
from openecs.wire.gateway import ServedService
from openecs.wire.generated import ecs as ecs_model
from openecs.wire.sigv4 import Credentials, sign


@pytest.fixture
def toy():
    return Toy()


@pytest.fixture
def url(toy):
    async def page(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": f"{scope['type']} {scope['path']}".encode()})

    async def deeper(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"deeper"})

    with serving(toy.gateway(routes={"/_openecs/page": page, "/_openecs/page/deep": deeper}, body_limit=20_000)) as at:
        yield at


def client(url: str, service: str = "ecs", key: str = "AKIAROOT", secret: str = "root-secret", **more: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=more.pop("region", "eu-west-1"),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
        **more,
    )


def refusal(call: Any, **arguments: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["RequestId"]
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def raw(url: str, method: str = "POST", path: str = "/", body: bytes = b"", signed: bool = True,
        service: str = "ecs", **headers: str) -> Any:  # fmt: skip
    """One request by hand: status, headers, body."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if signed:
        sent |= sign(
            Credentials("AKIAROOT", "root-secret"), method=method, url=url + path, headers=sent, body=body,
            region="eu-west-1", service=service, now=SystemClock().now(),
        )  # fmt: skip
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    try:
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_ecs_logs_and_sts_through_botocore(toy, url):
    clusters = client(url)
    created = clusters.create_cluster(clusterName="web", tags=[{"key": "team", "value": "a"}])
    arn = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/web"
    assert created["cluster"] == {"clusterArn": arn, "clusterName": "web", "tags": [{"key": "team", "value": "a"}]}
    assert clusters.list_clusters()["clusterArns"] == [arn]
    assert client(url, region="us-east-1").list_clusters()["clusterArns"] == []
    client(url, "logs").create_log_group(logGroupName="/ecs/web")
    assert [group.log_group_name for group in toy.groups] == ["/ecs/web"]
    identity = client(url, "sts").get_caller_identity()
    assert identity["Account"] == ACCOUNT
    assert identity["Arn"] == ROOT.arn


def test_what_a_handler_knows_of_its_call(toy, url):
    answer = client(url).create_cluster()
    call = toy.calls[0]
    assert (call.service, call.operation, call.account, call.region) == ("ecs", "CreateCluster", ACCOUNT, "eu-west-1")
    assert call.principal is ROOT
    assert call.endpoint == url
    assert answer["ResponseMetadata"]["RequestId"] == call.request_id


def test_a_reply_has_the_headers_that_aws_sends(url):
    answer = client(url).list_clusters()["ResponseMetadata"]["HTTPHeaders"]
    assert sorted(answer) == ["content-length", "content-type", "date", "x-amzn-requestid"]
    assert answer["content-type"] == "application/x-amz-json-1.1"


def test_replies_wait_for_durability(toy, url):
    client(url).create_cluster()
    assert toy.durable == 1
    refusal(client(url).delete_cluster, cluster="x")
    assert toy.durable == 2


def test_errors_of_handlers(url):
    clusters = client(url)
    assert refusal(clusters.delete_cluster, cluster="x") == ("ClusterNotFoundException", 400, "Cluster not found.")
    with pytest.raises(clusters.exceptions.ClusterNotFoundException):
        clusters.delete_cluster(cluster="x")
    code, status, _ = refusal(clusters.delete_cluster, cluster="later")
    assert (code, status) == ("ServiceUnavailableException", 503)


@pytest.mark.parametrize("cluster", ["bug", "none", "wrong"])
def test_bugs_are_told_to_the_log_and_not_to_the_caller(url, cluster):
    with capture_logs() as logged:
        code, status, message = refusal(client(url).delete_cluster, cluster=cluster)
    assert (code, status) == ("ServerException", 500)
    assert "secret" not in message
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert line["operation"] == "DeleteCluster"
    assert line["request_id"] in message


def test_who_may_not(toy, url):
    guest = client(url, key="AKIAGUEST", secret="guest-secret")
    assert guest.list_clusters()["clusterArns"] == []
    assert refusal(guest.create_cluster) == (
        "AccessDeniedException",
        400,
        (
            f"User: {GUEST.arn} is not authorized to perform: ecs:CreateCluster on resource: * because no "
            "identity-based policy allows the ecs:CreateCluster action"
        ),
    )
    sts = client(url, "sts", key="AKIAGUEST", secret="guest-secret")
    assert refusal(sts.get_caller_identity)[:2] == ("AccessDenied", 403)
    assert toy.clusters == {}


def test_wrong_keys(url):
    assert refusal(client(url, secret="x").list_clusters)[:2] == ("InvalidSignatureException", 400)
    assert refusal(client(url, key="AKIAX").list_clusters)[:2] == ("UnrecognizedClientException", 400)
    assert refusal(client(url, "sts", secret="x").get_caller_identity)[:2] == ("SignatureDoesNotMatch", 403)
    assert refusal(client(url, "sts", key="AKIAX").get_caller_identity)[:2] == ("InvalidClientTokenId", 403)
    status, headers, body = raw(url, signed=False, X_Amz_Target="AmazonEC2ContainerServiceV20141113.ListClusters")
    assert (status, headers["x-amzn-ErrorType"]) == (400, "MissingAuthenticationTokenException")
    assert json.loads(body) == {
        "__type": "MissingAuthenticationTokenException",
        "message": "Missing Authentication Token",
    }


def test_a_presigned_sts_url(url):
    signed = client(url, "sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    status, headers, body = raw(url, "GET", signed.removeprefix(url), signed=False)
    assert (status, headers["content-type"]) == (200, "text/xml")
    assert f"<Arn>{ROOT.arn}</Arn>".encode() in body


def test_operations_that_are_not_built(url):
    code, status, message = refusal(client(url).list_tasks)
    assert (code, status) == ("UnsupportedOperationException", 400)
    assert message == "OpenECS does not serve the operation ListTasks of ecs yet."
    code, status, message = refusal(client(url, "sts").get_session_token)
    assert (code, status) == ("UnsupportedOperation", 400)
    assert "GetSessionToken" in message


@pytest.mark.parametrize(
    ("service", "operation"),
    [("ssm", "describe_parameters"), ("elbv2", "describe_load_balancers"), ("ec2", "describe_vpcs"),
     ("cloudwatch", "describe_alarms"), ("lambda", "list_functions"), ("servicediscovery", "list_namespaces")],
)  # fmt: skip
def test_services_that_are_not_served(url, service, operation):
    code, status, message = refusal(getattr(client(url, service), operation))
    assert status in (400, 404)
    assert code in ("UnsupportedOperationException", "UnsupportedOperation", "UnknownOperationException")
    assert message.startswith("OpenECS does not serve")


def test_a_client_that_speaks_cbor(url):
    status, headers, body = raw(
        url, path="/service/GraniteServiceVersion20100801/operation/ListMetrics", smithy_protocol="rpc-v2-cbor"
    )
    assert (status, headers["content-type"], headers["smithy-protocol"]) == (400, "application/cbor", "rpc-v2-cbor")
    assert body.startswith(b"\xa2\x66__type\x78\x1dUnsupportedOperationException\x67message")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{}", {"X_Amz_Target": "AmazonEC2ContainerServiceV20141113.Nonsense"}, 400, b"UnknownOperationException"),
        (b"{}", {"X_Amz_Target": "nonsense"}, 400, b"UnknownOperationException"),
        (b"{}", {"Content_Type": "application/x-amz-json-1.1"}, 400, b"UnknownOperationException"),
        (b"", {}, 400, b"UnknownOperationException"),
        (b"a=b", {"Content_Type": "application/x-www-form-urlencoded"}, 400, b"MissingAction"),
        (b"Action=Nonsense&Version=2011-06-15", {}, 400, b"InvalidAction"),
        (b"Action=GetCallerIdentity&Version=1999-01-01", {}, 400, b"UnsupportedOperation"),
        (b"[]", {"X_Amz_Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}, 400, b"SerializationException"),
        (b"[" * 19_000, {"X_Amz_Target": "AmazonEC2ContainerServiceV20141113.ListClusters"}, 400, b"SerializationExc"),
        (b" " * 20_001, {}, 413, b"RequestEntityTooLarge"),
    ],
)
def test_requests_that_cannot_be_understood(url, body, headers, status, code):
    got, _, answer = raw(url, body=body, **headers)
    assert got == status
    assert code in answer


def test_a_body_without_a_length_is_bounded_too(url):
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", "/", iter([b"x" * 15_000, b"x" * 15_000]), encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_visit_with_a_browser(url):
    status, headers, body = raw(url, "GET", signed=False)
    assert (status, headers.get_content_type()) == (200, "text/plain")
    assert body.startswith(b"OpenECS")
    assert raw(url, "HEAD", signed=False)[0] == 200


def test_mounted_paths(url):
    assert raw(url, "GET", "/_openecs/page", signed=False)[2] == b"http /_openecs/page"
    assert raw(url, "GET", "/_openecs/page/x", signed=False)[2] == b"http /_openecs/page/x"
    assert raw(url, "GET", "/_openecs/page/deep/er", signed=False)[2] == b"deeper"
    status, headers, _ = raw(url, "GET", "/_openecs/pages", signed=False)
    assert (status, headers["x-amzn-ErrorType"]) == (404, "NotFoundException")


def handshake(path: bytes, query: bytes, *, secret: str = "root-secret", service: str = "ecs") -> dict[str, Any]:
    url = f"http://agent.test{path.decode()}?{query.decode().replace('+', '%20')}"
    headers = sign(
        Credentials("AKIAROOT", secret), method="GET", url=url, headers={}, body=b"",
        region="eu-west-1", service=service, now=SystemClock().now(),
    )  # fmt: skip
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "websocket", "path": path.decode(), "raw_path": path, "query_string": query,
        "headers": [*pairs, (b"host", b"agent.test"), (b"upgrade", b"websocket")],
    }  # fmt: skip


def test_websocket_handshakes_are_authenticated(toy):
    gateway = toy.gateway()
    query = b"agentVersion=1.9&dockerVersion=DockerVersion%3A+20.10"
    assert gateway.authenticate(handshake(b"/ws", query)) is ROOT
    for wrong in (handshake(b"/ws", query, secret="x"), handshake(b"/ws", query, service="logs")):
        with pytest.raises(AWSError) as caught:
            gateway.authenticate(wrong)
        assert caught.value.code == "InvalidSignatureException"


async def test_websockets_go_to_their_routes(toy):
    async def echo(scope, receive, send):
        await send({"type": "websocket.accept"})

    gateway = toy.gateway(routes={"/ws": echo})
    for path, wanted in (("/ws", "websocket.accept"), ("/", "websocket.close"), ("/wsx", "websocket.close")):
        sent = []

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message, sent=sent):
            sent.append(message["type"])

        await gateway({"type": "websocket", "path": path}, receive, send)
        assert sent == [wanted]


async def test_a_client_that_leaves_gets_no_answer(toy):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [(b"content-length", b"5")]}
    await toy.gateway()(scope, receive, send)
    assert sent == []
    assert toy.calls == []


def test_a_misspelt_operation_stops_the_start(toy):
    with pytest.raises(ValueError, match="RunTsk"):
        ServedService(ecs_model.SERVICE, {"RunTsk": toy.create_cluster})
    with pytest.raises(ValueError, match="registered as"):
        toy.gateway(services={"logs": ServedService(ecs_model.SERVICE, {})})


def test_shapes_are_frozen_across_calls(toy, url):
    """What a handler keeps of a request is what was sent, whatever comes later."""
    client(url).create_cluster(clusterName="one")
    kept = toy.clusters["eu-west-1", "one"]
    client(url).create_cluster(clusterName="two")
    assert kept == ecs.Cluster(cluster_arn=kept.cluster_arn, cluster_name="one")
