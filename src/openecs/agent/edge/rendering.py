"""What is to be served on this host, put into Envoy's words: the edge's side of ``envoy_render``.  Pure."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

from openecs.acs.host_documents import BalancerDocument
from openecs.agent.edge import connect_render, envoy_render
from openecs.agent.edge.envoy_clusters import cluster_name
from openecs.agent.edge.envoy_listeners import Log
from openecs.agent.edge.envoy_proxy import Rendered
from openecs.agent.edge.proxy import Part, Serving


class Renderer:
    """``spool`` is the folder of the files to which Envoy writes what becomes access logs."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def __call__(self, serving: Serving, xds: Path) -> Rendered:
        """The resources, what they leave out, and whose they are."""
        found = envoy_render.render(
            {part.arn: part.document for part in serving.parts},
            serving.groups,
            serving.certificates,
            serving.routes,
            {part.arn: self._place(part, serving.edge_address) for part in serving.parts},
            xds=xds,
            weights=serving.weights,
        )
        owners = {name: arn for name, (arn, _) in found.listeners.items()}
        clusters = {cluster_name(arn): group.load_balancer_arn for arn, group in serving.groups.items()}
        for name in found.resources.clusters:
            owner = clusters.get(name.partition("@")[0])
            if owner is not None:
                owners[name] = owner
        connect = connect_render.render(serving.connect, serving.connect_endpoints, xds)
        tasks = {connect_render.short(part.task_arn): part.task_arn for part in serving.connect}
        owners |= {name: tasks[connect_render.owner(name)] for name in connect.names()}
        logged = any(_log_folder(part.document) is not None for part in serving.parts)
        folders = (self._spool,) if logged else ()
        return Rendered(found.resources.joined(connect), found.problems, owners, folders, found.failed)

    def _place(self, part: Part, edge_address: str) -> envoy_render.Place:
        folder = _log_folder(part.document)
        file = self._spool / f"{hashlib.sha256(part.arn.encode()).hexdigest()[:24]}.json"
        return envoy_render.Place(
            namespace=str(part.namespace),
            endpoints={arn: (edge_address, port) for arn, port in part.ports.items()},
            log=Log(str(file), folder) if folder is not None else None,
        )


def _log_folder(balancer: BalancerDocument) -> str | None:
    """Where requests are logged: what is a bucket on AWS, and the prefix.  Names of users lead nowhere else."""
    if balancer.attributes.get("access_logs.s3.enabled") != "true":
        return None
    bucket = balancer.attributes.get("access_logs.s3.bucket", "")
    prefix = balancer.attributes.get("access_logs.s3.prefix", "")
    parts = [part for part in PurePosixPath(f"{bucket}/{prefix}").parts if part not in ("/", "//", "..")]
    return "/".join(parts)
