"""How Service Connect divides the requests and connections of an endpoint, in Envoy's words.  Pure.

Each endpoint has two places for targets, a cluster each: one whose targets and traffic are both
none does not exist.  Requests may be marked as test traffic by a header; connections cannot.
"""

from __future__ import annotations

from openecs.acs.host_documents import ConnectDocument, ConnectTest
from openecs.agent.edge.envoy_resources import PREVIOUS_HOSTS, Resource

#: Seconds that AWS documents for a request.
REQUEST_TIMEOUT = 15
#: Times that a request or connection that failed is tried again.
RETRIES = 2
#: What an endpoint's traffic is divided into.
WHOLE = 1000


def places(document: ConnectDocument) -> tuple[bool, ...]:
    """The places that exist: the plain one always does."""
    named = any(target.alternate for target in document.targets)
    tested = document.test is not None and document.test.alternate
    return (False, True) if named or tested or document.alternate_share > 0 else (False,)


def destination(names: tuple[str, str], document: ConnectDocument) -> Resource:
    """``cluster`` or ``weighted_clusters`` for production traffic; ``names`` are those of the two clusters."""
    share = document.alternate_share
    if share <= 0 or share >= WHOLE:
        return {"cluster": names[share >= WHOLE]}
    weights = (WHOLE - share, share)
    clusters = [{"name": name, "weight": weight} for name, weight in zip(names, weights, strict=True)]
    return {"weighted_clusters": {"clusters": clusters}}


def http_routes(name: str, names: tuple[str, str], document: ConnectDocument) -> Resource:
    """The route configuration ``name``: test traffic first, then everything else."""
    routes = [_route({"prefix": "/"}, destination(names, document), document)]
    if document.test is not None:
        match = {"prefix": "/", "headers": [_marked(document.test)]}
        routes.insert(0, _route(match, {"cluster": names[document.test.alternate]}, document))
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def _route(match: Resource, where: Resource, document: ConnectDocument) -> Resource:
    timeout = REQUEST_TIMEOUT if document.request_timeout is None else document.request_timeout
    return {
        "match": match,
        "route": {
            **where,
            "timeout": f"{timeout}s",
            "retry_policy": {
                # Only what the other side cannot have begun to answer.
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "num_retries": RETRIES,
                "retry_host_predicate": [PREVIOUS_HOSTS],
                "host_selection_retry_max_attempts": 3,
            },
        },
    }


def _marked(test: ConnectTest) -> Resource:
    if test.value is None:
        return {"name": test.header, "present_match": True}
    return {"name": test.header, "string_match": {"exact": test.value}}
