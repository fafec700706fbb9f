"""A gateway with toy handlers, and a real HTTP server around it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

from openecs.clock import SystemClock
from openecs.errors import AWSError, Retryable
from openecs.ids import RandomIds
from openecs.shapes import ecs, logs, sts
from openecs.wire.call import Call, Principal
from openecs.wire.gateway import Gateway, ServedService
from openecs.wire.generated import ecs as ecs_model
from openecs.wire.generated import logs as logs_model
from openecs.wire.generated import sts as sts_model
from openecs.wire.verifier import SigningKey, Verifier

ACCOUNT = "123456789012"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIAROOT")
GUEST = Principal(f"arn:aws:iam::{ACCOUNT}:user/guest", "agent", "AKIAGUEST")
KEYS = {"AKIAROOT": SigningKey("root-secret", ROOT), "AKIAGUEST": SigningKey("guest-secret", GUEST)}


class Toy:
    """Handlers that keep clusters by region, and a barrier that tells how often it was waited on."""

    def __init__(self) -> None:
        self.clusters: dict[tuple[str, str], ecs.Cluster] = {}
        self.calls: list[Call] = []
        self.durable = 0
        self.groups: list[logs.CreateLogGroupRequest] = []

    async def barrier(self) -> None:
        self.durable = len(self.calls)

    def create_cluster(self, call: Call, request: ecs.CreateClusterRequest) -> ecs.CreateClusterResponse:
        self.calls.append(call)
        name = request.cluster_name or "default"
        arn = f"arn:aws:ecs:{call.region}:{call.account}:cluster/{name}"
        cluster = self.clusters[call.region, name] = ecs.Cluster(cluster_arn=arn, cluster_name=name, tags=request.tags)
        return ecs.CreateClusterResponse(cluster=cluster)

    async def list_clusters(self, call: Call, request: ecs.ListClustersRequest) -> ecs.ListClustersResponse:
        self.calls.append(call)
        arns = [cluster.cluster_arn for (region, _), cluster in self.clusters.items() if region == call.region]
        return ecs.ListClustersResponse(cluster_arns=tuple(arn for arn in arns if arn))

    def delete_cluster(self, call: Call, request: ecs.DeleteClusterRequest) -> Any:
        self.calls.append(call)
        if request.cluster == "bug":
            raise KeyError("the secret of the cluster")
        if request.cluster == "later":
            raise Retryable("the journal is busy")
        if request.cluster == "none":
            return None
        if request.cluster == "wrong":
            return ecs.ListClustersResponse(cluster_arns=())
        raise AWSError("ClusterNotFoundException", "Cluster not found.")

    def create_log_group(self, call: Call, request: logs.CreateLogGroupRequest) -> None:
        self.groups.append(request)

    def who(self, call: Call, request: sts.GetCallerIdentityRequest) -> sts.GetCallerIdentityResponse:
        return sts.GetCallerIdentityResponse(account=call.account, arn=call.principal.arn, user_id=call.account)

    def services(self) -> dict[str, ServedService]:
        return {
            "ecs": ServedService(
                ecs_model.SERVICE,
                {
                    "CreateCluster": self.create_cluster,
                    "ListClusters": self.list_clusters,
                    "DeleteCluster": self.delete_cluster,
                },
            ),
            "logs": ServedService(logs_model.SERVICE, {"CreateLogGroup": self.create_log_group}),
            "sts": ServedService(sts_model.SERVICE, {"GetCallerIdentity": self.who}),
        }

    def gateway(self, **more: Any) -> Gateway:
        arguments: dict[str, Any] = {
            "services": self.services(),
            "verifier": Verifier(KEYS.get),
            "account": ACCOUNT,
            "clock": SystemClock(),
            "ids": RandomIds(),
            "barrier": self.barrier,
            "authorize": lambda who, service, operation: who is ROOT or operation == "ListClusters",
            "routes": {},
        }
        return Gateway(**{**arguments, **more})


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL at which a real uvicorn serves ``app`` on loopback."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="warning", lifespan="on", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
